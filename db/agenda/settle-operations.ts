/** How Operations of a running attempt ended, for its walker. */
import type { OperationOutcome } from '../../agenda/outcomes.ts';
import type { Database, Sql } from '../connect.ts';
import { endUnreported, type UnreportedEnd } from '../operation/end-unreported.ts';
import { type AttemptKey, eventsText } from './attempt.ts';
import { markFailing } from './mark-failing.ts';

/** An Operation that is asked for. */
export interface OperationToSettle {
  readonly index: number;
  /** The ending it is given when the record has none. */
  readonly without?: OperationOutcome;
  /** Why, for its diagnostics. */
  readonly fault?: string;
}

/** How it stands. */
export interface SettledOperation {
  readonly index: number;
  readonly outcome: OperationOutcome | 'waiting' | 'executing';
}

/**
 * Tells how Operations ended, from the record. Where it has no ending, `without` becomes it, and the launch number is
 * raised so that a report that comes late is refused. `failed` becomes `cancelled` once a cancel was asked for: the
 * pool hears of that before the workflow does, and stops. What only waits to be launched again is cancelled with it.
 * Undefined when the attempt is no longer the running one.
 */
export async function settleOperations(
  database: Database,
  key: AttemptKey,
  operations: readonly OperationToSettle[],
): Promise<SettledOperation[] | undefined> {
  // An ending is final: where all are there, as after most waits, they are read without a lock.
  const ended = await readEndings(database.$client, key, operations);
  const isOpen = ({ outcome }: SettledOperation) => outcome === 'waiting' || outcome === 'executing';
  if (ended.length === operations.length && !ended.some(isOpen)) return ended;

  return database.$client.begin(async (sql) => {
    const [held] = await sql`
      /* settleOperations: lock attempt */
      select 1 from running_agenda
      where agenda_id = ${key.agendaId} and attempt = ${key.attempt} for update`;
    if (held === undefined) return undefined;
    // A statement of its own: the lock may have waited for a cancel, which one that began before it would not see.
    const [agenda] = await sql<{ cancelled: boolean }[]>`
      /* settleOperations: cancel */
      select cancel_requested_time is not null as cancelled from agenda where id = ${key.agendaId}`;
    const ends = operations.flatMap((operation) => unreportedEnd(operation, agenda?.cancelled === true));
    if (ends.length > 0) await Promise.all([endUnreported(sql, key, ends), markFailing(sql, [key.agendaId])]);
    return readEndings(sql, key, operations);
  }) as Promise<SettledOperation[] | undefined>;
}

/**
 * The end that an Operation is given where the record has none; of what waits to be launched, a cancel leaves nothing
 * to stop.
 */
function unreportedEnd({ index, without, fault }: OperationToSettle, cancelled: boolean): UnreportedEnd[] {
  if (without === undefined) return cancelled ? [{ index, outcome: 'cancelled', events: null, onlyIdle: true }] : [];
  const outcome = without === 'failed' && cancelled ? 'cancelled' : without;
  const events = fault === undefined ? null : eventsText({ message: fault, code: 'noEnding', time: Date.now() });
  return [{ index, outcome, events }];
}

/** How these Operations of a running attempt stand, in order of their index. */
async function readEndings(
  sql: Sql,
  { agendaId, attempt }: AttemptKey,
  operations: readonly OperationToSettle[],
): Promise<SettledOperation[]> {
  const rows = await sql<{ index: number; state: string; message: OperationOutcome }[]>`
    /* settleOperations: endings */
    select p.index, p.processing_state as state, p.processing_state_message as message
    from running_agenda r join operation_progress p on p.agenda_id = r.agenda_id
    where r.agenda_id = ${agendaId} and r.attempt = ${attempt}
      and p.index = any(${operations.map((operation) => operation.index)}::int[])
    order by p.index`;
  return rows.map(({ index, state, message }) => ({
    index,
    outcome: state === 'COMPLETE' ? message : state === 'EXECUTING' ? 'executing' : 'waiting',
  }));
}
