/** Why a Pod is being stopped, as its annotation keeps it: whoever follows the Pod next finishes the stop. */
import type { FailureCodeOf } from '../agenda/failure.ts';
import { annotations } from './names.ts';
import type { Pod } from './pod.ts';

/** A stop that was ordered by us. */
export type StopOrder = { readonly graceSeconds: number } & (
  | { readonly reason: 'cancelled' }
  | {
      readonly reason: 'timedOut';
      readonly limit: 'scheduled' | 'quiet' | 'run';
      readonly seconds: number;
      readonly words?: string;
    }
  /** It never started, for a reason that waiting does not mend. */
  | { readonly reason: 'failed'; readonly code: FailureCodeOf<'configuration'>; readonly words: string }
  /** `pop1`: it reported its end and does not exit. */
  | { readonly reason: 'complete' }
);

/** The stop that was ordered; undefined while none was. */
export function stopOrderOf({ metadata }: Pod): StopOrder | undefined {
  const text = metadata.annotations?.[annotations.stop];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as StopOrder;
  } catch {
    // Somebody wrote there; that a stop was ordered is still all that counts.
    return { reason: 'cancelled', graceSeconds: 0 };
  }
}
