/**
 * What an Insight may fill now: the pool's free capacity, less what others hold it for, within its part when several
 * Insights want the pool.
 */
import { divideSlots, type Remainders } from '../../scheduling/index.ts';
import type { Amounts } from '../../scheduling/need.ts';
import type { Statements } from '../connect.ts';
import { agendasLeftSql, freeCapacity } from './limits.ts';
import { amountOfNeed } from './need-amount.ts';
import type { Settings } from './settings.ts';

/**
 * Waiting Agendas that are counted of an Insight: what it could take until it is asked again, so that a deep queue
 * costs no more than a short one.
 */
const mostCounted = 500;

interface DemandRow {
  id: string;
  weight: number;
  guaranteed: number | null;
  maximum: number | null;
  /** Slots. */
  running: number;
  /**
   * Slots of what waits and may start by the limits of its customer and Insight; of no more Agendas than two batches
   * take.
   */
  waiting: number;
}

/** What is not limited is infinite; amounts may be below 0 where limits were lowered. */
export async function freeFor(sql: Statements, settings: Settings): Promise<Amounts> {
  const part = await partOfPool(sql, settings);
  return freeCapacity({ ...settings, slots: settings.inUseHere.slots, part });
}

/** Slots this Insight is entitled to of the pool; null where it need not be divided. */
async function partOfPool(
  sql: Statements,
  { insightId, resourcePoolId, capacity, reservation, inUseHere }: Settings,
): Promise<number | null> {
  const { slots } = capacity;
  if (slots === undefined) return null;
  const [pool] = await sql<{ shared: boolean; remainders: Remainders | null; parts: Record<string, number> | null }[]>`
    /* admitBatch: shared pool */
    select
      exists (
        select from insight i where i.resource_pool_id = p.id and i.id <> ${insightId}
          and (exists (select from waiting_queue where insight_id = i.id and active)
            or exists (select from running_agenda where insight_id = i.id))) as shared,
      s.remainders,
      s.parts
    from resource_pool p left join resource_pool_state s on s.resource_pool_id = p.id
    where p.id = ${resourcePoolId}`;
  const wanting = pool?.shared
    ? (await readDemands(sql, resourcePoolId)).filter(({ running, waiting }) => running + waiting > 0)
    : [];
  if (wanting.length < 2) {
    if (Object.keys(pool?.parts ?? {}).length > 0) await storeDivision(sql, resourcePoolId, pool?.remainders ?? {}, {});
    return null;
  }
  const demands = wanting.map(({ id, weight, guaranteed, maximum, running, waiting }) => ({
    id,
    weight,
    demand: running + waiting,
    minimum: guaranteed ?? 0,
    ...(maximum === null ? {} : { maximum }),
  }));
  const division = divideSlots(slots, demands, pool?.remainders ?? {});
  await storeDivision(sql, resourcePoolId, division.remainders, Object.fromEntries(division.slots));
  // A unit larger than the part takes the pool when it is all that this Insight runs: it would never start otherwise.
  if (reservation.held !== null && inUseHere.slots === 0) return slots;
  return division.slots.get(insightId) ?? 0;
}

function readDemands(sql: Statements, resourcePoolId: string): Promise<readonly DemandRow[]> {
  const left = agendasLeftSql(sql, { running: sql`runs.agendas`, unstarted: sql`runs.unstarted` });
  return sql<DemandRow[]>`
    /* admitBatch: demands */
    select
      i.id,
      i.weight,
      i.guaranteed,
      i.maximum,
      runs.slots as running,
      (select coalesce(sum(w.slots), 0)::float8 from (
        select ${amountOfNeed(sql, sql`r.need`, 'slots')} as slots
        from waiting_queue q cross join lateral (
          select need from ready_agenda
          where is_due and insight_id = i.id and customer_id = q.customer_id and promoted = q.promoted and need = q.need
          limit ${mostCounted}) r
        where q.insight_id = i.id and q.active
        limit least(${left}, ${mostCounted})) w) as waiting
    from insight i
      left join resource_pool p on p.id = i.resource_pool_id
      cross join lateral (
        select
          count(*) as agendas,
          coalesce(sum(slots), 0)::float8 as slots,
          count(*) filter (where left_queue_time is null) as unstarted
        from running_agenda where insight_id = i.id) runs
    where i.resource_pool_id = ${resourcePoolId} order by i.id`.execute();
}

async function storeDivision(
  sql: Statements,
  resourcePoolId: string,
  remainders: Remainders,
  parts: Record<string, number>,
): Promise<void> {
  await sql`
    /* admitBatch: store division */
    insert into resource_pool_state (resource_pool_id, remainders, parts)
    values (${resourcePoolId}, ${JSON.stringify(remainders)}::text::json, ${JSON.stringify(parts)}::text::json)
    on conflict (resource_pool_id) do update set
      remainders = excluded.remainders,
      parts = excluded.parts`;
}
