/**
 * One running attempt of an Agenda in the record: claimed by a workflow run, settled Operation by Operation, finished once.
 *
 *   running_agenda row --claimAttempt--> holds run_id --finishAgenda--> row gone, AgendaProgress COMPLETE
 *
 * Each function is conditional on agenda, attempt and run, and idempotent: a workflow may ask again after any crash.
 */
import type { AgendaOutcome, DiagnosticEvent, OperationOutcome, OperationTimeout } from '../../agenda/types.ts';
import { settleEnded } from '../admission/settlement.ts';
import type { Database, Statements } from '../connect.ts';
import { storable } from '../storable.ts';

interface AttemptKey {
  readonly agendaId: string;
  readonly attempt: number;
}

export type Claim =
  | { readonly kind: 'claimed'; readonly resourcePoolId: string; readonly cancelled: boolean }
  /** Another run holds it; whether that run is still open is Temporal's to say. */
  | { readonly kind: 'heldBy'; readonly runId: string }
  | { readonly kind: 'over' };

/** Claims the attempt for a workflow run, in place of `insteadOf` when that run is known to be closed. */
export async function claimAttempt(
  database: Database,
  key: AttemptKey & { runId: string; insteadOf?: string },
): Promise<Claim> {
  const sql = database.$client;
  const [row] = await sql<{ resource_pool_id: string }[]>`
    update running_agenda set run_id = ${key.runId}, seen_time = clock_timestamp(), started_time = coalesce(started_time, clock_timestamp())
    where agenda_id = ${key.agendaId} and attempt = ${key.attempt}
      and (run_id is null or run_id = ${key.runId} or run_id = ${key.insteadOf ?? null})
    returning resource_pool_id`;
  if (row !== undefined) {
    // A statement of its own: the update may have waited for a cancel, which one that began before it would not see.
    const [agenda] = await sql<{ cancelled: boolean }[]>`
      select cancel_requested_time is not null as cancelled from agenda where id = ${key.agendaId}`;
    return { kind: 'claimed', resourcePoolId: row.resource_pool_id, cancelled: agenda?.cancelled === true };
  }
  const [held] = await sql<{ run_id: string }[]>`
    select run_id from running_agenda where agenda_id = ${key.agendaId} and attempt = ${key.attempt} and run_id is not null`;
  return held === undefined ? { kind: 'over' } : { kind: 'heldBy', runId: held.run_id };
}

export interface PlannedOperation {
  readonly name: string;
  readonly type: string;
  readonly dependencies: readonly number[];
  readonly timeout: OperationTimeout | null;
  readonly state: string;
  readonly message: string;
}

/** What a walker needs to know of an Agenda, Operations in declaration order; the weight is its customer's in its Insight. */
export async function readPlan(
  database: Database,
  agendaId: string,
): Promise<{ customerId: string; weight: number; parallelism: number | null; operations: PlannedOperation[] }> {
  const sql = database.$client;
  const [[agenda], operations] = await Promise.all([
    sql<{ customer_id: string; weight: number; parallelism: number | null }[]>`
      select a.customer_id, a.parallelism, coalesce((i.customers->a.customer_id->>'weight')::float8, c.weight, 1) as weight
      from agenda a left join insight i on i.id = a.insight_id left join customer c on c.id = a.customer_id where a.id = ${agendaId}`,
    sql<PlannedOperation[]>`
      select o.name, o.type, o.dependencies, o.timeout, p.processing_state as state, p.processing_state_message as message
      from operation o join operation_progress p on p.agenda_id = o.agenda_id and p.index = o.index
      where o.agenda_id = ${agendaId} order by o.index`,
  ]);
  if (agenda === undefined) throw new Error(`Agenda ${agendaId} is not in the record`);
  return {
    customerId: agenda.customer_id,
    weight: agenda.weight,
    parallelism: agenda.parallelism,
    operations: [...operations],
  };
}

export interface OperationToSettle {
  readonly index: number;
  /** The ending it is given when the record has none. */
  readonly without?: OperationOutcome;
  /** Why, for its diagnostics. */
  readonly fault?: string;
}

export interface SettledOperation {
  readonly index: number;
  readonly outcome: OperationOutcome | 'waiting' | 'executing';
}

/**
 * How Operations ended, from the record. Where it has no ending, `without` becomes it, and the launch number is raised so that
 * a report that comes late is refused. `failed` becomes `cancelled` once a cancel was asked for: the pool hears of that before the
 * workflow does, and stops. Undefined when the attempt is no longer the running one.
 */
