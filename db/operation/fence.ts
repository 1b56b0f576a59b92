/**
 * The fenced record of running Operations, as pool workers (and the control worker, for resident types) read and write
 * it.
 *
 *   WAITING --startOperations--> EXECUTING --finishOperations--> COMPLETE (succeeded | failed | cancelled)
 *                                   │  ▲
 *              the launch was lost  ▼  │  startOperations, not before againTime
 *                            EXECUTING, with againTime: nothing of it runs
 *
 * Everything takes the Agenda's lock first (its row in running_agenda, by id), so it never meets half a cancel or half
 * an end; no such row, or another attempt in it, means the Agenda is over for this caller. A report counts only with
 * the current operation attempt and launch; a repeat of a report that counted is answered as before and changes
 * nothing.
 */
import type { DiagnosticEvent, OperationTimeout } from '../../agenda/types.ts';
import type { Statements } from '../connect.ts';
import { few } from '../few.ts';
import { storable } from '../storable.ts';

/** An Operation of a running Agenda, as far as its callers ask. `n`: its place in the request, from 1. */
export interface OperationRow {
  readonly n: number;
  readonly agenda_id: string;
  readonly index: number;
  readonly type: string;
  readonly given_id: string | null;
  readonly payload: string | null;
  readonly timeout: OperationTimeout | null;
  readonly processing_state: string;
  readonly processing_state_message: string;
  readonly percent_complete: number;
  readonly params: unknown;
  readonly diagnostic_events: readonly DiagnosticEvent[] | null;
  readonly attempt_count: number;
  readonly launch: number;
  readonly place: string | null;
  readonly progress_id: string;
  readonly customer_id: string;
  readonly insight_id: string;
  readonly cid: string;
  readonly cancelled: boolean;
  /** An Operation of its Agenda was started before. */
  readonly left_queue: boolean;
  /** Its Agenda's last sign of life is a while ago. */
  readonly quiet: boolean;
  /**
   * Its newest launch has ended and it waits for the next: how long still, at least 0. Null: its newest launch counts.
   */
  readonly again_milliseconds: number | null;
  /** How long its launch could not be started by now; null while nothing hinders it. */
  readonly blocked_milliseconds: number | null;
  /** When its handler last said something by itself, in epoch milliseconds. */
  readonly reported_milliseconds: number | null;
  /** Something that it depends on has not succeeded yet; with `contents` only. */
  readonly early: boolean;
  /** What its Customer is set to; with `contents` only, and null where it is set to nothing. */
  readonly namespace: string | null;
  /** The rows before it have as much content as was asked for: of this one none is here. */
  readonly beyond: boolean;
}

/** Takes the locks of these Agendas, in one order for everybody, and nothing of Agendas of another pool. */
export const lockAgendas = (sql: Statements, resourcePoolId: string, agendaIds: readonly string[]) => sql`
  /* fence: lock Agendas */
  select agenda_id from running_agenda
  where agenda_id = any(${agendaIds.map(storable)}) and resource_pool_id = ${resourcePoolId}
  order by agenda_id for update`;

/**
 * The Operations asked for, as far as their Agendas run in this pool with that attempt. `contents` brings what can be
 * large, too: until there are so many bytes of it, and of the next Operations none.
 */
