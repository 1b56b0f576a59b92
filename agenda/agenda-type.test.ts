import { expect, test } from 'vitest';
import { agendaTypeOf, maximumAgendaTypeLength } from './agenda-type.ts';

const typeOf = (...types: string[]) => agendaTypeOf({ operations: types.map((type) => ({ type })) });

test.each([
  [['sample'], 'sample×1'],
  [['b', 'a', 'b'], 'a,b×4'],
  [['b', 'a', 'b', 'B'], 'B,a,b×4'],
  [['a', 'a', 'a', 'a', 'a'], 'a×8'],
])('%j is %s', (types, expected) => {
  expect(typeOf(...types)).toBe(expected);
});

test('the order of the Operations does not matter, their number roughly', () => {
  const of = (count: number) => typeOf(...Array.from({ length: count }, () => 'a'));
  expect(of(500)).toBe('a×512');
  expect(of(257)).toBe(of(500));
  expect(of(256)).not.toBe(of(257));
});

test('many long types are told apart in 200 characters at most', () => {
  const long = Array.from({ length: 500 }, (_, n) => `${'😀'.repeat(60)}${n}`);
  const whole = typeOf(...long);
  expect(whole.length).toBeLessThanOrEqual(maximumAgendaTypeLength);
  expect(whole).toMatch(/^😀{60}0,.*…[0-9a-f]{16}$/u);
  expect(whole.isWellFormed()).toBe(true);
  expect(typeOf(...long.toReversed())).toBe(whole);
  expect(typeOf(...long.slice(1), `${long[0]}x`)).not.toBe(whole);
  expect(typeOf('a'.repeat(100), 'b'.repeat(100))).not.toBe(typeOf('a'.repeat(100), `${'b'.repeat(99)}c`));
});
