/** Changes of Operations in the record, as one statement writes them. */
import type { DiagnosticEvent, JsonObject } from '../../agenda/types.ts';
import type { Statements } from '../connect.ts';
import { storable } from '../storable.ts';

/** One change of a row of operation_progress; absent fields stay. */
export interface Change {
  agendaId: string;
  index: number;
  state: 'EXECUTING' | 'COMPLETE';
  message: string | null;
  percent: number | null;
  result: string | null;
  diagnosticEvents: readonly DiagnosticEvent[] | null;
  params: JsonObject | null;
  attemptCount: number;
  launch: number;
  place: string | null;
  worker: string | null;
  /** A new launch: its times begin anew. */
  fresh: boolean;
  scheduled: number | null;
  pulled: number | null;
  started: number | null;
  ended: number | null;
  noticed: number | null;
}

/** As Postgres can take it in; JSON as text, for `json_to_recordset` would refuse an escaped NUL anywhere inside. */
const storableChange = (change: Change) => ({
  ...change,
  message: change.message === null ? null : storable(change.message),
  result: change.result === null ? null : storable(change.result),
  place: change.place === null ? null : storable(change.place),
  worker: change.worker === null ? null : storable(change.worker),
  diagnosticEvents: change.diagnosticEvents === null ? null : JSON.stringify(change.diagnosticEvents),
  params: change.params === null ? null : JSON.stringify(change.params),
});

/** Writes all in one statement. */
export function writeChanges(sql: Statements, changes: readonly Change[]) {
  const time = (column: string) => sql`to_timestamp(c.${sql(column)} / 1000)`;
  return sql`
    update operation_progress p set
      processing_state = c.state,
      processing_state_message = coalesce(c.message, p.processing_state_message),
      percent_complete = case when c.fresh then coalesce(c.percent, 0) else greatest(p.percent_complete, coalesce(c.percent, 0)) end,
      result_payload = coalesce(c.result, p.result_payload),
      diagnostic_events = coalesce(c."diagnosticEvents"::json, p.diagnostic_events),
      params = coalesce(c.params::json, p.params),
      attempt_count = c."attemptCount",
      attempt_time = case when c."attemptCount" > p.attempt_count then clock_timestamp() else p.attempt_time end,
      launch = c.launch,
      place = coalesce(c.place, p.place),
      worker = coalesce(c.worker, p.worker),
      scheduled_time = case when c.fresh then ${time('scheduled')} else p.scheduled_time end,
      pulled_time = case when c.fresh then ${time('pulled')} else p.pulled_time end,
      started_time = case when c.fresh then clock_timestamp() else coalesce(${time('started')}, p.started_time) end,
      ended_time = coalesce(${time('ended')}, p.ended_time),
      noticed_time = coalesce(${time('noticed')}, p.noticed_time),
      completed_time = case when c.state = 'COMPLETE' then clock_timestamp() end,
      updated_time = clock_timestamp()
    from json_to_recordset(${JSON.stringify(changes.map(storableChange))}::json) as c("agendaId" text, index int, state text, message text, percent float8,
      result text, "diagnosticEvents" text, params text, "attemptCount" int, launch int, place text, worker text, fresh boolean,
      scheduled float8, pulled float8, started float8, ended float8, noticed float8)
    where p.agenda_id = c."agendaId" and p.index = c.index`;
}

/** What a change leaves as it is. */
export const unchanged: Omit<Change, 'agendaId' | 'index' | 'state' | 'attemptCount' | 'launch'> = {
  message: null,
  percent: null,
  result: null,
  diagnosticEvents: null,
  params: null,
  place: null,
  worker: null,
  fresh: false,
  scheduled: null,
  pulled: null,
  started: null,
  ended: null,
  noticed: null,
};
