/** The launches of an Agenda's Operations, as they are shown. */
import type { FailureCategory, LaunchDecision, LaunchEnding } from '../../agenda/outcomes.ts';
import type { DiagnosticEvent } from '../../agenda/types.ts';
import type { LogPosition } from '../agenda/read-logs.ts';
import type { Database } from '../connect.ts';

/** One launch; times in epoch milliseconds. */
export interface AttemptRow extends LogPosition {
  readonly operation: string;
  readonly operationAttempt: number;
  readonly launcher: string | null;
  readonly place: string | null;
  readonly worker: string | null;
  readonly admittedTime: number | null;
  readonly scheduledTime: number | null;
  readonly pulledTime: number | null;
  readonly startedTime: number | null;
  readonly endedTime: number | null;
  readonly noticedTime: number | null;
  readonly ending: LaunchEnding | null;
  readonly category: FailureCategory | null;
  readonly code: string | null;
  readonly diagnosticEvents: readonly DiagnosticEvent[] | null;
  readonly decision: LaunchDecision | null;
  readonly againTime: number | null;
  /** Bytes that the handler wrote; null where none of it is kept. */
  readonly outputBytes: number | null;
  /** How many rows there are from the page's begin to the end of all. */
  readonly left: number;
}

/**
 * Launches in submitted order of their Operations, then as they were launched: as many after `after` as have at most
 * `bytes` of diagnostic events together, and one at least.
 */
export function readAttempts(
  database: Database,
  agendaId: string,
  page: {
    readonly operation: string | undefined;
    readonly attempt: number | undefined;
    readonly after: LogPosition;
    readonly limit: number;
    readonly bytes: number;
  },
): Promise<readonly AttemptRow[]> {
  const sql = database.$client;
  const { operation: name = null, attempt = null, after } = page;
  const time = (column: string) => sql`floor(extract(epoch from t.${sql(column)}) * 1000)::float8`;
  return sql<AttemptRow[]>`
    /* readAttempts: page */
    with sized as (
      select t.agenda_id, t.index, t.attempt, t.launch, o.name as operation,
        sum(octet_length(t.diagnostic_events::text)) over (order by t.index, t.attempt, t.launch) as bytes,
        row_number() over (order by t.index, t.attempt, t.launch) as number
      from operation_attempt t join operation o on o.agenda_id = t.agenda_id and o.index = t.index
      where t.agenda_id = ${agendaId} and (${name}::text is null or o.name = ${name})
        and (${attempt}::int is null or t.attempt = ${attempt})
        and (t.index, t.attempt, t.launch) > (${after.index}::int, ${after.attempt}::int, ${after.launch}::int))
    select s.operation, t.index, t.attempt, t.launch, t.operation_attempt as "operationAttempt",
      t.launcher, t.place, t.worker,
      ${time('admitted_time')} as "admittedTime", ${time('scheduled_time')} as "scheduledTime",
      ${time('pulled_time')} as "pulledTime", ${time('started_time')} as "startedTime",
      ${time('ended_time')} as "endedTime", ${time('noticed_time')} as "noticedTime",
      t.ending, t.category, t.code, t.diagnostic_events as "diagnosticEvents", t.decision,
      ${time('again_time')} as "againTime", l.total_bytes::float8 as "outputBytes",
      (select count(*) from sized)::int as left
    from sized s join operation_attempt t using (agenda_id, index, attempt, launch)
    left join operation_log l using (agenda_id, index, attempt, launch)
    where s.number = 1 or (coalesce(s.bytes, 0) <= ${page.bytes}::bigint and s.number <= ${page.limit}::int)
    order by t.index, t.attempt, t.launch`.execute();
}
