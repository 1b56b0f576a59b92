/** Tries something again that may fail for a while. */
import { setTimeout as delay } from 'node:timers/promises';
import { waitAfter } from './backoff.ts';

/** A class of errors, such as `TypeError`. */
export type ErrorClass = abstract new (...parameters: never[]) => Error;

/** What is tried again, how often, and after how long. */
export interface RetryOptions {
  /** Tries in all; 5 when not given. */
  readonly attempts?: number;
  /** Only these are tried again; all when not given. */
  readonly retryOn?: readonly ErrorClass[];
  /** These are not, even when `retryOn` holds them or what they extend. */
  readonly noRetryOn?: readonly ErrorClass[];
  /** Wait before the second try; doubled for each later one, with a part left to chance. 500 when not given. */
  readonly firstMilliseconds?: number;
  /** Longest wait; 30,000 when not given. */
  readonly mostMilliseconds?: number;
  /** Ends the waiting, and with it the tries. */
  readonly signal?: AbortSignal;
  /** Hears of each failure that is followed by another try. */
  readonly onRetry?: (error: unknown, attempt: number, waitMilliseconds: number) => void;
}

/** What `action` returns. @throws what its last try threw, or the reason of the signal */
export async function retry<T>(action: (attempt: number) => Promise<T> | T, options: RetryOptions = {}): Promise<T> {
  const { attempts = 5, firstMilliseconds = 500, mostMilliseconds = 30_000, signal, onRetry } = options;
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      return await action(attempt);
    } catch (error) {
      if (attempt >= attempts || signal?.aborted || !isRetried(error, options)) throw error;
      const wait = waitAfter(attempt, { firstMilliseconds, mostMilliseconds });
      onRetry?.(error, attempt, wait);
      await waitFor(wait, signal);
    }
  }
}

function isRetried(error: unknown, { retryOn, noRetryOn = [] }: RetryOptions): boolean {
  const isOf = (classes: readonly ErrorClass[]): boolean => classes.some((each) => error instanceof each);
  return !isOf(noRetryOn) && (retryOn === undefined || isOf(retryOn));
}

/** @throws the signal's own reason, where a timer would throw an AbortError */
async function waitFor(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await delay(milliseconds, undefined, signal === undefined ? {} : { signal }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
}
