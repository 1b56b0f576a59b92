import { expect, test } from 'vitest';
import { costOf, dominantShare, type Estimate, expectedSeconds, learn } from './index.ts';

const pool = { slots: 10, cpu: 64, memory: 256 };
const cost = (model: 'count' | 'slots' | 'share' | 'shareTime') =>
  costOf({ model, peak: { slots: 2, cpu: 32, gpu: 1 }, pool, seconds: 60 });

test('each model costs what it says', () => {
  expect([cost('count'), cost('slots'), cost('share'), cost('shareTime')]).toEqual([1, 2, 0.5, 30]);
});

test('a resource the pool does not limit does not count, and nothing is free', () => {
  expect(dominantShare({ gpu: 4, slots: 1 }, pool)).toBe(0.1);
  expect(costOf({ model: 'shareTime', peak: {}, pool, seconds: 0 })).toBeGreaterThan(0);
});

test('an estimate follows what was measured, and what is declared goes before it', () => {
  let estimate: Estimate | undefined;
  for (let i = 0; i < 40; i++) estimate = learn(estimate, 100);
  for (let i = 0; i < 20; i++) estimate = learn(estimate, 10);
  expect(estimate?.seconds).toBeCloseTo(10, 0);
  expect(expectedSeconds(5, estimate, undefined, 60)).toBe(5);
  expect(expectedSeconds(undefined, undefined, estimate, 60)).toBe(estimate?.seconds);
  expect(expectedSeconds(undefined, undefined, undefined, 60)).toBe(60);
  expect(() => learn(undefined, -1)).toThrow(RangeError);
});