export const readOperations = (
  sql: Statements,
  resourcePoolId: string,
  items: readonly { agendaId: string; attempt: number; operation: string }[],
  contents?: { readonly mostBytes: number },
) => {
  const asked = sql`unnest(${items.map((i) => storable(i.agendaId))}::text[], ${items.map((i) => i.attempt)}::int[],
    ${items.map((i) => storable(i.operation))}::text[])
    with ordinality as given(agenda_id, attempt, operation, n)`;
  return sql<OperationRow[]>`
  /* fence: read Operations */
  select i.n::int, p.agenda_id, p.index, o.type, o.given_id,
    ${contents ? contentsOf(sql, contents.mostBytes) : sql`null as payload, null as namespace`},
    o.timeout, p.processing_state, p.processing_state_message, p.percent_complete, p.attempt_count, p.launch, p.place,
    p.id as progress_id, p.customer_id, r.insight_id, p.cid, a.cancel_requested_time is not null as cancelled,
    r.left_queue_time is not null as left_queue,
    r.seen_time < clock_timestamp() - interval '1 second' as quiet,
    case when p.again_time is not null
      then greatest(0, ceil(extract(epoch from p.again_time - clock_timestamp()) * 1000)) end::float8
      as again_milliseconds,
    case when p.blocked_since is not null
      then greatest(0, extract(epoch from clock_timestamp() - p.blocked_since) * 1000) end::float8
      as blocked_milliseconds,
    floor(extract(epoch from p.reported_time) * 1000)::float8 as reported_milliseconds
  from ${few(sql, asked, items.length)} i
  join running_agenda r on r.agenda_id = i.agenda_id and r.attempt = i.attempt
    and r.resource_pool_id = ${resourcePoolId}
  join agenda a on a.id = i.agenda_id
  join operation o on o.agenda_id = i.agenda_id and o.name = i.operation
  join operation_progress p on p.agenda_id = o.agenda_id and p.index = o.index
  order by i.n`;
};

/** Columns of what can be large, each row as long as those before it have fewer than so many bytes. */
function contentsOf(sql: Statements, mostBytes: number) {
  // The first launch has no last progress; what it would be is unpacked only where it is sent.
  const bytes = sql`coalesce(octet_length(o.payload), 0) + case when p.launch > 0
    then coalesce(octet_length(p.params::text), 0) + coalesce(octet_length(p.diagnostic_events::text), 0) else 0 end`;
  const beyond = sql`coalesce(
    sum(${bytes}) over (order by i.n rows between unbounded preceding and 1 preceding) >= ${mostBytes}::float8, false)`;
  return sql`case when not ${beyond} then o.payload end as payload, case when not ${beyond} then p.params end as params,
    case when not ${beyond} then p.diagnostic_events end as diagnostic_events, ${beyond} as beyond,
    ${isEarly(sql)} as early,
    (select c.namespace from customer c where c.id = p.customer_id)`;
}

/** Something that the Operation `o` depends on has not succeeded. */
const isEarly = (sql: Statements) => sql`exists (
  select 1 from unnest(o.dependencies) as d(index)
  join operation_progress q on q.agenda_id = o.agenda_id and q.index = d.index
  where q.processing_state <> 'COMPLETE' or q.processing_state_message <> 'succeeded')`;

/**
 * Says that these Agendas live, to the sweep and to who watches `updatedTime`: those that were quiet, for in a burst of
 * reports each would write the same two rows again.
 */
export function touchQuiet(sql: Statements, rows: readonly OperationRow[], agendaIds: ReadonlySet<string>) {
  const quiet = distinct(rows.filter((row) => row.quiet && agendaIds.has(row.agenda_id)).map((row) => row.agenda_id));
  if (quiet.length === 0) return undefined;
  return sql`
    /* fence: touch quiet */
    with seen as (update running_agenda set seen_time = clock_timestamp() where agenda_id = any(${quiet}))
    update agenda_progress set updated_time = clock_timestamp()
    where agenda_id = any(${quiet}) and processing_state <> 'COMPLETE'`;
}

/** A report of the newest launch. */
export const isNewest = (row: OperationRow, item: { operationAttempt: number; launch: number }): boolean =>
  row.attempt_count === item.operationAttempt && row.launch === item.launch;

/** A report of the launch that counts: the newest one, unless that was lost already. */
export const isCurrent = (row: OperationRow, item: { operationAttempt: number; launch: number }): boolean =>
  isNewest(row, item) && row.again_milliseconds === null;

/** Each once, in the order in which they come first. */
export const distinct = (values: readonly string[]): string[] => [...new Set(values)];
