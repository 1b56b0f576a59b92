import { describe, expect, test } from 'vitest';
import { decideAfterLoss, type PastLaunch, waitForAnother, waitWhileBlocked } from './infrastructure-budget.ts';

const loss = (ranMilliseconds = 0): PastLaunch => ({ category: 'infrastructure', code: 'lost', ranMilliseconds });
const drain = (ranMilliseconds = 0): PastLaunch => ({ category: 'infrastructure', code: 'drained', ranMilliseconds });
const failure: PastLaunch = { category: 'handler', code: 'exitCode', ranMilliseconds: 5 };
const times = (count: number, launch: PastLaunch) => Array.from({ length: count }, () => launch);
const tenMinutes = 600_000;
const middle = 0.5;

describe('an Operation whose launch was lost', () => {
  test.each([
    ['once', [loss()], 1_000],
    ['twice', times(2, loss()), 2_000],
    ['three times in a row', times(3, loss()), 4_000],
    ['four times in a row', times(4, loss()), 8_000],
    [
      'after a run of ten minutes, which ends the row and begins the next',
      [...times(4, loss()), loss(tenMinutes)],
      1_000,
    ],
    ['after that once more', [...times(4, loss()), loss(tenMinutes), loss()], 2_000],
    ['after a run just short of that', [...times(3, loss()), loss(tenMinutes - 1)], 8_000],
    ['after a failure of its own, which ends the row', [...times(4, loss()), failure, loss()], 1_000],
    ['among drains, which do not count', [...times(4, drain()), loss(), ...times(60, drain()), loss()], 2_000],
    ['19 times in all', times(19, loss(tenMinutes)), 1_000],
  ])('%s is launched again', (_, launches, inMilliseconds) => {
    expect(decideAfterLoss(launches, middle)).toEqual({ decision: 'again', inMilliseconds });
  });

  test.each([
    ['five times in a row', times(5, loss()), /5 launches in a row/],
    ['five times in a row of any code', [...times(4, loss()), { ...loss(), code: 'placeGone' }], /5 launches in a row/],
    ['five times in a row, drains between', [...times(4, loss()), drain(), loss()], /5 launches in a row/],
    ['20 times in all', times(20, loss(tenMinutes)), /20 launches were lost/],
  ])('%s has ended', (_, launches, reason) => {
    expect(decideAfterLoss(launches, middle)).toEqual({ decision: 'ended', reason: expect.stringMatching(reason) });
  });
});

describe('an Operation whose launch was drained', () => {
  test.each([
    ['five times', 5, 16_000],
    ['99 times, within five minutes', 99, 300_000],
  ])('%s is launched again', (_, count, inMilliseconds) => {
    expect(decideAfterLoss(times(count, drain()), middle)).toEqual({ decision: 'again', inMilliseconds });
  });

  test('a hundred times has ended', () => {
    const preempted: PastLaunch = { ...drain(), code: 'preempted' };
    const launches = [...times(50, drain()), ...times(50, preempted)];
    expect(decideAfterLoss(launches, middle)).toMatchObject({
      decision: 'ended',
      reason: expect.stringMatching(/100 times/),
    });
  });
});

test('waits are spread by a fifth to both sides, and no wait is above five minutes', () => {
  const waits = [0, 0.25, 1].map((jitter) => decideAfterLoss([loss()], jitter));
  expect(waits).toMatchObject([{ inMilliseconds: 800 }, { inMilliseconds: 900 }, { inMilliseconds: 1_200 }]);
  expect(decideAfterLoss(times(99, drain()), 1)).toMatchObject({ inMilliseconds: 300_000 });
});

test('what cannot be started waits as long as it has waited: from a second to five minutes', () => {
  expect([0, 999, 4_000, 60_000, 900_000].map((ms) => waitWhileBlocked(ms, middle))).toEqual([
    1_000, 1_000, 4_000, 60_000, 300_000,
  ]);
});

test('what is handed back waits as long as it did: up to 5 s for one who is there, up to 30 s for nobody', () => {
  expect([0, 150, 4_000, 60_000].map((ms) => waitForAnother(ms, true, middle))).toEqual([100, 150, 4_000, 5_000]);
  expect([0, 150, 4_000, 60_000].map((ms) => waitForAnother(ms, false, middle))).toEqual([1_000, 1_000, 4_000, 30_000]);
});

test('what was not lost is nothing to decide on', () => {
  expect(() => decideAfterLoss([failure], middle)).toThrow('not lost');
});
