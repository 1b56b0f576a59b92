import { expect, test } from 'vitest';
import { patiently } from './patiently.ts';

const never = new AbortController().signal;

test('what fails is done again until it is done, and only its first failure is told as the first', async () => {
  const told: boolean[] = [];
  let tries = 0;
  const work = async () => {
    tries += 1;
    if (tries < 3) throw new Error('away');
    return tries;
  };
  expect(await patiently(work, never, (_error, isFirst) => void told.push(isFirst))).toBe(3);
  expect(told).toEqual([true, false]);
});

test('what a wait does not mend ends it with what is thrown for it', async () => {
  const refused = new Error('refused');
  const work = () => Promise.reject(new Error('no'));
  const failed = () => {
    throw refused;
  };
  await expect(patiently(work, never, failed)).rejects.toBe(refused);
});

test('a signal that aborts while it waits ends it at once, with the reason of the signal', async () => {
  const ending = new AbortController();
  const reason = new Error('SIGTERM');
  let tries = 0;
  const work = () => {
    tries += 1;
    return Promise.reject(new Error('away'));
  };
  await expect(patiently(work, ending.signal, () => ending.abort(reason))).rejects.toBe(reason);
  expect(tries).toBe(1);
});
