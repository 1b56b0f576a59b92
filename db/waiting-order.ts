/**
 * The order in which what waits in an Insight would go, if all of its pool were free and nothing changed: the core decides, on a copy of its
 * state that is thrown away. Where few wait they are all put in order and the order is exact; else the customers that are first in line with
 * the first of their Agendas, and the order is what comes of these.
 */
import { costOf } from '../scheduling/cost-models.ts';
import { FairSharePart, type PartItem } from '../scheduling/fair-share-part.ts';
import { createAlgorithm } from '../scheduling/index.ts';
import type { SchedulerOptions } from '../scheduling/scheduler.ts';
import type { Database } from './connect.ts';
import { type Entitlement, fewWaiting, type InsightStanding, isAtLimit, readEntitlements } from './insight-standing.ts';

/** What an Agenda is taken to run whose duration nobody knows. */
export const unknownSeconds = 60;

export interface OrderedAgenda {
  /** From 1; of what may start, so without those whose customer is held back. */
  readonly position: number;
  readonly agendaId: string;
  readonly customerId: string;
  /** Seconds since the epoch. */
  readonly ready: number;
  readonly waitedSeconds: number;
  readonly priority: number;
  readonly cost: number;
  /** Of why it is its turn then. */
  readonly reason: { readonly code: string; readonly sentence: string };
}

export interface WaitingOrder {
  readonly agendas: readonly OrderedAgenda[];
  /** Nothing was left out that could change it. */
  readonly isExact: boolean;
  /** Of the customers that were looked at. */
  readonly entitlements: ReadonlyMap<string, Entitlement>;
}

/** A waiting Agenda with what its place depends on. */
export interface WaitingRow {
  readonly agendaId: string;
  readonly customerId: string;
  /** As Postgres writes it, to the microsecond. */
  readonly readyTime: string;
  /** The same in seconds since the epoch. */
  readonly ready: number;
  readonly priority: number;
  readonly need: string;
  readonly promoted: number;
  readonly moved: number;
  /** Expected. */
  readonly seconds: number;
}

interface LaneRow {
  readonly customerId: string;
  readonly level: number;
  readonly tag: number;
  readonly tagError: number;
  readonly state: 'active' | 'leaving' | 'dormant';
  readonly weight: number;
  readonly band: number;
}

/** Whether the algorithm shares by weight. */
export const isFairShare = (algorithm: string): algorithm is 'Fairness' | 'Priority' =>
  algorithm === 'Fairness' || algorithm === 'Priority';

/** Columns of a WaitingRow, of `ready_agenda r`. */
export const waitingColumns = (sql: Database['$client']) => sql`
  r.agenda_id as "agendaId", r.customer_id as "customerId", r.ready_time::text as "readyTime", extract(epoch from r.ready_time)::float8 as ready,
  r.priority, r.need, r.promoted, extract(epoch from r.moved_time)::float8 as moved,
  coalesce(r.expected_seconds,
    (select d.seconds from learned_duration d where d.insight_id = r.insight_id and d.agenda_type = r.agenda_type and d.customer_id = r.customer_id),
    (select d.seconds from learned_duration d where d.insight_id = r.insight_id and d.agenda_type = r.agenda_type and d.customer_id = ''),
    ${unknownSeconds}) as seconds`;

/** The first `most`, or all up to one Agenda. `unblocked`: a customer that is put in order as if its limits did not hold it back. */
export async function readOrder(
  database: Database,
  standing: InsightStanding,
  { most, upTo, unblocked }: { most: number; upTo?: string; unblocked?: string },
): Promise<WaitingOrder> {
  const few = standing.waiting <= fewWaiting;
  const rows = few ? await readFew(database, standing.id) : await readFirstInLine(database, standing, most);
  const customerIds = [...new Set(rows.map((row) => row.customerId))];
  const [entitlements, lanes] = await Promise.all([
    readEntitlements(database, standing, customerIds),
    isFairShare(standing.algorithm) && standing.state !== null ? readLanes(database, standing.id, customerIds) : [],
  ]);
  const next = orderer(standing, rows, lanes, entitlements, unblocked);
  const byId = new Map(rows.map((row) => [row.agendaId, row]));
  const agendas: OrderedAgenda[] = [];
  while (agendas.length < most) {
    const decision = next();
    const row = byId.get(decision?.id ?? '');
    if (decision === undefined || row === undefined) break;
    const { agendaId, customerId, ready, priority } = row;
    const waitedSeconds = Math.max(0, standing.now - ready);
    const position = agendas.length + 1;
    agendas.push({ position, agendaId, customerId, ready, waitedSeconds, priority, cost: decision.cost, reason: decision.reason });
    if (agendaId === upTo) break;
  }
  return { agendas, isExact: few, entitlements };
}

