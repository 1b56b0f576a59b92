/**
 * Changes of Operations in the record, as one statement writes them: `operation_progress`, which shows the newest
 * launch, and the row of that launch in `operation_attempt`, which no later launch touches.
 */
import type { FailureCategory, LaunchDecision, LaunchEnding } from '../../agenda/outcomes.ts';
import type { DiagnosticEvent, JsonObject } from '../../agenda/types.ts';
import type { Statements } from '../connect.ts';
import { mostMessageCharacters, operationEvents } from '../event/write-events.ts';
import { few } from '../few.ts';
import { storable } from '../storable.ts';

/** One change of an Operation and of its launch `launch`; what is null stays as it is. */
export interface Change {
  readonly agendaId: string;
  readonly index: number;
  /** Of the Agenda. */
  readonly attempt: number;
  readonly state: 'EXECUTING' | 'COMPLETE';
  readonly message: string | null;
  readonly percent: number | null;
  readonly result: string | null;
  readonly diagnosticEvents: readonly DiagnosticEvent[] | null;
  readonly params: JsonObject | null;
  /** Of the Operation: its attempts that count. */
  readonly attemptCount: number;
  readonly launch: number;
  readonly launcher: string | null;
  readonly place: string | null;
  readonly worker: string | null;
  /** A new launch: what is shown of it begins anew. */
  readonly fresh: boolean;
  /** Times in epoch milliseconds. */
  readonly scheduled: number | null;
  readonly pulled: number | null;
  readonly started: number | null;
  readonly ended: number | null;
  readonly noticed: number | null;
  /** How the launch ended; null while it runs. */
  readonly ending: LaunchEnding | null;
  readonly category: FailureCategory | null;
  readonly code: string | null;
  readonly decision: LaunchDecision | null;
  /** With the decision `again`: how long the next launch waits. */
  readonly againInMilliseconds: number | null;
  /** Why the launch cannot be started now. */
  readonly blocked: string | null;
  /** The handler said it by itself. */
  readonly byHandler: boolean;
}

/** What a change leaves as it is. */
export const unchanged: Omit<Change, 'agendaId' | 'index' | 'attempt' | 'state' | 'attemptCount' | 'launch'> = {
  message: null,
  percent: null,
  result: null,
  diagnosticEvents: null,
  params: null,
  launcher: null,
  place: null,
  worker: null,
  fresh: false,
  scheduled: null,
  pulled: null,
  started: null,
  ended: null,
  noticed: null,
  ending: null,
  category: null,
  code: null,
  decision: null,
  againInMilliseconds: null,
  blocked: null,
  byHandler: false,
};

/**
 * As one column of a parameter; Postgres can hold no NUL and no half of a surrogate pair, and JSON is text until it is
 * in its column.
 */
function texts(changes: readonly Change[], read: (change: Change) => string | null): (string | null)[] {
  return changes.map((change) => {
    const value = read(change);
    return value === null ? null : storable(value);
  });
}

const jsonOf = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

/** What the end of a launch tells people, for its event. */
const saidAtEnd = ({ ending, diagnosticEvents }: Change): string | null =>
  ending === null ? null : (diagnosticEvents?.[0]?.message.slice(0, mostMessageCharacters) ?? null);

/** The changes as rows of `c`, which are looked up each by its key. */
function rowsOf(sql: Statements, changes: readonly Change[]) {
  const numbers = (read: (change: Change) => number | null) => sql`${changes.map(read)}::float8[]`;
  const integers = (read: (change: Change) => number) => sql`${changes.map(read)}::int[]`;
  const words = (read: (change: Change) => string | null) => sql`${texts(changes, read)}::text[]`;
  const rows = sql`unnest(
      ${words((c) => c.agendaId)}, ${integers((c) => c.index)}, ${integers((c) => c.attempt)},
      ${words((c) => c.state)}, ${words((c) => c.message)}, ${numbers((c) => c.percent)}, ${words((c) => c.result)},
      ${words((c) => jsonOf(c.diagnosticEvents))}, ${words((c) => jsonOf(c.params))},
      ${integers((c) => c.attemptCount)}, ${integers((c) => c.launch)},
      ${words((c) => c.launcher)}, ${words((c) => c.place)}, ${words((c) => c.worker)},
      ${changes.map((c) => String(c.fresh))}::text[]::boolean[],
      ${numbers((c) => c.scheduled)}, ${numbers((c) => c.pulled)}, ${numbers((c) => c.started)},
      ${numbers((c) => c.ended)}, ${numbers((c) => c.noticed)},
      ${words((c) => c.ending)}, ${words((c) => c.category)}, ${words((c) => c.code)}, ${words((c) => c.decision)},
      ${numbers((c) => c.againInMilliseconds)}, ${words((c) => c.blocked)}, ${words(saidAtEnd)},
      ${changes.map((c) => String(c.byHandler))}::text[]::boolean[]
    ) as c(agenda_id, index, attempt, state, message, percent, result, diagnostic_events, params, attempt_count, launch,
      launcher, place, worker, fresh, scheduled, pulled, started, ended, noticed, ending, category, code, decision,
      again, blocked, said, by_handler)`;
  return sql`${few(sql, rows, changes.length)} c`;
}

