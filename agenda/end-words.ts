/** What is said of the end of an Agenda, and of its Operations that never ran. Pure. */
import type { AgendaOutcome } from './outcomes.ts';
import type { DiagnosticEvent } from './types.ts';
import type { WalkStatus } from './walk.ts';

/** How an Agenda ended. */
export interface AgendaEnd {
  readonly outcome: AgendaOutcome;
  readonly message?: string;
}

/** The Operation that failed first. */
export interface FirstFailure {
  readonly operation: string;
  readonly isTimedOut: boolean;
  /** What the Operation said of it, cut. */
  readonly message?: string | undefined;
}

const longestCause = 1_000;
const mostNamed = 10;

/** Names the Operations that ended an Agenda, in POP's words. */
export function whyFailed(
  outcome: string,
  names: readonly string[],
  statuses: readonly WalkStatus[],
): { message?: string } {
  if (outcome !== 'failed') return {};
  const failed = names.filter((_, index) => statuses[index] === 'failed');
  const more = failed.length > mostNamed ? `, and ${failed.length - mostNamed} more` : '';
  return { message: `Failed to complete operation: ${failed.slice(0, mostNamed).join(', ')}${more}` };
}

/** Of the Operation that failed first, what is told of it. */
export function firstFailureOf({
  operation,
  isTimedOut,
  events,
}: {
  readonly operation: string;
  readonly isTimedOut: boolean;
  readonly events: readonly DiagnosticEvent[] | null;
}): FirstFailure {
  return { operation, isTimedOut, message: events?.[0]?.message.slice(0, longestCause) };
}

/** The end with the words of its first cause behind its own, so that nobody has to look for them. */
export function withCause(end: AgendaEnd, cause: FirstFailure | undefined): AgendaEnd {
  if (cause?.message === undefined) return end;
  return { ...end, message: [end.message, cause.message].filter((part) => part !== undefined).join(': ') };
}

/** What kept the Operations that never ran from starting. */
export function whyNotStarted({ outcome, message }: AgendaEnd, failed: FirstFailure | undefined): string {
  if (failed !== undefined) return `Operation ${failed.operation} ${failed.isTimedOut ? 'timed out' : 'failed'}`;
  if (outcome === 'cancelled') return 'the Agenda was cancelled';
  return message ?? `the Agenda ended ${outcome}`;
}
