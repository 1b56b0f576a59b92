/** Cuts what handlers say to what the ResourcePool service takes, so that a talkative handler is shortened rather than refused. */
import type { DiagnosticEvent } from '../../agenda/types.ts';
import type { ReportProgressItem } from '../../api/pool/service-schema.ts';
import type { HandlerProgress } from '../../launchers/launcher.ts';

const mostMessage = 4_096;
const mostText = 65_536;
const mostCode = 200;
const mostEvents = 1_000;

export function fittingProgress(
  progress: HandlerProgress,
): Pick<ReportProgressItem, 'message' | 'percentComplete' | 'diagnosticEvents' | 'params'> {
  const { message, percentComplete, diagnosticEvents, params } = progress;
  return {
    ...(message === undefined ? {} : { message: cut(message, mostMessage) }),
    ...(percentComplete === undefined || !Number.isFinite(percentComplete)
      ? {}
      : { percentComplete: Math.min(100, Math.max(0, percentComplete)) }),
    ...(diagnosticEvents === undefined ? {} : { diagnosticEvents: fittingEvents(diagnosticEvents) }),
    ...(params === undefined ? {} : { params: params as NonNullable<ReportProgressItem['params']> }),
  };
}

/** Keeps the last events: the newest tell most about an end. */
export function fittingEvents(events: readonly DiagnosticEvent[]): NonNullable<ReportProgressItem['diagnosticEvents']> {
  return events.slice(-mostEvents).map(({ message, statusCode, code, time, stackTrace, payload }) => ({
    message: cut(message, mostText),
    ...(statusCode === undefined || !Number.isFinite(statusCode) ? {} : { statusCode }),
    ...(code === undefined ? {} : { code: cut(code, mostCode) }),
    ...(time === undefined || !Number.isFinite(time) || time < 0 ? {} : { time: Math.round(time) }),
    ...(stackTrace === undefined ? {} : { stackTrace: cut(stackTrace, mostText) }),
    ...(payload === undefined ? {} : { payload: payload as NonNullable<ReportProgressItem['params']>[string] }),
  }));
}

/** Also what a database cannot hold is replaced: NUL, and half a surrogate pair (a cut may leave one). */
function cut(text: string, most: number): string {
  return (text.length <= most ? text : `${text.slice(0, most - 1)}…`).replaceAll('\0', '\uFFFD').toWellFormed();
}
