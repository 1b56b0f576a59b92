/** Why a Pod is being stopped, as its annotation keeps it: whoever follows the Pod next finishes the stop. */
import { type FailureCodeOf, failureCodes, isFailureCode } from '../agenda/failure.ts';
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
    const value = JSON.parse(text) as Partial<Record<string, unknown>> | null;
    if (isOrder(value)) return value as unknown as StopOrder;
  } catch {
    // As below.
  }
  // Somebody else wrote there; that it is to be stopped is all that counts.
  return { reason: 'cancelled', graceSeconds: 0 };
}

function isOrder(value: Partial<Record<string, unknown>> | null): boolean {
  if (value === null || typeof value !== 'object' || typeof value.graceSeconds !== 'number') return false;
  const { reason, limit, seconds, words, code } = value;
  switch (reason) {
    case 'cancelled':
    case 'complete':
      return true;
    case 'timedOut':
      return (
        ['scheduled', 'quiet', 'run'].includes(limit as string) &&
        typeof seconds === 'number' &&
        (words === undefined || typeof words === 'string')
      );
    case 'failed':
      return typeof words === 'string' && typeof code === 'string' && isConfiguration(code);
    default:
      return false;
  }
}

const isConfiguration = (code: string): boolean => isFailureCode(code) && failureCodes[code] === 'configuration';
