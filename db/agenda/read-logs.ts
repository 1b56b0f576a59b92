/** The output of an Agenda's Operations. */
import type { Database } from '../connect.ts';

/** One launch among those of an Agenda. */
export interface LogPosition {
  /** Of the Operation in its Agenda. */
  readonly index: number;
  readonly attempt: number;
  readonly launch: number;
}

/** The output of one launch. */
export interface LogRow extends LogPosition {
  readonly operation: string;
  readonly output: string;
  readonly totalBytes: number;
  /** Epoch milliseconds. */
  readonly addedTime: number;
  /** How many rows there are from the page's begin to the end of all. */
  readonly left: number;
}

/**
 * Reads the output of launches in submitted order of their Operations, then as they were launched: as many after
 * `after` as have at most `bytes` together, and one at least.
 */
export function readLogs(
  database: Database,
  agendaId: string,
  page: {
    operation: string | undefined;
    attempt: number | undefined;
    launch: number | undefined;
    after: LogPosition;
    limit: number;
    bytes: number;
  },
): Promise<readonly LogRow[]> {
  const { operation: name = null, attempt = null, launch = null, after } = page;
  return database.$client<LogRow[]>`
    /* readLogs: page */
    with sized as (
      select
        l.agenda_id,
        l.index,
        l.attempt,
        l.launch,
        o.name as operation,
        sum(octet_length(l.output)) over (order by l.index, l.attempt, l.launch) as bytes,
        row_number() over (order by l.index, l.attempt, l.launch) as number
      from operation_log l join operation o on o.agenda_id = l.agenda_id and o.index = l.index
      where l.agenda_id = ${agendaId}
        and (${name}::text is null or o.name = ${name})
        and (${attempt}::int is null or l.attempt = ${attempt})
        and (${launch}::int is null or l.launch = ${launch})
        and (l.index, l.attempt, l.launch) > (${after.index}::int, ${after.attempt}::int, ${after.launch}::int))
    select
      s.operation,
      l.index,
      l.attempt,
      l.launch,
      l.output,
      l.total_bytes::float8 as "totalBytes",
      floor(extract(epoch from l.added_time) * 1000)::float8 as "addedTime",
      (select count(*) from sized)::int as left
    from sized s join operation_log l using (agenda_id, index, attempt, launch)
    where s.number = 1 or (s.bytes <= ${page.bytes}::bigint and s.number <= ${page.limit}::int)
    order by l.index, l.attempt, l.launch`.execute();
}