export async function settleOperations(
  database: Database,
  key: AttemptKey,
  operations: readonly OperationToSettle[],
): Promise<SettledOperation[] | undefined> {
  // An ending is final: where all are there, as after most waits, they are read without a lock.
  const ended = await readEndings(database.$client, key, operations);
  if (
    ended.length === operations.length &&
    ended.every(({ outcome }) => outcome !== 'waiting' && outcome !== 'executing')
  )
    return ended;

  const given = operations.filter((operation) => operation.without !== undefined);
  return database.$client.begin(async (sql) => {
    const [held] =
      await sql`select 1 from running_agenda where agenda_id = ${key.agendaId} and attempt = ${key.attempt} for update`;
    if (held === undefined) return undefined;
    const values = given.map(({ index, without, fault }) => ({
      ...{ index, without },
      events: fault === undefined ? null : eventsText({ message: fault, code: 'noEnding', time: Date.now() }),
    }));
    if (given.length > 0)
      await sql`
        update operation_progress p set processing_state = 'COMPLETE', launch = p.launch + 1,
          processing_state_message = case when s.without = 'failed' and a.cancel_requested_time is not null then 'cancelled' else s.without end,
          diagnostic_events = coalesce(s.events::json, p.diagnostic_events), completed_time = clock_timestamp(), updated_time = clock_timestamp()
        from json_to_recordset(${JSON.stringify(values)}::json) as s(index int, without text, events text), agenda a
        where p.agenda_id = ${key.agendaId} and a.id = p.agenda_id and p.index = s.index and p.processing_state <> 'COMPLETE'`;
    return readEndings(sql, key, operations);
  }) as Promise<SettledOperation[] | undefined>;
}

/** How these Operations of a running attempt stand, in order of their index. */
async function readEndings(
  sql: Statements | Database['$client'],
  key: AttemptKey,
  operations: readonly OperationToSettle[],
) {
  const rows = await sql<{ index: number; state: string; message: OperationOutcome }[]>`
    select p.index, p.processing_state as state, p.processing_state_message as message
    from running_agenda r join operation_progress p on p.agenda_id = r.agenda_id
    where r.agenda_id = ${key.agendaId} and r.attempt = ${key.attempt} and p.index = any(${operations.map((operation) => operation.index)}::int[])
    order by p.index`;
  return rows.map(
    ({ index, state, message }): SettledOperation => ({
      index,
      outcome: state === 'COMPLETE' ? message : state === 'EXECUTING' ? 'executing' : 'waiting',
    }),
  );
}

/** Diagnostics as JSON that Postgres takes for `json` and for `jsonb`. */
const eventsText = (...events: DiagnosticEvent[]): string =>
  JSON.stringify(events.map((event) => ({ ...event, message: storable(event.message) })));

export interface AgendaEnd {
  readonly outcome: AgendaOutcome;
  readonly message?: string;
}

/** Who is told after an end: Insights with waiting Agendas that the freed place may serve. */
export interface FinishAnswer {
  readonly outcome: AgendaOutcome | 'over';
  readonly wakeInsights: readonly string[];
  /** For the log line of the end. */
  readonly line?: EndedProgress & { readonly insightId: string };
}

/**
 * Ends the attempt: state, attempts, the place given back, what admission is to know, audit, in one transaction. With `runId`
 * only for the run that claimed it (or before any claim); without, for the sweep, whatever run held it.
 */