interface NextDecision {
  readonly id: string;
  readonly cost: number;
  readonly reason: { readonly code: string; readonly sentence: string };
}

/** Decides one after the other, without limits; who is held back by its own is left out. */
function orderer(
  standing: InsightStanding,
  rows: readonly WaitingRow[],
  lanes: readonly LaneRow[],
  entitlements: ReadonlyMap<string, Entitlement>,
  unblocked: string | undefined,
): () => NextDecision | undefined {
  const { algorithm, now } = standing;
  const shares = [...entitlements.values()].map((entitlement) => ({
    id: entitlement.customerId,
    weight: entitlement.weight,
    band: entitlement.band,
    paused: entitlement.customerId !== unblocked && (entitlement.paused || isAtLimit(entitlement)),
  }));
  const items = rows.map((row) => itemOf(standing, row));
  if (isFairShare(algorithm)) {
    const written = new Map(lanes.map((lane) => [lane.customerId, lane]));
    const bandThen = (customerId: string): number => written.get(customerId)?.band ?? entitlements.get(customerId)?.band ?? 0;
    const known = [...new Set([...entitlements.keys(), ...written.keys()])];
    const waiting = items.map(({ item, row }) => ({
      ...item,
      band: Math.max(0, bandThen(row.customerId) - row.promoted),
      movedTime: row.moved,
    }));
    const held = waiting.some((item) => item.id === standing.held?.agendaId) ? (standing.held?.agendaId ?? null) : null;
    const part = new FairSharePart(
      algorithm,
      optionsOf(standing),
      {
        bands: standing.bands.map(({ level, clock, clockError, total, totalError, members, sinceLower }) => ({
          ...{ level, members, sinceLower },
          clock: [clock, clockError] as const,
          total: [total, totalError] as const,
        })),
        customers: known.map((id) => ({
          id,
          weight: written.get(id)?.weight ?? entitlements.get(id)?.weight ?? 1,
          band: bandThen(id),
        })),
        lanes: lanes.map(({ customerId, level, tag, tagError, state }) => ({ customerId, level, state, tag: [tag, tagError] as const })),
        waiting: waiting satisfies PartItem[],
        running: [],
        inUse: { slots: 0, cpu: 0, memory: 0, gpu: 0 },
        reservation: { held, bypasses: [] },
      },
      { now, admissions: 0 },
    );
    for (const share of shares) part.setCustomer(share);
    return () => part.next({}, now);
  }
  const scheduler = createAlgorithm(algorithm, {});
  for (const share of shares) scheduler.setCustomer(share);
  for (const { item } of items.sort((a, b) => a.row.ready - b.row.ready || (a.row.agendaId < b.row.agendaId ? -1 : 1))) scheduler.add(item);
  scheduler.begin(items.length);
  return () => scheduler.next();
}

const optionsOf = (standing: InsightStanding): SchedulerOptions => {
  const { priorityStep, floor } = standing;
  return { ...(priorityStep === null ? {} : { priorityStep }), ...(floor === null ? {} : { floor }) };
};

function itemOf({ costModel, capacity }: InsightStanding, row: WaitingRow) {
  const [slots = 0, cpu = 0, memory = 0, gpu = 0] = row.need.split(',').map(Number);
  const need = { slots, cpu, memory, gpu };
  return {
    row,
    item: {
      id: row.agendaId,
      customerId: row.customerId,
      readyTime: row.ready,
      priority: row.priority,
      need,
      cost: costOf({ model: costModel, peak: need, pool: capacity, seconds: row.seconds }),
      expectedSeconds: row.seconds,
    },
  };
}

