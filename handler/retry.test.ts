import { expect, test, vi } from 'vitest';
import { waitAfter } from './backoff.ts';
import { retry } from './retry.ts';

const quick = { firstMilliseconds: 1, mostMilliseconds: 2 };
const failing = (times: number, error: Error) =>
  vi.fn(async (attempt: number) => {
    if (attempt <= times) throw error;
    return attempt;
  });

test('tries until it succeeds, tells of each failure, and throws the last one when the tries are used up', async () => {
  const told = vi.fn();
  expect(await retry(failing(2, new Error('busy')), { ...quick, onRetry: told })).toBe(3);
  expect(told.mock.calls.map(([error, attempt]) => [(error as Error).message, attempt])).toEqual([
    ['busy', 1],
    ['busy', 2],
  ]);
  const always = failing(9, new Error('still busy'));
  await expect(retry(always, { ...quick, attempts: 3 })).rejects.toThrow('still busy');
  expect(always).toHaveBeenCalledTimes(3);
});

test('only the classes of retryOn are tried again, and never those of noRetryOn', async () => {
  const calls = async (error: Error, options: object) => {
    const action = failing(1, error);
    await retry(action, { ...quick, ...options }).catch(() => {});
    return action.mock.calls.length;
  };
  expect(await calls(new TypeError(), { retryOn: [TypeError] })).toBe(2);
  expect(await calls(new RangeError(), { retryOn: [TypeError] })).toBe(1);
  expect(await calls(new RangeError(), { noRetryOn: [RangeError] })).toBe(1);
  expect(await calls(new TypeError(), { retryOn: [Error], noRetryOn: [TypeError] })).toBe(1);
});

test('a signal ends the waiting with its own reason', async () => {
  const ending = new AbortController();
  const action = failing(9, new Error('busy'));
  const tried = retry(action, { firstMilliseconds: 60_000, signal: ending.signal });
  await vi.waitFor(() => expect(action).toHaveBeenCalledOnce());
  const reason = new Error('asked to end');
  ending.abort(reason);
  await expect(tried).rejects.toBe(reason);
  await expect(retry(action, { signal: ending.signal })).rejects.toBe(reason);
  expect(action).toHaveBeenCalledOnce();
});

test('waits double up to the longest, and half of each is left to chance', () => {
  const bounds = { firstMilliseconds: 100, mostMilliseconds: 1_000 };
  for (const [failures, whole] of [
    [1, 100],
    [2, 200],
    [4, 800],
    [5, 1_000],
    [500, 1_000],
  ] as const) {
    const waits = Array.from({ length: 50 }, () => waitAfter(failures, bounds));
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(whole / 2);
    expect(Math.max(...waits)).toBeLessThanOrEqual(whole);
    expect(new Set(waits).size).toBeGreaterThan(10);
  }
});
