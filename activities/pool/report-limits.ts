/**
 * Cuts what handlers say to what the ResourcePool service takes, so that a talkative handler is shortened rather than
 * refused.
 */
import type { DiagnosticEvent } from '../../agenda/types.ts';
import type { HandlerProgress } from '../../launchers/launcher.ts';
import {
  mostCodeCharacters,
  mostDiagnosticEvents,
  mostEventCharacters,
  mostMessageCharacters,
} from '../../messages/limits.ts';
import type { ReportProgressItem } from '../../messages/resource-pool.ts';

/** What a handler said of itself, as one report takes it. */
export function fittingProgress(
  progress: HandlerProgress,
): Pick<ReportProgressItem, 'message' | 'percentComplete' | 'diagnosticEvents' | 'params'> {
  const { message, percentComplete, diagnosticEvents, params } = progress;
  return {
    ...(message === undefined ? {} : { message: cut(message, mostMessageCharacters) }),
    ...(percentComplete === undefined || !Number.isFinite(percentComplete)
      ? {}
      : { percentComplete: Math.min(100, Math.max(0, percentComplete)) }),
    ...(diagnosticEvents === undefined ? {} : { diagnosticEvents: fittingEvents(diagnosticEvents) }),
    ...(params === undefined ? {} : { params }),
  };
}

/** Keeps the last events: the newest tell most about an end. */
export function fittingEvents(events: readonly DiagnosticEvent[]): DiagnosticEvent[] {
  return events.slice(-mostDiagnosticEvents).map(({ message, statusCode, code, time, stackTrace, payload }) => ({
    message: cut(message, mostEventCharacters),
    ...(statusCode === undefined || !Number.isFinite(statusCode) ? {} : { statusCode }),
    ...(code === undefined ? {} : { code: cut(code, mostCodeCharacters) }),
    ...(time === undefined || !Number.isFinite(time) || time < 0 ? {} : { time: Math.round(time) }),
    ...(stackTrace === undefined ? {} : { stackTrace: cut(stackTrace, mostEventCharacters) }),
    ...(payload === undefined ? {} : { payload }),
  }));
}

/** Also what a database cannot hold is replaced: NUL, and half a surrogate pair (a cut may leave one). */
function cut(text: string, most: number): string {
  return (text.length <= most ? text : `${text.slice(0, most - 1)}…`).replaceAll('\0', '\uFFFD').toWellFormed();
}
