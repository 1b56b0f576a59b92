/** Asks for the signs of life that a handler gives past its launcher. */
import type { FollowEvents } from './launcher.ts';

/**
 * When the handler last reported with the token of its launch, in epoch milliseconds; 0: never. While nobody can tell,
 * as when the service is away, it is `now`: what nobody could hear is no silence.
 */
export async function lastReportTime(events: FollowEvents, now: () => number = Date.now): Promise<number> {
  try {
    return (await events.lastReport?.()) ?? 0;
  } catch {
    return now();
  }
}
