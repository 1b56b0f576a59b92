/** What decides beside the customers at the front: units that did not fit, what runs, whose turns there are. */
import type { FairShareState } from '../../scheduling/fair-share-snapshot.ts';
import { amountsOfKey, keyOfNeed } from '../../scheduling/need.ts';
import type { Statements } from '../connect.ts';
import type { Head } from './customers.ts';
import type { Special } from './loaded-queues.ts';
import type { Settings } from './settings.ts';

/** Waiting Agendas that units which did not fit are remembered by: wherever they stand in their queues. */
export async function readUnits(sql: Statements, { insightId, reservation }: Settings): Promise<Special[]> {
  const ids = [
    ...new Set([...(reservation.held === null ? [] : [reservation.held]), ...reservation.bypasses.map(({ id }) => id)]),
  ];
  if (ids.length === 0) return [];
  const rows = await sql<(Head & { customerId: string; promoted: number; need: string; priority: number })[]>`
    /* admitBatch: units */
    select r.agenda_id as "agendaId", r.attempt, r.customer_id as "customerId", r.promoted, r.need, r.priority,
      extract(epoch from r.ready_time)::float8 as "readyTime", r.ready_time::text as "readyAt", extract(epoch from r.moved_time)::float8 as "movedTime",
      r.agenda_type as "agendaType", r.expected_seconds as "declaredSeconds", own.seconds as "ofCustomer", alike.seconds as "ofType"
    from ready_agenda r
      left join learned_duration own on own.insight_id = ${insightId} and own.agenda_type = r.agenda_type and own.customer_id = r.customer_id
      left join learned_duration alike on alike.insight_id = ${insightId} and alike.agenda_type = r.agenda_type and alike.customer_id = ''
    where r.agenda_id = any(${ids}) and r.is_due and r.insight_id = ${insightId}`;
  return rows.map(({ customerId, promoted, need, priority, ...head }) => ({
    customerId,
    promoted,
    need,
    priority,
    head,
  }));
}

/** What runs through the Insight, for when it is expected to end. */
export async function readRunning(sql: Statements, { insightId }: Settings): Promise<FairShareState['running']> {
  const rows = await sql<
    Record<'slots' | 'cpu' | 'memory' | 'gpu' | 'start' | 'cost' | 'weight' | 'total' | 'level' | 'seconds', number>[]
  >`
    /* admitBatch: running */
    select r.agenda_id as id, r.customer_id as "customerId", r.slots, r.cpu, r.memory, r.gpu, extract(epoch from r.admitted_time)::float8 as start,
      coalesce(a.cost, 1) as cost, coalesce(a.weight, 1) as weight, coalesce(a.total, 1) as total, coalesce(a.level, 0) as level,
      case when a.duration_known then a.expected_seconds end as seconds
    from running_agenda r left join admission a on a.agenda_id = r.agenda_id and a.attempt = r.attempt
    where r.insight_id = ${insightId} order by r.admitted_time, r.agenda_id`;
  return rows.map((row) => {
    const { id, customerId } = row as unknown as { id: string; customerId: string };
    const { slots, cpu, memory, gpu, seconds } = row;
    return {
      ...{
        id,
        customerId,
        readyTime: 0,
        cost: row.cost,
        need: amountsOfKey(keyOfNeed({ slots, cpu, memory, gpu })),
        band: row.level,
      },
      ...{ weightThen: row.weight, totalThen: row.total, startTime: row.start },
      ...(seconds === null ? {} : { expectedSeconds: seconds }),
    };
  });
}

/** Customers of the pool, all or those of `ids`, in the order in which they were added: whose turns RoundRobin counts. */
export async function readPoolCustomers(
  sql: Statements,
  { resourcePoolId }: Settings,
  ids?: readonly string[],
): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    /* admitBatch: pool customers */
    select id from customer where resource_pool_id = ${resourcePoolId} ${ids === undefined ? sql`` : sql`and id = any(${ids as string[]})`}
    order by added_time, id`;
  return rows.map(({ id }) => id);
}
