/** Writes who was admitted: what it holds from now on, and why it was chosen. */
import { amountsOfKey } from '../../scheduling/need.ts';
import type { Statements } from '../connect.ts';
import { agendaEvents } from '../event/write-events.ts';
import type { Admitted } from './decide.ts';
import { secondsOf } from './rules-view.ts';
import type { Settings } from './settings.ts';

/** Rows for the running and the admissions; not awaited. */
export function storeAdmissions(
  sql: Statements,
  settings: Settings,
  admitted: readonly Admitted[],
): Promise<unknown>[] {
  if (admitted.length === 0) return [];
  const rows = JSON.stringify(admitted.map(rowOf));
  return [storeRunning(sql, settings, rows), storeRecords(sql, settings, rows)];
}

const rowOf = ({ decision, head, queue }: Admitted) => ({
  agendaId: head.agendaId,
  attempt: head.attempt,
  customerId: queue.customerId,
  readyTime: head.readyTime,
  ...amountsOfKey(queue.need),
  number: decision.number,
  reason: decision.reason.code,
  agendaType: head.agendaType,
  need: queue.need,
  level: decision.level ?? 0,
  expectedSeconds: secondsOf(head),
  durationKnown: (head.declaredSeconds ?? head.ofCustomer ?? head.ofType) !== null,
  cost: decision.cost,
  weight: decision.weight ?? 1,
  total: decision.total ?? null,
  clock: decision.clock ?? null,
  start: decision.start ?? null,
  finish: decision.finish ?? null,
});

/** They are admitted a microsecond apart, in the order of the decisions: so they are started. */
function storeRunning(
  sql: Statements,
  { insightId, resourcePoolId, batchId }: Settings,
  rows: string,
): Promise<unknown> {
  return sql`
    /* admitBatch: store running */
    with stored as (
    insert into running_agenda (
      agenda_id, insight_id, resource_pool_id, customer_id, attempt, batch_id,
      slots, cpu, memory, gpu, admitted_time, seen_time)
    select
      r."agendaId",
      ${insightId},
      ${resourcePoolId},
      r."customerId",
      r.attempt,
      ${batchId},
      r.slots,
      r.cpu,
      r.memory,
      r.gpu,
      at.time,
      at.time
    from (select clock_timestamp() as now) clock,
      rows from (json_to_recordset(${rows}::text::json) as (
        "agendaId" text,
        attempt int,
        "customerId" text,
        slots float8,
        cpu float8,
        memory float8,
        gpu float8
      )) with ordinality as r("agendaId", attempt, "customerId", slots, cpu, memory, gpu, position),
      lateral (select clock.now + r.position * interval '1 microsecond' as time) at
    returning agenda_id, attempt)
    ${agendaEvents(sql, 'agenda.admitted', sql`(select agenda_id, attempt from stored)`)}`.execute();
}

function storeRecords(
  sql: Statements,
  { insightId, resourcePoolId, batchId, algorithm, costModel, epoch }: Settings,
  rows: string,
): Promise<unknown> {
  return sql`
    /* admitBatch: store admissions */
    insert into admission (
      agenda_id, attempt, insight_id, resource_pool_id, customer_id, number, batch_id, admitted_time, ready_time,
      algorithm, cost_model, epoch, reason, agenda_type, need, level, expected_seconds, duration_known,
      cost, weight, total, clock, start, finish)
    select
      a."agendaId",
      a.attempt,
      ${insightId},
      ${resourcePoolId},
      a."customerId",
      a.number,
      ${batchId},
      r.admitted_time,
      to_timestamp(a."readyTime"),
      ${algorithm},
      ${costModel},
      ${epoch}::int,
      a.reason,
      a."agendaType",
      a.need,
      a.level,
      a."expectedSeconds",
      a."durationKnown",
      a.cost,
      a.weight,
      a.total,
      a.clock,
      a.start,
      a.finish
    from json_to_recordset(${rows}::text::json) as a(
        "agendaId" text,
        attempt int,
        "customerId" text,
        "readyTime" float8,
        number bigint,
        reason text,
        "agendaType" text,
        need text,
        level int,
        "expectedSeconds" float8,
        "durationKnown" boolean,
        cost float8,
        weight float8,
        total float8,
        clock float8,
        start float8,
        finish float8)
      join running_agenda r on r.agenda_id = a."agendaId"
    on conflict (agenda_id, attempt) do nothing`.execute();
}
