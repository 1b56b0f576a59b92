/**
 * The customers that can be next, found by index: in each band and for each need the first ones that the clock has reached, by F, the ones it
 * comes to next, by S, and the leaving lanes it passes. What is further away cannot matter for as many decisions as there is room for.
 */
import type { Resources } from '../../scheduling/index.ts';
import { amountsOfKey } from '../../scheduling/need.ts';
import type { Statements } from '../connect.ts';
import { type LaneRow, laneColumns, type StoredLane, storedLane } from './customers.ts';
import { isFairShare, type Settings } from './settings.ts';

/** Bands and needs that are looked at in one batch. */
const mostClasses = 500;

/** Bands and needs that are counted; of more than `mostClasses` those that fit and whose first customer is due first are looked at. */
const mostCounted = 5_000;
/** Leaving lanes that are read at once, at least. */
const leastLeaving = 1_000;

/** Who was found, and how far that reaches. */
export interface Candidates {
  readonly customerIds: readonly string[];
  readonly leaving: readonly StoredLane[];
  /** By band: how far its clock may come before lanes that were not read matter. */
  readonly horizons: ReadonlyMap<number, number>;
  /** There are customers that were not read. */
  readonly truncated: boolean;
  /** Different needs wait. */
  readonly needs: number;
}

export const noCandidates: Candidates = {
  customerIds: [],
  leaving: [],
  horizons: new Map(),
  truncated: false,
  needs: 0,
};

interface NeedClass {
  readonly level: number;
  readonly need: string;
  /** F of its first customer. */
  readonly finish: number;
}

/** What a batch has read already. */
interface Known {
  readonly customerIds: readonly string[];
  /** Customers of leaving lanes. */
  readonly leaving: readonly string[];
}

/** With `known`, the ones that follow these, from where the clocks are now. */
export async function findCandidates(
  sql: Statements,
  settings: Settings,
  free: Resources,
  most: number,
  known: Known = { customerIds: [], leaving: [] },
): Promise<Candidates> {
  const { insightId } = settings;
  const all = await sql<NeedClass[]>`
    /* admitBatch: needs */
    with recursive classes as (
      (select level, need, finish from waiting_queue where insight_id = ${insightId} and active order by level, need, finish limit 1)
      union all
      select n.level, n.need, n.finish from classes c cross join lateral (
        select level, need, finish from waiting_queue where insight_id = ${insightId} and active and (level, need) > (c.level, c.need)
        order by level, need, finish limit 1) n)
    select level, need, finish from classes limit ${mostCounted}`;
  if (all.length === 0) return noCandidates;
  const classes = all.length <= mostClasses ? all : dueFirst(all, free);
  const clocks = new Map(settings.bands.map(({ level, clock }) => [level, clock[0]]));
  const byTags = isFairShare(settings.algorithm);
  const clockOf = (level: number) => (byTags ? (clocks.get(level) ?? 0) : Number.MAX_VALUE);
  // One more than can be admitted, so that whose turn it is can be told of all that fit and one that does not.
  const wanted = classes.map(({ level, need }) => ({
    level,
    need,
    clock: clockOf(level),
    most: Math.min(most, timesIn(need, free)) + 1,
  }));
  const leavingMost = Math.max(leastLeaving, most * 4);
  const but = (ids: readonly string[]) =>
    ids.length === 0 ? sql`` : sql`and customer_id <> all(${ids as string[]}::text[])`;
  const others = but(known.customerIds);
  const levels = [...new Set(classes.map(({ level }) => level))];
  const [found, leavingRows] = await Promise.all([
    sql<{ n: number; customer_id: string; start: number; reached: boolean }[]>`
      /* admitBatch: candidates */
      select c.n::int, x.customer_id, x.start, x.reached
      from unnest(${wanted.map(({ level }) => level)}::int[], ${wanted.map(({ need }) => need)}::text[],
          ${wanted.map(({ clock }) => clock)}::float8[], ${wanted.map((one) => one.most)}::int[]) with ordinality as c(level, need, clock, most, n)
        cross join lateral (
          (select customer_id, start, true as reached from waiting_queue
            where insight_id = ${insightId} and active and level = c.level and need = c.need and start <= c.clock ${others}
            order by finish, start, customer_id collate "C" limit c.most)
          union all
          (select customer_id, start, false from waiting_queue
            where insight_id = ${insightId} and active and level = c.level and need = c.need and start > c.clock ${others}
            order by start, customer_id collate "C" limit c.most)) x`,
    byTags
      ? sql<LaneRow[]>`
          /* admitBatch: leaving */
          select l.* from unnest(${levels}::int[]) b(level) cross join lateral (
            select ${laneColumns(sql)} from customer_lane where insight_id = ${insightId} and level = b.level and state = 'leaving' ${but([...known.customerIds, ...known.leaving])}
            order by tag limit ${leavingMost}) l`
      : [],
  ]);
  const horizons = new Map<number, number>();
  const limit = (level: number, tag: number) =>
    horizons.set(level, Math.min(horizons.get(level) ?? Number.POSITIVE_INFINITY, tag));
  let truncated = false;
  wanted.forEach(({ level, most: limitOfClass }, index) => {
    const here = found.filter(({ n }) => n === index + 1);
    const reached = here.filter((row) => row.reached);
    const ahead = here.filter((row) => !row.reached);
    if (reached.length === limitOfClass || ahead.length === limitOfClass) truncated = true;
    const later = byTags ? ahead : reached;
    if (later.length === limitOfClass) limit(level, Math.max(...later.map(({ start }) => start)));
  });
  for (const level of levels) {
    const lanes = leavingRows.filter((row) => row.level === level);
    const last = lanes.at(-1);
    if (last !== undefined && lanes.length === leavingMost) limit(level, last.tag);
  }
  const customerIds = [...new Set(found.map((row) => row.customer_id))];
  const looked = new Set(customerIds);
  return {
    customerIds,
    leaving: leavingRows.filter((row) => !looked.has(row.customer_id)).map(storedLane),
    horizons,
    truncated,
    needs: new Set(classes.map(({ need }) => need)).size,
  };
}

