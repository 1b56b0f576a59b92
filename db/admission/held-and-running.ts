/** What decides beside the customers at the front: units that did not fit, what runs, whose turns there are. */
import type { FairShareState } from '../../scheduling/fair-share-snapshot.ts';
import type { Amounts } from '../../scheduling/need.ts';
import type { Statements } from '../connect.ts';
import { joinLearned, type WaitingRow, waitingColumns } from './heads.ts';
import type { Settings } from './settings.ts';

/**
 * The Agendas that capacity is held for and those that others have passed, even when they are not at the head of their
 * queue.
 */
export async function readUnits(sql: Statements, { insightId, reservation }: Settings): Promise<readonly WaitingRow[]> {
  const ids = new Set(reservation.bypasses.map(({ id }) => id));
  if (reservation.held !== null) ids.add(reservation.held);
  if (ids.size === 0) return [];
  return sql<WaitingRow[]>`
    /* admitBatch: units */
    select ${waitingColumns(sql)}
    from ready_agenda r
      ${joinLearned(sql, insightId)}
    where r.agenda_id = any(${[...ids]}) and r.is_due and r.insight_id = ${insightId}`;
}

interface RunningRow extends Amounts {
  id: string;
  customerId: string;
  start: number;
  cost: number;
  weight: number;
  total: number;
  level: number;
  /** Null when nobody knew. */
  seconds: number | null;
}

/** What runs through the Insight, for when it is expected to end. */
export async function readRunning(sql: Statements, { insightId }: Settings): Promise<FairShareState['running']> {
  const rows = await sql<RunningRow[]>`
    /* admitBatch: running */
    select
      r.agenda_id as id,
      r.customer_id as "customerId",
      r.slots,
      r.cpu,
      r.memory,
      r.gpu,
      extract(epoch from r.admitted_time)::float8 as start,
      coalesce(a.cost, 1) as cost,
      coalesce(a.weight, 1) as weight,
      coalesce(a.total, 1) as total,
      coalesce(a.level, 0) as level,
      case when a.duration_known then a.expected_seconds end as seconds
    from running_agenda r left join admission a on a.agenda_id = r.agenda_id and a.attempt = r.attempt
    where r.insight_id = ${insightId} order by r.admitted_time, r.agenda_id`;
  return rows.map(({ id, customerId, cost, level, weight, total, start, seconds, ...need }) => ({
    id,
    customerId,
    readyTime: 0,
    cost,
    need,
    band: level,
    weightThen: weight,
    totalThen: total,
    startTime: start,
    ...(seconds === null ? {} : { expectedSeconds: seconds }),
  }));
}

/**
 * Customers of the pool, all or those of `ids`, in the order in which they were added: whose turns RoundRobin counts.
 */
export async function readPoolCustomers(
  sql: Statements,
  { resourcePoolId }: Settings,
  ids?: readonly string[],
): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    /* admitBatch: pool customers */
    select id from customer
    where resource_pool_id = ${resourcePoolId} ${ids === undefined ? sql`` : sql`and id = any(${ids as string[]})`}
    order by added_time, id`;
  return rows.map(({ id }) => id);
}
