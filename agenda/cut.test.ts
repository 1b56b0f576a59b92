import { expect, test } from 'vitest';
import { cut, longestShown, quoted } from './cut.ts';
import { FaultList, mostFaults } from './fault-list.ts';
import { pointerOf } from './json-pointer.ts';

test('text is cut at 200 characters and says so; shorter text stays as it is', () => {
  expect(cut('x'.repeat(longestShown))).toBe('x'.repeat(longestShown));
  expect(cut('x'.repeat(longestShown + 1))).toBe(`${'x'.repeat(longestShown)}…`);
  expect(quoted('a"b')).toBe('"a\\"b"');
});

test('a surrogate pair is never cut in two', () => {
  for (const before of [198, 199, 200]) {
    const text = cut(`${'x'.repeat(before)}${'😀'.repeat(10)}`);
    expect(text.isWellFormed()).toBe(true);
    expect(text.length).toBeLessThanOrEqual(longestShown + 1);
  }
});

test('a pointer is cut, and of its long names no more is read than is shown', () => {
  expect(pointerOf(['a/b', 0, 'c~d'])).toBe('/a~1b/0/c~0d');
  expect(pointerOf(['n'.repeat(100_000), 1])).toBe(`/${'n'.repeat(199)}…`);
  expect(pointerOf(Array(256).fill('0'))).toHaveLength(longestShown + 1);
});

test('faults beyond the first ten are counted and never made', () => {
  const faults = new FaultList();
  let made = 0;
  for (let index = 0; index < 1_000; index += 1) {
    faults.add(() => {
      made += 1;
      return { pointer: `/${index}${'x'.repeat(1_000)}`, code: 'c', message: 'm' };
    });
  }
  faults.count(5);
  expect({ told: faults.first.length, total: faults.total, made }).toEqual({
    told: mostFaults,
    total: 1_005,
    made: mostFaults,
  });
  expect(faults.first[0]?.pointer).toHaveLength(longestShown + 1);
});