/** What a change makes of `p`, a row of operation_progress. */
const progressOf = (sql: Statements) => sql`
  processing_state = c.state,
  processing_state_message = coalesce(c.message, p.processing_state_message),
  outcome = case when c.state = 'COMPLETE' then case when c.category = 'timeout' then 'timedOut' else c.message end end,
  percent_complete = case when c.fresh then coalesce(c.percent, 0)
    else greatest(p.percent_complete, coalesce(c.percent, 0)) end,
  result_payload = coalesce(c.result, p.result_payload),
  diagnostic_events = case when c.fresh then c.diagnostic_events::json
    else coalesce(c.diagnostic_events::json, p.diagnostic_events) end,
  params = coalesce(c.params::json, p.params),
  attempt_count = c.attempt_count,
  attempt_time = case when c.attempt_count > p.attempt_count then clock_timestamp() else p.attempt_time end,
  launch = c.launch,
  place = coalesce(c.place, p.place),
  worker = coalesce(c.worker, p.worker),
  scheduled_time = case when c.fresh then to_timestamp(c.scheduled / 1000) else p.scheduled_time end,
  pulled_time = case when c.fresh then to_timestamp(c.pulled / 1000) else p.pulled_time end,
  started_time = case when c.fresh then clock_timestamp()
    else coalesce(to_timestamp(c.started / 1000), p.started_time) end,
  ended_time = case when c.fresh then to_timestamp(c.ended / 1000)
    else coalesce(to_timestamp(c.ended / 1000), p.ended_time) end,
  noticed_time = case when c.fresh then to_timestamp(c.noticed / 1000)
    else coalesce(to_timestamp(c.noticed / 1000), p.noticed_time) end,
  failure_category = case when c.fresh then c.category else coalesce(c.category, p.failure_category) end,
  failure_code = case when c.fresh then c.code else coalesce(c.code, p.failure_code) end,
  again_time = clock_timestamp() + make_interval(secs => c.again / 1000),
  blocked_reason = case when c.fresh or c.ending is not null or c.started is not null then c.blocked
    else coalesce(c.blocked, p.blocked_reason) end,
  blocked_since = case when c.blocked is not null then coalesce(p.blocked_since, clock_timestamp())
    when not (c.fresh or c.ending is not null or c.started is not null) then p.blocked_since end,
  reported_time = case when c.by_handler then clock_timestamp() when not c.fresh then p.reported_time end,
  completed_time = case when c.state = 'COMPLETE' then clock_timestamp() end,
  updated_time = clock_timestamp()`;

/** The events of `changed`: a launch that begins, one that is to be repeated, an end. */
const happened = (sql: Statements) => sql`(
  select agenda_id, attempt, index, launch, attempt_count as operation_attempt,
    outcome, category, code, said as message,
    case when processing_state = 'COMPLETE' then 'operation.complete' when decision = 'again' then 'operation.retrying'
      else 'operation.executing' end as kind
  from changed where fresh or ending is not null)`;

/** Agendas in which an Operation ends here, and not with success. */
export const withFailures = (changes: readonly Change[]): string[] =>
  changes
    .filter(({ state, message }) => state === 'COMPLETE' && message !== 'succeeded')
    .map(({ agendaId }) => agendaId);

/** Writes all in one statement. A launch that began under an older version has no row yet: its end makes it. */
export function writeChanges(sql: Statements, changes: readonly Change[]) {
  return sql`
    /* writeChanges: progress and launches */
    with changed as (
      update operation_progress p set ${progressOf(sql)}
      from ${rowsOf(sql, changes)}
      where p.agenda_id = c.agenda_id and p.index = c.index
      returning p.agenda_id, p.index, p.launch, p.attempt_count, p.place, p.worker, p.scheduled_time, p.pulled_time,
        p.diagnostic_events, p.again_time, c.attempt, c.launcher, c.fresh, c.started, c.ended, c.noticed,
        c.ending, c.category, c.code, c.decision, p.processing_state, p.outcome, c.said),
    told as (${operationEvents(sql, happened(sql))})
    insert into operation_attempt as t (agenda_id, index, attempt, launch, operation_attempt, launcher, place, worker,
      admitted_time, scheduled_time, pulled_time, started_time, ended_time, noticed_time,
      ending, category, code, decision, diagnostic_events, again_time)
    select c.agenda_id, c.index, c.attempt, c.launch, c.attempt_count, c.launcher, c.place, c.worker,
      r.admitted_time, c.scheduled_time, c.pulled_time,
      to_timestamp(c.started / 1000), to_timestamp(c.ended / 1000), to_timestamp(c.noticed / 1000),
      c.ending, c.category, c.code, c.decision, case when c.ending is not null then c.diagnostic_events end,
      c.again_time
    from changed c join running_agenda r on r.agenda_id = c.agenda_id
    where c.fresh or c.ending is not null or c.started is not null
    ${completeLaunch(sql)}`;
}

/** What an `insert into operation_attempt as t` does to a row that is there: only while the launch has no end. */
export const completeLaunch = (sql: Statements) => sql`
  on conflict (agenda_id, index, attempt, launch) do update set
    worker = coalesce(excluded.worker, t.worker),
    started_time = coalesce(excluded.started_time, t.started_time),
    ended_time = excluded.ended_time,
    noticed_time = excluded.noticed_time,
    ending = excluded.ending,
    category = excluded.category,
    code = excluded.code,
    decision = excluded.decision,
    diagnostic_events = excluded.diagnostic_events,
    again_time = excluded.again_time,
    updated_time = clock_timestamp()
  where t.ending is null`;