/** What it would cost now. */
export const costOfWaiting = (standing: InsightStanding, row: WaitingRow): number => itemOf(standing, row).item.cost;

function readFew(database: Database, insightId: string): Promise<readonly WaitingRow[]> {
  const sql = database.$client;
  return sql<WaitingRow[]>`
    /* readOrder: all that wait */
    select ${waitingColumns(sql)} from ready_agenda r where r.insight_id = ${insightId} and r.is_due limit ${fewWaiting + 1}`;
}

/** Those of these customers, and what is leaving. */
function readLanes(database: Database, insightId: string, customerIds: readonly string[]): Promise<readonly LaneRow[]> {
  return database.$client<LaneRow[]>`
    /* readOrder: lanes */
    select customer_id as "customerId", level, tag, tag_error as "tagError", state, weight, band from customer_lane
    where insight_id = ${insightId} and customer_id = any(${customerIds as string[]})
    union
    (select customer_id, level, tag, tag_error, state, weight, band from customer_lane
    where insight_id = ${insightId} and state = 'leaving' order by level, tag limit ${fewWaiting})`;
}

/** Agendas of one need of one customer that are read at most: so many go to it of the next `most`, and some more. */
const headsOf = (most: number): number => most + 1;

/** The first in line by tags, of each need in each band, with the first of their Agendas; by age where there are no tags. */
async function readFirstInLine(database: Database, standing: InsightStanding, most: number): Promise<readonly WaitingRow[]> {
  const sql = database.$client;
  if (!isFairShare(standing.algorithm)) {
    return sql<WaitingRow[]>`
      /* readOrder: oldest */
      select ${waitingColumns(sql)} from ready_agenda r where r.insight_id = ${standing.id} and r.is_due
      order by r.ready_time limit ${2 * most}`;
  }
  const step = standing.algorithm === 'Priority' ? (standing.priorityStep ?? 60) : 0;
  return sql<WaitingRow[]>`
    /* readOrder: first in line */
    with kinds as (select distinct level, need from waiting_queue where insight_id = ${standing.id} and active),
    lanes as (
      select f.customer_id, f.level, f.start, f.finish from kinds k
      cross join lateral (
        select q.customer_id, q.level, q.start, q.finish from waiting_queue q
        where q.insight_id = ${standing.id} and q.level = k.level and q.need = k.need and q.active
        order by q.finish, q.start, q.customer_id collate "C" limit ${most}) f
      union
      select s.customer_id, s.level, s.start, s.finish from kinds k
      cross join lateral (
        select q.customer_id, q.level, q.start, q.finish from waiting_queue q
        where q.insight_id = ${standing.id} and q.level = k.level and q.need = k.need and q.active
        order by q.start, q.customer_id collate "C" limit ${most}) s),
    -- As much of each as its weight can get of so many admissions, twice over, and what it is behind.
    parts as (
      select l.customer_id, l.level,
        least(${headsOf(most)}, 3 + ceil(2 * ${most} * c.weight / greatest(b.total, c.weight)
          + greatest(0, b.clock - l.start) / greatest(l.finish - l.start, 1e-300)))::int as heads
      from lanes l
      join customer_lane c on c.insight_id = ${standing.id} and c.customer_id = l.customer_id and c.level = l.level
      join insight_band b on b.insight_id = ${standing.id} and b.level = l.level)
    select ${waitingColumns(sql)} from parts p
    join waiting_queue q on q.insight_id = ${standing.id} and q.customer_id = p.customer_id and q.level = p.level
    cross join lateral (
      select h.* from unnest(q.priorities) v(priority)
      cross join lateral (
        select * from ready_agenda r
        where r.insight_id = q.insight_id and r.customer_id = q.customer_id and r.promoted = q.promoted and r.need = q.need
          and r.priority = v.priority and r.is_due
        order by r.ready_time, r.agenda_id limit p.heads) h
      order by extract(epoch from h.ready_time) - h.priority * ${step}::float8 limit p.heads) r`;
}
