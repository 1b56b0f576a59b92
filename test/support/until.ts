/** Waiting for a condition, through whatever goes wrong meanwhile. */
import { setTimeout as delay } from 'node:timers/promises';
import { troubleOf } from './trouble.ts';

/**
 * Waits until `look` returns something else than undefined or false, and returns that.
 * @throws when it takes too long; the message has the last error.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  seconds = 60,
): Promise<T> {
  const giveUp = Date.now() + seconds * 1000;
  let trouble: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
      trouble = undefined;
    } catch (error) {
      trouble = error;
    }
    if (Date.now() > giveUp) {
      const last = trouble === undefined ? '' : ` (at last: ${troubleOf(trouble)})`;
      throw new Error(`After ${seconds} s still not so: ${what}${last}`, { cause: trouble });
    }
    await delay(25);
  }
}
