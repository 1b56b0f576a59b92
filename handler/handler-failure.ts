/** How a handler says that it failed, and why. */
import type { DiagnosticEvent, Json } from './types.ts';

/** The details of a failure beside its message. */
export interface FailureDetails {
  /** A stable word for programs, such as `noFile`. */
  readonly code?: string;
  readonly statusCode?: number;
  /** Anything that helps a reader of the diagnostics. */
  readonly payload?: Json;
  readonly cause?: unknown;
}

/** Thrown by `fail`; becomes a DiagnosticEvent of the Operation. */
export class HandlerFailure extends Error {
  readonly details: FailureDetails;
  constructor(message: string, details: FailureDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'HandlerFailure';
    this.details = details;
  }
}

/** Ends the Operation as failed with this message. */
export function fail(message: string, details?: FailureDetails): never {
  throw new HandlerFailure(message, details);
}

/** The DiagnosticEvent that tells of anything thrown. */
export function diagnosticOf(thrown: unknown): DiagnosticEvent {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const details = error instanceof HandlerFailure ? error.details : {};
  return {
    message: error.message === '' ? error.name : error.message,
    code: details.code ?? 'handlerError',
    time: Date.now(),
    ...(details.statusCode !== undefined && { statusCode: details.statusCode }),
    ...(details.payload !== undefined && { payload: details.payload }),
    ...(error.stack !== undefined && { stackTrace: stackOf(error) }),
  };
}

function stackOf(error: Error): string {
  return error.cause instanceof Error ? `${error.stack}\nCaused by: ${stackOf(error.cause)}` : (error.stack ?? '');
}
