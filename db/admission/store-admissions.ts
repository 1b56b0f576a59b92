/** Writes who was admitted: what it holds from now on, and why it was chosen. */
import { amountsOfKey } from '../../scheduling/need.ts';
import type { Statements } from '../connect.ts';
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
  const { insightId, resourcePoolId, batchId, algorithm, costModel, epoch } = settings;
  const rows = admitted.map(({ decision, head, queue }) => ({
    ...{ agenda_id: head.agendaId, attempt: head.attempt, customer_id: queue.customerId, ready_time: head.readyTime },
    ...amountsOfKey(queue.need),
    ...{
      number: decision.number,
      reason: decision.reason.code,
      agenda_type: head.agendaType,
      need: queue.need,
      level: decision.level ?? 0,
    },
    ...{
      expected_seconds: secondsOf(head),
      duration_known: (head.declaredSeconds ?? head.ofCustomer ?? head.ofType) !== null,
    },
    ...{ cost: decision.cost, weight: decision.weight ?? 1, total: decision.total ?? null },
    ...{ clock: decision.clock ?? null, start: decision.start ?? null, finish: decision.finish ?? null },
  }));
  const text = JSON.stringify(rows);
  return [
    // A microsecond apart, in the order of the decisions: so they are started.
    sql`
      /* admitBatch: store running */
      insert into running_agenda (agenda_id, insight_id, resource_pool_id, customer_id, attempt, batch_id, slots, cpu, memory, gpu, admitted_time, seen_time)
      select r.agenda_id, ${insightId}, ${resourcePoolId}, r.customer_id, r.attempt, ${batchId}, r.slots, r.cpu, r.memory, r.gpu, at.time, at.time
      from (select clock_timestamp() as now) clock,
        rows from (json_to_recordset(${text}::text::json) as (agenda_id text, attempt int, customer_id text, slots float8, cpu float8, memory float8, gpu float8))
          with ordinality as r(agenda_id, attempt, customer_id, slots, cpu, memory, gpu, place),
        lateral (select clock.now + r.place * interval '1 microsecond' as time) at`.execute(),
    sql`
      /* admitBatch: store admissions */
      insert into admission (agenda_id, attempt, insight_id, resource_pool_id, customer_id, number, batch_id, admitted_time, ready_time, algorithm,
        cost_model, epoch, reason, agenda_type, need, level, expected_seconds, duration_known, cost, weight, total, clock, start, finish)
      select a.agenda_id, a.attempt, ${insightId}, ${resourcePoolId}, a.customer_id, a.number, ${batchId}, r.admitted_time, to_timestamp(a.ready_time),
        ${algorithm}, ${costModel}, ${epoch}::int, a.reason, a.agenda_type, a.need, a.level, a.expected_seconds, a.duration_known, a.cost, a.weight,
        a.total, a.clock, a.start, a.finish
      from json_to_recordset(${text}::text::json) as a(agenda_id text, attempt int, customer_id text, ready_time float8, number bigint, reason text,
          agenda_type text, need text, level int, expected_seconds float8, duration_known boolean, cost float8, weight float8, total float8,
          clock float8, start float8, finish float8)
        join running_agenda r on r.agenda_id = a.agenda_id
      on conflict (agenda_id, attempt) do nothing`.execute(),
  ];
}
