/**
 * Ends of Operations that no pool worker reports: given by whoever knows that none will come. The launch number is
 * raised, so that a late report is refused.
 */
import { type FailureCode, failureOf } from '../../agenda/failure.ts';
import type { LaunchEnding, OperationOutcome } from '../../agenda/outcomes.ts';
import type { Statements } from '../connect.ts';
import { operationEvents } from '../event/write-events.ts';
import { completeLaunch } from './change.ts';

interface RunningKey {
  readonly agendaId: string;
  readonly attempt: number;
}

/** An Operation that is given an end, unless it has one. */
export interface UnreportedEnd {
  readonly index: number;
  readonly outcome: OperationOutcome;
  /** JSON text of its diagnostic events. */
  readonly events: string | null;
  /** Only while nothing of it runs: it waits after a lost launch, or cannot be started. */
  readonly onlyIdle?: boolean;
}

/** What such an end says of the launch that was going on. */
const launchEnds: Readonly<Partial<Record<OperationOutcome, { ending: LaunchEnding; code: FailureCode }>>> = {
  failed: { ending: 'lost', code: 'noEnding' },
  cancelled: { ending: 'cancelled', code: 'cancelled' },
  abandoned: { ending: 'abandoned', code: 'abandoned' },
};

/** Gives these Operations their ends. */
export function endUnreported(sql: Statements, key: RunningKey, ends: readonly UnreportedEnd[]) {
  const codes = ends.map(({ outcome }) => launchEnds[outcome]?.code ?? null);
  return sql`
    /* endUnreported: end */
    with ended as (
      update operation_progress p set ${endedColumns(sql)}, processing_state_message = e.outcome, outcome = e.outcome,
        failure_category = e.category, failure_code = e.code,
        diagnostic_events = coalesce(e.events::json, p.diagnostic_events)
      from unnest(${ends.map((end) => end.index)}::int[], ${ends.map((end) => end.outcome)}::text[],
        ${ends.map((end) => end.events)}::text[],
        ${ends.map((end) => String(end.onlyIdle === true))}::text[]::boolean[],
        ${ends.map(({ outcome }) => launchEnds[outcome]?.ending ?? null)}::text[],
        ${codes.map((code) => (code === null ? null : failureOf(code).category))}::text[], ${codes}::text[])
        as e(index, outcome, events, only_idle, ending, category, code)
      where p.agenda_id = ${key.agendaId} and p.index = e.index and p.processing_state <> 'COMPLETE'
        and (not e.only_idle or p.again_time is not null or p.blocked_since is not null)
      returning p.*, e.ending, e.events::json->0->>'message' as said),
    ${endLaunches(sql, key)}
    select from launches`;
}

/** Ends what still executes when its Agenda does: nobody confirmed that it is gone. */
export function abandonExecuting(sql: Statements, key: RunningKey) {
  const { category, code } = failureOf('abandoned');
  return sql`
    /* abandonExecuting: end */
    with ended as (
      update operation_progress p set ${endedColumns(sql)},
        processing_state_message = 'abandoned', outcome = 'abandoned',
        failure_category = ${category}, failure_code = ${code}
      where agenda_id = ${key.agendaId} and processing_state = 'EXECUTING'
      returning p.*, 'abandoned' as ending, null::text as said),
    ${endLaunches(sql, key)}
    select from launches`;
}

const endedColumns = (sql: Statements) => sql`processing_state = 'COMPLETE', launch = p.launch + 1,
  again_time = null, blocked_reason = null, blocked_since = null,
  completed_time = clock_timestamp(), updated_time = clock_timestamp()`;

/**
 * Tells of the ends, and completes the rows of the launches of `ended` that have no end yet; those that began under an
 * older version get one.
 */
const endLaunches = (sql: Statements, { attempt }: RunningKey) => sql`
  told as (${operationEvents(
    sql,
    sql`(
      select agenda_id, ${attempt}::int as attempt, 'operation.complete' as kind, index,
        nullif(launch - 1, 0) as launch, attempt_count as operation_attempt, outcome,
        failure_category as category, failure_code as code, said as message
      from ended)`,
  )}),
  launches as (
    insert into operation_attempt as t (
      agenda_id, index, attempt, launch, operation_attempt, place, worker, admitted_time,
      scheduled_time, pulled_time, noticed_time, ending, category, code, decision, diagnostic_events)
    select e.agenda_id, e.index, ${attempt}, e.launch - 1, e.attempt_count, e.place, e.worker, r.admitted_time,
      e.scheduled_time, e.pulled_time, clock_timestamp(), e.ending, e.failure_category, e.failure_code, 'ended',
      e.diagnostic_events
    from ended e join running_agenda r on r.agenda_id = e.agenda_id
    where e.launch > 1 and e.ending is not null
    ${completeLaunch(sql)}
    returning t.launch)`;
