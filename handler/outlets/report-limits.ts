/** Most of what one report may hold, as POP's api says; a longer text is cut, and an event too many is dropped. */
import type { Progress } from '../progress.ts';
import type { DiagnosticEvent } from '../types.ts';

/** Characters of what a handler says it is doing. */
export const mostMessageCharacters = 4_096;
/** Diagnostic events in one report. */
export const mostDiagnosticEvents = 1_000;
/** Characters of the message, and of the stack trace, of a diagnostic event. */
export const mostEventCharacters = 65_536;
/** Characters of the code of a diagnostic event. */
export const mostCodeCharacters = 200;

/** The progress as every reader takes it: the last events, texts cut, and no character that a database refuses. */
export function withinLimits(progress: Progress): Progress {
  const { message, diagnosticEvents } = progress;
  return {
    ...progress,
    ...(message !== undefined && { message: textOf(message, mostMessageCharacters) }),
    diagnosticEvents: diagnosticEvents.slice(-mostDiagnosticEvents).map(eventOf),
  };
}

function eventOf(event: DiagnosticEvent): DiagnosticEvent {
  const { message, code, stackTrace } = event;
  return {
    ...event,
    message: textOf(message, mostEventCharacters),
    ...(code !== undefined && { code: textOf(code, mostCodeCharacters) }),
    ...(stackTrace !== undefined && { stackTrace: textOf(stackTrace, mostEventCharacters) }),
  };
}

const textOf = (text: string, most: number): string => text.replaceAll('\0', '�').slice(0, most).toWellFormed();
