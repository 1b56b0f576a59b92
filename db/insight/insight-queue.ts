/**
 * The queue of an Insight as it stands: who goes next, merged and by customer. Bounded whatever waits; what is counted
 * up to a cap says so.
 */

import { joinLearned, type WaitingRow, waitingColumns } from '../admission/heads.ts';
import { isFairShare } from '../admission/settings.ts';
import type { Database } from '../connect.ts';
import {
  type Entitlement,
  fewWaiting,
  type InsightStanding,
  isAtLimit,
  priorityStepOf,
  readEntitlements,
} from './insight-standing.ts';
import { laneLag, laneShare } from './lane-standing.ts';
import { type OrderedAgenda, readOrder } from './waiting-order.ts';

/** Index entries read to count the waiting Agendas of all customers shown, together. */
const mostCounted = 100_000;
/** What waits in all is counted to this number; metrics count it to the end. */
const mostWaiting = 10_000;

/** An Agenda of the queue; its position, cost and reason where they are known. */
export type QueuedAgenda = Omit<OrderedAgenda, 'position' | 'cost' | 'reason'> &
  Partial<Pick<OrderedAgenda, 'position' | 'cost' | 'reason'>>;

/** A customer with Agendas in the queue. */
export interface QueuedCustomer {
  readonly entitlement: Entitlement;
  /** Its Agendas that may start now as far as it is up to them. */
  readonly waiting: number;
  /** More wait than were counted. */
  readonly waitingIsMore: boolean;
  readonly firstAgendaId: string;
  readonly state: 'ready' | 'paused' | 'atLimit';
  /** With algorithms that share by weight. */
  readonly share?: number;
  readonly lag?: number;
}

/** The queue, merged and by customer. */
export interface InsightQueue {
  /** Up to a cap. */
  readonly waiting: number;
  readonly waitingIsMore: boolean;
  /** As many as were asked for, or all that may start. */
  readonly isWhole: boolean;
  readonly agendas: readonly QueuedAgenda[];
  readonly customers: readonly QueuedCustomer[];
}

/** Reads it. `customerIds`: of these customers only, though at the positions they have among all. */
export async function readQueue(
  database: Database,
  standing: InsightStanding,
  { limit, customerIds }: { limit: number; customerIds?: readonly string[] | undefined },
): Promise<InsightQueue> {
  const [{ count, isMore }, order, shown] = await Promise.all([
    countWaiting(database, standing.id),
    readOrder(database, standing, {
      most: customerIds === undefined || standing.waiting > fewWaiting ? limit : fewWaiting + 1,
    }),
    customerIds ?? customersInLine(database, standing, limit),
  ]);
  const heads = await readHeads(database, standing, shown, customerIds === undefined ? 1 : limit);
  const [customers, agendas] = [
    await describe(database, standing, heads),
    merged(order.agendas, heads, standing.now, customerIds, limit),
  ];
  return { waiting: count, waitingIsMore: isMore, isWhole: order.isWhole, agendas, customers };
}

/** In the order; of chosen customers also those whose position is not known, behind. */
function merged(
  ordered: readonly OrderedAgenda[],
  heads: readonly WaitingRow[],
  now: number,
  customerIds: readonly string[] | undefined,
  limit: number,
): readonly QueuedAgenda[] {
  if (customerIds === undefined) return ordered.slice(0, limit);
  const chosen = new Set(customerIds);
  const placed = ordered.filter(({ customerId }) => chosen.has(customerId)).slice(0, limit);
  const known = new Set(placed.map(({ agendaId }) => agendaId));
  const others = heads.filter(({ agendaId }) => !known.has(agendaId)).slice(0, limit - placed.length);
  return [
    ...placed,
    ...others.map(({ agendaId, customerId, readyTime: ready, priority }) => {
      return { agendaId, customerId, ready, priority, waitedSeconds: Math.max(0, now - ready) };
    }),
  ];
}

async function countWaiting(database: Database, insightId: string): Promise<{ count: number; isMore: boolean }> {
  const [row] = await database.$client<{ count: number }[]>`
    /* readQueue: count */
    select count(*)::int as count from (
      -- In the order of an index, so that no other Insight's rows are looked at.
      select 1 from ready_agenda where insight_id = ${insightId} order by ready_time limit ${mostWaiting + 1}) w`;
  const count = row?.count ?? 0;
  return { count: Math.min(count, mostWaiting), isMore: count > mostWaiting };
}

