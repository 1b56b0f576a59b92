/** How Operations of a running attempt ended, for its walker. */
import type { OperationOutcome } from '../../agenda/outcomes.ts';
import type { Database, Sql, Statements } from '../connect.ts';
import { type AttemptKey, eventsText } from './attempt.ts';

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
 * pool hears of that before the workflow does, and stops. Undefined when the attempt is no longer the running one.
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

  const given = operations.filter((operation) => operation.without !== undefined);
  return database.$client.begin(async (sql) => {
    const [held] = await sql`
      /* settleOperations: lock attempt */
      select 1 from running_agenda
      where agenda_id = ${key.agendaId} and attempt = ${key.attempt} for update`;
    if (held === undefined) return undefined;
    if (given.length > 0) await giveEndings(sql, key, given);
    return readEndings(sql, key, operations);
  }) as Promise<SettledOperation[] | undefined>;
}

function giveEndings(sql: Statements, { agendaId }: AttemptKey, given: readonly OperationToSettle[]) {
  const values = given.map(({ index, without, fault }) => ({
    index,
    without,
    events: fault === undefined ? null : eventsText({ message: fault, code: 'noEnding', time: Date.now() }),
  }));
  return sql`
    /* settleOperations: give endings */
    update operation_progress p set
      processing_state = 'COMPLETE',
      launch = p.launch + 1,
      processing_state_message = case when s.without = 'failed' and a.cancel_requested_time is not null
        then 'cancelled' else s.without end,
      diagnostic_events = coalesce(s.events::json, p.diagnostic_events),
      completed_time = clock_timestamp(),
      updated_time = clock_timestamp()
    from json_to_recordset(${JSON.stringify(values)}::json) as s(index int, without text, events text), agenda a
    where p.agenda_id = ${agendaId} and a.id = p.agenda_id and p.index = s.index
      and p.processing_state <> 'COMPLETE'`;
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
