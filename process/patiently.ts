/** Waiting for what a program cannot begin without. */
import { setTimeout as delay } from 'node:timers/promises';

const firstWaitMilliseconds = 200;
const longestWaitMilliseconds = 5_000;

/**
 * Does `work` until it is done, after ever longer waits. `failed` hears of each failure: it says so once, when it
 * `isFirst`, and throws what a wait does not mend.
 * @throws what `failed` throws; the signal's reason once it aborts
 */
export async function patiently<T>(
  work: () => Promise<T>,
  signal: AbortSignal,
  failed: (error: unknown, isFirst: boolean) => void,
): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      failed(error, tries === 0);
      const wait = Math.min(firstWaitMilliseconds * 2 ** tries, longestWaitMilliseconds);
      await delay(wait, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}
