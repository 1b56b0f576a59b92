/**
 * How Agendas and Operations end, and why a launch failed: closed lists, each word stable.
 * An outcome says how something ended; a failure category says whose matter the failure of a launch is.
 */

/** How an Agenda ended. */
export const agendaOutcomes = [
  'succeeded',
  'failed',
  'cancelled',
  'expired',
  'timedOut',
  'skipped',
  'superseded',
] as const;
/** One of `agendaOutcomes`. */
export type AgendaOutcome = (typeof agendaOutcomes)[number];

/** How an Operation ended. */
export const operationOutcomes = ['succeeded', 'failed', 'cancelled', 'skipped', 'timedOut', 'abandoned'] as const;
/** One of `operationOutcomes`. */
export type OperationOutcome = (typeof operationOutcomes)[number];

/** How one launch ended. `lost`: it is gone without an end of its own. */
export const launchEndings = ['succeeded', 'failed', 'timedOut', 'lost', 'cancelled', 'abandoned'] as const;
/** One of `launchEndings`. */
export type LaunchEnding = (typeof launchEndings)[number];

/**
 * Whose matter a failure is.
 *
 *   handler         the program said so: an exit code, a failure it reported
 *   timeout         a limit passed, which one is in the code
 *   outOfMemory     the kernel or the cluster ended it for its memory
 *   infrastructure  lost host, eviction, preemption, pool worker gone, disk full, image not there yet: never the
 *                   customer's attempt
 *   configuration   unknown type, a program or image that is missing for good
 *   data            a payload too large, a reference to nothing, a result that is none
 *   cancelled       somebody asked for its end
 */
export const failureCategories = [
  'handler',
  'timeout',
  'outOfMemory',
  'infrastructure',
  'configuration',
  'data',
  'cancelled',
] as const;
/** One of `failureCategories`. */
export type FailureCategory = (typeof failureCategories)[number];

/**
 * What was decided about an Operation when one of its launches had ended. `ended`: that is the Operation's end.
 * `again`: it is launched again.
 */
export const launchDecisions = ['ended', 'again'] as const;
/** One of `launchDecisions`. */
export type LaunchDecision = (typeof launchDecisions)[number];

/** What happens to Agendas and Operations, as the table of events has it. */
export const eventKinds = [
  'agenda.submitted',
  'agenda.admitted',
  'agenda.executing',
  'agenda.failing',
  'agenda.cancelRequested',
  'agenda.complete',
  'operation.executing',
  'operation.retrying',
  'operation.complete',
] as const;
/** One of `eventKinds`. */
export type EventKind = (typeof eventKinds)[number];
