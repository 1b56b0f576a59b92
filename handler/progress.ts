/** What a handler has said of itself so far: each report is laid over those before it. */
import type { DiagnosticEvent, Json, JsonObject } from './types.ts';

/** States of an OperationProgress that a handler may report. */
export type ProcessingState = 'EXECUTING' | 'COMPLETE';

/**
 * The progress that a handler reports while it works, or a whole OperationProgress. A field that is left out stays as
 * it was reported before.
 */
export interface ProgressReport {
  readonly message?: string;
  /** 0..100; a lower one than before is ignored. */
  readonly percentComplete?: number;
  /** Added to those reported before. */
  readonly diagnosticEvents?: readonly DiagnosticEvent[];
  /** Whatever the next attempt needs to go on from here; replaces what was given before. */
  readonly params?: JsonObject;
  /** `COMPLETE` ends the Operation: whatever is reported or returned later counts no more. */
  readonly processingState?: ProcessingState;
  /** The message; with `COMPLETE` it is `succeeded`, or the Operation has failed. */
  readonly processingStateMessage?: string;
  /** With `COMPLETE`: the result, as JSON text. */
  readonly resultPayload?: string;
}

/** The ways of POP to report. Answers whether it was taken: nothing is after `COMPLETE`. */
export interface Report {
  (progress: ProgressReport): boolean;
  (percentComplete: number): boolean;
  (message: string, percentComplete?: number): boolean;
  (state: ProcessingState, message: string): boolean;
}

/** What a handler has reported, all together. */
export interface Progress {
  readonly message?: string;
  readonly percentComplete: number;
  readonly diagnosticEvents: readonly DiagnosticEvent[];
  readonly params?: JsonObject;
}

/** How a handler ended. The events of a failure are in its progress. */
export type HandlerEnd =
  | { readonly outcome: 'succeeded'; readonly result?: Json }
  | { readonly outcome: 'failed'; readonly result?: Json };

/** Before the first report. */
export const noProgress: Progress = { percentComplete: 0, diagnosticEvents: [] };

/** The arguments of `report`, whichever form they have, as the one form. */
export function reportOf(first: ProgressReport | number | string, second?: number | string): ProgressReport {
  if (typeof first === 'number') return { percentComplete: first };
  if (typeof first !== 'string') return first;
  if (typeof second !== 'string') return { message: first, ...(second !== undefined && { percentComplete: second }) };
  return { processingState: first === 'COMPLETE' ? 'COMPLETE' : 'EXECUTING', processingStateMessage: second };
}

/** The progress with a report laid over it. */
export function withReport(progress: Progress, report: ProgressReport): Progress {
  const message = report.message ?? report.processingStateMessage;
  const percent = report.percentComplete;
  return {
    ...progress,
    ...(message !== undefined && { message }),
    ...(report.params !== undefined && { params: report.params }),
    percentComplete: Number.isFinite(percent)
      ? Math.max(progress.percentComplete, Math.min(100, percent as number))
      : progress.percentComplete,
    diagnosticEvents: [...progress.diagnosticEvents, ...(report.diagnosticEvents ?? [])],
  };
}

/** What a whole OperationProgress says of the end; undefined before COMPLETE. @throws when its result is no JSON */
export function endOf({
  processingState,
  processingStateMessage,
  resultPayload,
}: ProgressReport): HandlerEnd | undefined {
  if (processingState !== 'COMPLETE') return undefined;
  const outcome = processingStateMessage === 'succeeded' ? 'succeeded' : 'failed';
  return resultPayload === undefined ? { outcome } : { outcome, result: JSON.parse(resultPayload) as Json };
}

/** As POP stores it: an OperationProgress. */
export function operationProgressOf(progress: Progress, end?: HandlerEnd): JsonObject {
  const { message, percentComplete, diagnosticEvents, params } = progress;
  const stateMessage = end?.outcome ?? message;
  return {
    processingState: end === undefined ? 'EXECUTING' : 'COMPLETE',
    ...(stateMessage !== undefined && { processingStateMessage: stateMessage }),
    percentComplete: end?.outcome === 'succeeded' ? 100 : percentComplete,
    diagnosticEvents: diagnosticEvents as unknown as readonly JsonObject[],
    ...(params !== undefined && { params }),
  };
}
