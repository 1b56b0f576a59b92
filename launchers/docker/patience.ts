/** Waits for an engine that is away: nothing is lost meanwhile, for containers need it neither to run nor to end. */
import { setTimeout as delay } from 'node:timers/promises';
import { isAway } from './engine.ts';

const longestPauseMilliseconds = 3_000;

/** Hears of an engine that is away, and of its answers. */
export interface Attendance {
  away(): void;
  answered(): void;
}

/** Asks until there is an answer. Rejects with the signal's reason, or with what the engine refuses. */
export async function patiently<T>(
  question: () => Promise<T>,
  signal: AbortSignal,
  attendance?: Attendance,
): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      const answer = await unlessAborted(question(), signal);
      attendance?.answered();
      return answer;
    } catch (error) {
      signal.throwIfAborted();
      if (isAway(error)) attendance?.away();
    }
    await pause(Math.min(100 * 2 ** tries, longestPauseMilliseconds), signal);
  }
}

/** Resolves after the time. Rejects with the signal's reason. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(milliseconds, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** The value; or rejects with the signal's reason when that comes first. */
export async function unlessAborted<T>(value: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([value, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
