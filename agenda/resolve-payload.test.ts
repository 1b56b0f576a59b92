import { expect, test } from 'vitest';
import { pointedTo, referredTo } from './resolve-payload.ts';

test('each result that a payload refers to is told with the pointers into it', () => {
  const payload = JSON.stringify(['@<a.out>', 'x @<a.out::/q> @<b.out::/1?none>', '@<c::/q>', '@<pop.agendaId>']);
  expect([...referredTo(payload)]).toEqual([
    ['a', new Set(['', '/q'])],
    ['b', new Set(['/1'])],
  ]);
  expect([...referredTo(null)]).toEqual([]);
});

test('of a result no more is known than what is pointed to', () => {
  const known = pointedTo({ q: [1, 2], rest: 'large' }, new Set(['/q/1', '/absent']));
  expect(known('/q/1')).toBe(2);
  expect(known('/absent')).toBeUndefined();
  expect(known('/rest')).toBeUndefined();
});
