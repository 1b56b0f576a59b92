/** What the report of an end comes to, before anything is recorded. */
import { isDeeperThan } from '../../agenda/depth.ts';
import { type Failure, type FailureCodeOf, failureOf, toldFailure } from '../../agenda/failure.ts';
import type { LaunchEnding } from '../../agenda/outcomes.ts';
import { type DiagnosticEvent, type Json, maximumPayloadBytes } from '../../agenda/types.ts';
import type { FinishOperationItem, FinishVerdict } from '../../messages/resource-pool.ts';

/** As deep as the body of a request: what refers to the result is written by functions that recurse. */
const maximumResultDepth = 256;

/** The end of a launch as it was reported. */
export interface ReportedEnd {
  readonly outcome: 'succeeded' | 'failed' | 'cancelled';
  readonly ending: LaunchEnding;
  /** Absent when it succeeded. */
  readonly failure?: Failure;
  readonly events: readonly DiagnosticEvent[];
  /** Null where it gave none, or none that can be kept. */
  readonly result: string | null;
  /** Why its result cannot be kept. */
  readonly refused?: { readonly code: FailureCodeOf<'data'>; readonly message: string };
}

/** The end as it was reported; `cancelled`: a cancel of its Agenda was asked for. */
export function reportedEnd(item: FinishOperationItem, cancelled: boolean): ReportedEnd {
  const refused = resultFault(item);
  const events = (item.diagnosticEvents ?? []) as DiagnosticEvent[];
  if (refused !== undefined)
    return {
      ...{ outcome: 'failed', ending: 'failed', failure: failureOf(refused.code), result: null, refused },
      events: [...events, { ...refused, time: Date.now() }],
    };
  const result = item.result ?? null;
  if (item.outcome === 'succeeded') return { events, result, outcome: 'succeeded', ending: 'succeeded' };
  const ending = endingOf(item);
  const failure = toldFailure(ending, item.ending === undefined ? { code: events.at(-1)?.code } : item);
  // Gone while a cancel was under way: that is what the cancel wanted.
  const outcome = ending === 'cancelled' || (ending === 'lost' && cancelled) ? 'cancelled' : 'failed';
  return { events, result, outcome, ending, failure };
}

/** The answer to such a report, unless the launch is repeated. */
export const verdictOf = ({ refused, outcome }: ReportedEnd): FinishVerdict =>
  refused === undefined ? { verdict: 'stored', outcome } : { verdict: 'refused', ...refused };

/**
 * The infrastructure took the launch away, and whoever reports it knows what it is to do next. Workers of version 0.1.0
 * have tried on their own.
 */
export const isForBudget = <End extends ReportedEnd>(
  end: End,
  item: FinishOperationItem,
): end is End & { failure: Failure } =>
  end.failure?.category === 'infrastructure' && end.outcome === 'failed' && item.ending !== undefined;

/** How the launch ended, as far as that agrees with the outcome; a worker of version 0.1.0 says the outcome only. */
function endingOf({ outcome, ending }: FinishOperationItem): 'failed' | 'timedOut' | 'lost' | 'cancelled' {
  if (outcome === 'cancelled') return 'cancelled';
  return ending === 'timedOut' || ending === 'lost' ? ending : 'failed';
}

/** Why a result cannot be kept, if so. */
function resultFault(item: FinishOperationItem): { code: FailureCodeOf<'data'>; message: string } | undefined {
  if (item.result === undefined) return undefined;
  const bytes = Buffer.byteLength(item.result);
  if (bytes > maximumPayloadBytes) {
    return {
      code: 'resultTooLarge',
      message: `The result of Operation ${item.operation} has ${bytes} bytes; the limit is ${maximumPayloadBytes}.`,
    };
  }
  let value: Json;
  try {
    value = JSON.parse(item.result) as Json;
  } catch (error) {
    return {
      code: 'resultNotJson',
      message: `The result of Operation ${item.operation} is not JSON: ${(error as Error).message}`,
    };
  }
  if (!isDeeperThan(value, maximumResultDepth)) return undefined;
  return {
    code: 'resultTooDeep',
    message: `The result of Operation ${item.operation} is nested deeper than the limit of ${maximumResultDepth}.`,
  };
}
