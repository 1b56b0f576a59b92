/** What a submission is answered. */
import type { Fault } from '../../agenda/types.ts';

/** Why an Agenda was not taken; closed. */
export type SubmitRefusal =
  | 'customerNotFound'
  | 'noInsight'
  | 'defaultInsightDoesNotMatch'
  | 'demandRefused'
  | 'progressIdNotSupported'
  | 'idempotencyKeyReused'
  | 'idempotencyKeyRunning'
  | 'idempotentAgendaGone';

/** The answer to a submission. */
export type SubmitAnswer =
  | {
      readonly kind: 'created';
      readonly agendaId: string;
      readonly progressId: string;
      readonly insightId: string;
      readonly resourcePoolId: string;
      /** Epoch milliseconds. */
      readonly addedTime: number;
      /** It waits for admission; false with the param `doNotRun`. */
      readonly ready: boolean;
      /** No worker of its pool told of its registry of late: whether anybody serves its types is not known. */
      readonly isUnchecked: boolean;
    }
  /** The same request created this Agenda before. */
  | { readonly kind: 'replayed'; readonly agendaId: string }
  | Refused;

/** Nothing was written. */
export interface Refused {
  readonly kind: 'refused';
  readonly code: SubmitRefusal;
  readonly message: string;
  /** Where in the request body; empty when it is no fault of the body. */
  readonly faults: readonly Fault[];
  /** With `demandRefused`: the pool that it would go to. */
  readonly resourcePoolId?: string;
}

/** A refusal, with one fault where a pointer into the body is given. */
export function refused(code: SubmitRefusal, message: string, pointer?: string): Refused {
  return { kind: 'refused', code, message, faults: pointer === undefined ? [] : [{ pointer, code, message }] };
}

/** An Agenda that names the AgendaProgress it is to use. */
export const reusedProgress: Refused = refused(
  'progressIdNotSupported',
  'Reusing an AgendaProgress is not supported: leave progressId out, it is made by the server.',
  '/progressId',
);