/** Those with waiting Agendas, first the ones that are in line first. */
async function customersInLine(database: Database, { id, waiting }: InsightStanding, limit: number): Promise<string[]> {
  const sql = database.$client;
  const rows =
    waiting <= fewWaiting
      ? await sql<{ id: string }[]>`
        /* readQueue: few customers */
        select customer_id as id from ready_agenda where insight_id = ${id} and is_due
        group by customer_id order by min(ready_time) limit ${limit}`
      : await sql<{ id: string }[]>`
        /* readQueue: first customers */
        select customer_id as id from waiting_queue where insight_id = ${id} group by customer_id
        order by bool_or(active) desc, min(level), min(finish), customer_id collate "C" limit ${limit}`;
  return rows.map((row) => row.id);
}

/** The first Agendas of each of these customers, each customer's in its order. */
function readHeads(
  database: Database,
  standing: InsightStanding,
  customerIds: readonly string[],
  most: number,
): Promise<readonly WaitingRow[]> {
  const sql = database.$client;
  const step = priorityStepOf(standing);
  const key = sql`extract(epoch from h.ready_time) - h.priority * ${step}::float8, h.ready_time, h.agenda_id`;
  // What admission has not taken in yet is in no queue: where few wait all are looked at.
  const few = sql`(
    select h.* from ready_agenda h
    where h.insight_id = ${standing.id} and h.customer_id = c.id and h.is_due
    order by ${key} limit ${most})`;
  const many = sql`(
    select h.* from waiting_queue q
      cross join lateral unnest(q.priorities) v(priority)
      cross join lateral (
        select * from ready_agenda r
        where r.insight_id = q.insight_id and r.customer_id = q.customer_id
          and r.promoted = q.promoted and r.need = q.need and r.priority = v.priority and r.is_due
        order by r.ready_time, r.agenda_id limit ${most}) h
    where q.insight_id = ${standing.id} and q.customer_id = c.id
    order by ${key} limit ${most})`;
  return sql<WaitingRow[]>`
    /* readQueue: heads */
    select ${waitingColumns(sql)}
    from unnest(${customerIds as string[]}::text[]) with ordinality c(id, number)
      cross join lateral ${standing.waiting <= fewWaiting ? few : many} r
      ${joinLearned(sql, standing.id)}
    order by c.number, extract(epoch from r.ready_time) - r.priority * ${step}::float8, r.ready_time, r.agenda_id`;
}

/** How each customer of these Agendas stands. */
async function describe(
  database: Database,
  standing: InsightStanding,
  heads: readonly WaitingRow[],
): Promise<QueuedCustomer[]> {
  const first = new Map(heads.toReversed().map((row) => [row.customerId, row]));
  const ids = [...new Set(heads.map((row) => row.customerId))];
  const cap = Math.max(100, Math.floor(mostCounted / Math.max(1, ids.length)));
  const [entitlements, rows] = await Promise.all([
    readEntitlements(database, standing, ids),
    database.$client<{ customerId: string; waiting: number; share: number | null; lag: number | null }[]>`
      /* readQueue: standing of customers */
      select
        c.id as "customerId",
        l.share,
        l.lag,
        (select count(*)::int from (
          select 1 from ready_agenda r
          where r.insight_id = ${standing.id} and r.customer_id = c.id and r.is_due
          limit ${cap + 1}) r) as waiting
      from unnest(${ids}::text[]) c(id)
        left join lateral (
          select ${laneShare(database.$client)} as share, coalesce(${laneLag(database.$client)}, 0) as lag
          from customer_lane l join insight_band b on b.insight_id = l.insight_id and b.level = l.level
          where l.insight_id = ${standing.id} and l.customer_id = c.id
          order by l.state <> 'active', l.level limit 1
        ) l on ${isFairShare(standing.algorithm) && standing.state !== null}`,
  ]);
  return rows.map(({ customerId, waiting, share, lag }) => {
    const entitlement = entitlements.get(customerId) as Entitlement;
    return {
      entitlement,
      waiting: Math.min(waiting, cap),
      waitingIsMore: waiting > cap,
      firstAgendaId: (first.get(customerId) as WaitingRow).agendaId,
      state: entitlement.paused ? 'paused' : isAtLimit(entitlement) ? 'atLimit' : 'ready',
      ...(share === null ? {} : { share }),
      ...(lag === null ? {} : { lag }),
    };
  });
}