/** Of too many: those that fit and are due first, and the first of all, which may be one that capacity is to be held for. */
function dueFirst(classes: readonly NeedClass[], free: Resources): NeedClass[] {
  const inOrder = classes.toSorted((a, b) => a.level - b.level || a.finish - b.finish);
  const fitting = inOrder.filter(({ need }) => timesIn(need, free) > 0).slice(0, mostClasses);
  return [...new Set([...inOrder.slice(0, 1), ...fitting])];
}

/** How many of this need go into what is free. */
function timesIn(key: string, free: Resources): number {
  const need = amountsOfKey(key);
  let times = Number.MAX_SAFE_INTEGER;
  for (const name of ['slots', 'cpu', 'memory', 'gpu'] as const) {
    const left = free[name];
    if (left !== undefined && need[name] > 0) times = Math.min(times, Math.max(0, Math.floor(left / need[name])));
  }
  return times;
}

/**
 * RoundRobin: the customers that the next turns come to. A run walks those whose turn is pending, then all; who gave its only Agenda in the first
 * walk has none for the second, hence twice as many.
 */
export async function findTurns(
  sql: Statements,
  { insightId, pending }: Settings,
  known: readonly string[],
  most: number,
): Promise<Candidates> {
  const rows = await sql<{ customer_id: string }[]>`
    /* admitBatch: turns */
    select distinct customer_id from waiting_queue where insight_id = ${insightId} and active`;
  const ready = new Set(rows.map(({ customer_id }) => customer_id));
  const all = [...new Set([...known, ...[...ready].toSorted()])];
  const firstOf = (ids: readonly string[], count: number) => ids.filter((id) => ready.has(id)).slice(0, count);
  const customerIds = [...new Set([...firstOf(pending.length > 0 ? pending : all, most), ...firstOf(all, most * 2)])];
  return { ...noCandidates, customerIds, truncated: customerIds.length < ready.size, needs: 1 };
}