export async function finishAgenda(
  database: Database,
  key: AttemptKey & { runId?: string },
  end: AgendaEnd,
): Promise<FinishAnswer> {
  const ended = (await database.$client.begin(async (sql) => {
    const [held] = await sql<{ resourcePoolId: string; insightId: string; customerId: string }[]>`
      select resource_pool_id as "resourcePoolId", insight_id as "insightId", customer_id as "customerId" from running_agenda
      where agenda_id = ${key.agendaId} and attempt = ${key.attempt} ${key.runId === undefined ? sql`` : sql`and (run_id is null or run_id = ${key.runId})`}
      for update`;
    if (held === undefined) return undefined;
    const cause = end.outcome === 'failed' ? await firstCause(sql, key.agendaId) : undefined;
    const told =
      cause === undefined
        ? end
        : { ...end, message: [end.message, cause].filter((part) => part !== undefined).join(': ') };
    const [, , line] = await Promise.all([
      // A submission of a limited customer that is under way shares its customer's row: it is waited for, so that its Insight is told of this end.
      sql`select from customer where id = ${held.customerId} and maximum_running is not null for update`,
      sql`
        update operation_progress set processing_state = 'COMPLETE', processing_state_message = 'abandoned', launch = launch + 1,
          completed_time = clock_timestamp(), updated_time = clock_timestamp()
        where agenda_id = ${key.agendaId} and processing_state = 'EXECUTING'`,
      endProgress(sql, key.agendaId, told, 'system'),
      sql`delete from running_agenda where agenda_id = ${key.agendaId}`,
      settleEnded(sql, { ...held, agendaId: key.agendaId, attempt: key.attempt }),
    ]);
    return { held, line };
  })) as { held: { resourcePoolId: string; insightId: string }; line: EndedProgress | undefined } | undefined;
  if (ended === undefined) return { outcome: 'over', wakeInsights: [] };
  const { held, line } = ended;
  // After the commit: what came to wait before it may have found no place, what comes later wakes by itself.
  const wake = await database.$client<{ id: string }[]>`
    select id from insight i where i.resource_pool_id = ${held.resourcePoolId}
      and exists (select 1 from ready_agenda w where w.insight_id = i.id)`;
  const wakeInsights = wake.map((row) => row.id);
  return {
    outcome: end.outcome,
    wakeInsights,
    ...(line === undefined ? {} : { line: { ...line, insightId: held.insightId } }),
  };
}

const longestCause = 1_000;

/** What the first Operation that failed said of it, so that nobody has to look for it. */
async function firstCause(sql: Statements, agendaId: string): Promise<string | undefined> {
  const [failed] = await sql<{ events: readonly DiagnosticEvent[] | null }[]>`
    select diagnostic_events as events from operation_progress
    where agenda_id = ${agendaId} and processing_state = 'COMPLETE' and processing_state_message = 'failed'
    order by completed_time, index limit 1`;
  return failed?.events?.[0]?.message.slice(0, longestCause);
}

/** What an end tells the log: all ids of the Agenda, and seconds since its submission. */
export interface EndedProgress {
  readonly cid: string;
  readonly progressId: string;
  readonly customerId: string;
  readonly linkId: string | null;
  readonly externalId: string | null;
  readonly seconds: number;
}

/** The AgendaProgress of an end, and its audit entry; shared by every way in which an Agenda ends. */
export async function endProgress(sql: Statements, agendaId: string, end: AgendaEnd, actor: string) {
  const message = end.message === undefined ? undefined : storable(end.message);
  const events = message === undefined ? null : eventsText({ message, code: end.outcome, time: Date.now() });
  const [row] = await sql<EndedProgress[]>`
    with ended as (
      update agenda_progress set processing_state = 'COMPLETE', processing_state_message = ${end.outcome},
        percent_complete = case when ${end.outcome} = 'succeeded' then 100 else percent_complete end,
        attempts_completed = attempts_completed + 1, completed_time = clock_timestamp(), updated_time = clock_timestamp(),
        admitted_time = (select r.admitted_time from running_agenda r where r.agenda_id = ${agendaId}),
        diagnostic_events = case when ${events}::text is null then diagnostic_events
          else (coalesce(diagnostic_events::jsonb, '[]') || ${events}::text::jsonb)::json end
      where agenda_id = ${agendaId} and processing_state <> 'COMPLETE'
      returning id, agenda_id, cid, customer_id, link_id, external_id, extract(epoch from clock_timestamp() - added_time)::float8 as seconds),
    audited as (
      insert into audit_entry (customer_id, actor, action, object_id, cid, after)
      select customer_id, ${actor}, 'agenda.end', agenda_id, cid, ${JSON.stringify({ outcome: end.outcome, ...(message === undefined ? {} : { message }) })}::json
      from ended)
    select cid, id as "progressId", customer_id as "customerId", link_id as "linkId", external_id as "externalId", seconds from ended`;
  return row;
}

/** The pool in which this attempt runs; undefined when it is not the running one. */
export async function readPool(database: Database, key: AttemptKey): Promise<string | undefined> {
  const [row] = await database.$client<{ resource_pool_id: string }[]>`
    select resource_pool_id from running_agenda where agenda_id = ${key.agendaId} and attempt = ${key.attempt}`;
  return row?.resource_pool_id;
}
