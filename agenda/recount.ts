/**
 * The state of an Agenda and of its Operations, from its events alone: what the record must show, too. Pure.
 *
 *   Agenda     submitted ─▶ admitted ─▶ executing ─▶ complete
 *   Operation  executing ─▶ (retrying ─▶ executing …) ─▶ complete
 *
 * `complete` may follow on anything, and nothing follows on it.
 */
import type { AgendaOutcome, EventKind, FailureCategory, OperationOutcome } from './outcomes.ts';
import type { ProcessingState } from './types.ts';

/** One event as the table has it. */
export interface RecordedEvent {
  /** Of its Agenda, from 1 without gaps. */
  readonly number: number;
  /** The Agenda's attempt. */
  readonly attempt: number;
  readonly kind: EventKind;
  /** Epoch milliseconds. */
  readonly time: number;
  /** Of an Operation: its index, launch and operation attempt. */
  readonly index: number | null;
  readonly launch: number | null;
  readonly operationAttempt: number | null;
  readonly outcome: AgendaOutcome | OperationOutcome | null;
  readonly category: FailureCategory | null;
  readonly code: string | null;
  readonly message: string | null;
}

/** An Operation as its events tell. */
export interface RecountedOperation {
  readonly state: ProcessingState;
  readonly outcome: RecordedEvent['outcome'];
  /** The number of its newest launch; 0 until launched. */
  readonly launch: number;
  /** How many launches it had, those included that could not begin. */
  readonly launches: number;
}

/** An Agenda as its events tell. */
export interface RecountedAgenda {
  readonly state: ProcessingState;
  readonly outcome: RecordedEvent['outcome'];
  readonly isAdmitted: boolean;
  readonly failing: boolean;
  readonly cancelRequested: boolean;
  /** By index. */
  readonly operations: readonly RecountedOperation[];
}

/** What an Operation is that no event tells of. */
export const untouchedOperation: RecountedOperation = { state: 'WAITING', outcome: null, launch: 0, launches: 0 };

/**
 * Folds all events of one Agenda that has this many Operations.
 * @throws RangeError where numbers have a gap, or an event cannot follow on those before it
 */
export function recount(events: readonly RecordedEvent[], operations: number): RecountedAgenda {
  const begin: RecountedAgenda = {
    ...{ state: 'WAITING', outcome: null, isAdmitted: false, failing: false, cancelRequested: false },
    operations: Array.from({ length: operations }, () => untouchedOperation),
  };
  return events.reduce((agenda, event, position) => {
    if (event.number !== position + 1) throw new RangeError(`event ${position + 1} has number ${event.number}`);
    if ((event.kind === 'agenda.submitted') !== (position === 0)) throw cannotFollow(event);
    return event.kind.startsWith('operation.') ? tellOperation(agenda, event) : tellAgenda(agenda, event);
  }, begin);
}

function tellAgenda(agenda: RecountedAgenda, event: RecordedEvent): RecountedAgenda {
  if (agenda.state === 'COMPLETE') throw cannotFollow(event);
  const { kind } = event;
  if (kind === 'agenda.admitted' && !agenda.isAdmitted) return { ...agenda, isAdmitted: true };
  if (kind === 'agenda.executing' && agenda.isAdmitted && agenda.state === 'WAITING')
    return { ...agenda, state: 'EXECUTING' };
  if (kind === 'agenda.failing' && !agenda.failing) return { ...agenda, failing: true };
  if (kind === 'agenda.cancelRequested' && !agenda.cancelRequested) return { ...agenda, cancelRequested: true };
  if (kind === 'agenda.complete') {
    if (event.outcome === null || agenda.operations.some(({ state }) => state !== 'COMPLETE'))
      throw cannotFollow(event);
    return { ...agenda, state: 'COMPLETE', outcome: event.outcome };
  }
  if (kind === 'agenda.submitted') return agenda;
  throw cannotFollow(event);
}

function tellOperation(agenda: RecountedAgenda, event: RecordedEvent): RecountedAgenda {
  const operation = event.index === null ? undefined : agenda.operations[event.index];
  if (operation === undefined || event.index === null || agenda.state === 'COMPLETE') throw cannotFollow(event);
  return { ...agenda, operations: agenda.operations.with(event.index, nextOperation(operation, event)) };
}

function nextOperation(operation: RecountedOperation, event: RecordedEvent): RecountedOperation {
  const launch = event.launch ?? 0;
  if (operation.state === 'COMPLETE' || launch < operation.launch) throw cannotFollow(event);
  const isFresh = launch > operation.launch;
  const launched = { ...operation, launch, launches: operation.launches + (isFresh ? 1 : 0) };
  if (event.kind === 'operation.executing' && isFresh) return { ...launched, state: 'EXECUTING' };
  // One request of two workers may begin a launch and take it away: of that only the end is told.
  if (event.kind === 'operation.retrying' && (operation.state === 'EXECUTING' || isFresh))
    return { ...launched, state: 'EXECUTING' };
  if (event.kind === 'operation.complete' && event.outcome !== null)
    return { ...launched, state: 'COMPLETE', outcome: event.outcome };
  throw cannotFollow(event);
}

const cannotFollow = ({ number, kind, index }: RecordedEvent): RangeError =>
  new RangeError(
    `event ${number}, ${kind}${index === null ? '' : ` of Operation ${index}`}, cannot follow on those before it`,
  );
