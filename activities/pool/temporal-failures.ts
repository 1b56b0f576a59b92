/** What an activity tells Temporal when it ends before its Operation does. */
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { ServiceRefused } from './service-errors.ts';

/** Ends this attempt so that Temporal begins the next one then, and nothing here is held until then. */
export function callAgain(type: string, message: string, inMilliseconds: number): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message,
    category: ApplicationFailureCategory.BENIGN,
    // 0 would mean: as the retry policy says.
    nextRetryDelay: Math.max(1, Math.round(inMilliseconds)),
  });
}

/**
 * Ends this attempt without an opinion on the run. Thrown as a failure: Temporal retries those wherever a worker is.
 */
export function letGo(reason?: unknown): unknown {
  return (
    reason ??
    ApplicationFailure.create({
      type: 'letGo',
      message: 'This worker let go of the Operation.',
      category: ApplicationFailureCategory.BENIGN,
    })
  );
}

/**
 * Infrastructure faults are Temporal's to retry: soon, then ever later, and no faster than someone can mend a setting.
 */
export function forTemporal(error: unknown, attempt: number): unknown {
  if (error instanceof ApplicationFailure) return error;
  const message = error instanceof Error ? error.message : String(error);
  const cause = error instanceof Error ? { cause: error } : {};
  if (error instanceof ServiceRefused) {
    return ApplicationFailure.create({
      type: error.code,
      message,
      nonRetryable: error.isAboutContent,
      nextRetryDelay: 10_000,
      ...cause,
    });
  }
  return ApplicationFailure.create({
    type: 'infrastructure',
    message,
    nextRetryDelay: Math.min(30_000, 250 * 2 ** Math.min(attempt - 1, 10)),
    ...cause,
  });
}
