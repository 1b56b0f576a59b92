/**
 * The customers that can be next, found by index. In each band and for each need these are the first that the clock has
 * reached, by F, and the first that it comes to next, by S; with them come the leaving lanes it passes. A customer
 * further away cannot matter for as many decisions as there is room for.
 */
import { type Amounts, amountsOfKey, resourceNames } from '../../scheduling/need.ts';
import type { Statements } from '../connect.ts';
import { type LaneRow, laneColumns, type StoredLane, storedLane } from './customers.ts';
import { isFairShare, type Settings } from './settings.ts';

/** Bands and needs that are looked at in one batch. Of more, those that fit and are due first are looked at. */
const mostClasses = 500;

/** Bands and needs that are counted. */
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

/** Nobody was found, or nobody was looked for. */
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

/** What a batch looks for: a band and a need, up to the clock, so many customers. */
interface Wanted {
  readonly level: number;
  readonly need: string;
  readonly clock: number;
  readonly most: number;
}

interface FoundRow {
  /** Index in what was wanted, from 1. */
  readonly n: number;
  readonly customerId: string;
  readonly start: number;
  /** The clock has reached it. */
  readonly reached: boolean;
}

/** Finds who can be next, by tags or by time. With `known`: those that follow these, from where the clocks are now. */
export async function findCandidates(
  sql: Statements,
  settings: Settings,
  { free, most }: { readonly free: Amounts; readonly most: number },
  known: Known = { customerIds: [], leaving: [] },
): Promise<Candidates> {
  const all = await readClasses(sql, settings);
  if (all.length === 0) return noCandidates;
  const classes = all.length <= mostClasses ? all : dueFirst(all, free);
  const clocks = new Map(settings.bands.map(({ level, clock }) => [level, clock[0]]));
  const byTags = isFairShare(settings.algorithm);
  const clockOf = (level: number) => (byTags ? (clocks.get(level) ?? 0) : Number.MAX_VALUE);
  const wanted = classes.map(({ level, need }) => ({
    level,
    need,
    clock: clockOf(level),
    // Read one extra: the first that does not fit must be known too.
    most: Math.min(most, timesIn(need, free)) + 1,
  }));
  const leavingMost = Math.max(leastLeaving, most * 4);
  const levels = [...new Set(classes.map(({ level }) => level))];
  const [found, leaving] = await Promise.all([
    readFirst(sql, settings, wanted, known),
    byTags ? readLeaving(sql, settings, { levels, most: leavingMost }, known) : [],
  ]);
  const reach = reachOf(wanted, found, byTags);
  for (const level of levels) {
    const lanes = leaving.filter((row) => row.level === level);
    const last = lanes.at(-1);
    if (last !== undefined && lanes.length === leavingMost) narrow(reach.horizons, level, last.tag);
  }
  const customerIds = [...new Set(found.map((row) => row.customerId))];
  const looked = new Set(customerIds);
  return {
    customerIds,
    leaving: leaving.filter((row) => !looked.has(row.customerId)).map(storedLane),
    ...reach,
    needs: new Set(classes.map(({ need }) => need)).size,
  };
}

/** Bands and needs in which an active queue stands, each by one look at the index. */
function readClasses(sql: Statements, { insightId }: Settings): Promise<readonly NeedClass[]> {
  return sql<NeedClass[]>`
    /* admitBatch: needs */
    with recursive classes as (
      (select level, need, finish from waiting_queue
        where insight_id = ${insightId} and active
        order by level, need, finish limit 1)
      union all
      select n.level, n.need, n.finish from classes c cross join lateral (
        select level, need, finish from waiting_queue
        where insight_id = ${insightId} and active and (level, need) > (c.level, c.need)
        order by level, need, finish limit 1) n)
    select level, need, finish from classes limit ${mostCounted}`.execute();
}

/** Leaves out customers that are known; the condition is absent when there are none, which plans better. */
const except = (sql: Statements, ids: readonly string[]) =>
  ids.length === 0 ? sql`` : sql`and customer_id <> all(${ids as string[]}::text[])`;

function readFirst(
  sql: Statements,
  { insightId }: Settings,
  wanted: readonly Wanted[],
  { customerIds }: Known,
): Promise<readonly FoundRow[]> {
  const others = except(sql, customerIds);
  return sql<FoundRow[]>`
    /* admitBatch: candidates */
    select c.n::int, x.customer_id as "customerId", x.start, x.reached
    from unnest(
        ${wanted.map(({ level }) => level)}::int[],
        ${wanted.map(({ need }) => need)}::text[],
        ${wanted.map(({ clock }) => clock)}::float8[],
        ${wanted.map(({ most }) => most)}::int[]
      ) with ordinality as c(level, need, clock, most, n)
      cross join lateral (
        (select customer_id, start, true as reached from waiting_queue
          where insight_id = ${insightId} and active and level = c.level and need = c.need
            and start <= c.clock ${others}
          order by finish, start, customer_id collate "C" limit c.most)
        union all
        (select customer_id, start, false from waiting_queue
          where insight_id = ${insightId} and active and level = c.level and need = c.need
            and start > c.clock ${others}
          order by start, customer_id collate "C" limit c.most)) x`.execute();
}

function readLeaving(
  sql: Statements,
  { insightId }: Settings,
  { levels, most }: { readonly levels: readonly number[]; readonly most: number },
  known: Known,
): Promise<readonly LaneRow[]> {
  return sql<LaneRow[]>`
    /* admitBatch: leaving */
    select l.* from unnest(${levels as number[]}::int[]) b(level) cross join lateral (
      select ${laneColumns(sql)} from customer_lane
      where insight_id = ${insightId} and level = b.level and state = 'leaving'
        ${except(sql, [...known.customerIds, ...known.leaving])}
      order by tag limit ${most}) l`.execute();
}

/**
 * How far what was found reaches: where as many were found as were wanted, there may be others behind the last of them.
 */
function reachOf(
  wanted: readonly Wanted[],
  found: readonly FoundRow[],
  byTags: boolean,
): { horizons: Map<number, number>; truncated: boolean } {
  const horizons = new Map<number, number>();
  let truncated = false;
  wanted.forEach(({ level, most }, index) => {
    const here = found.filter(({ n }) => n === index + 1);
    const reached = here.filter((row) => row.reached);
    const ahead = here.filter((row) => !row.reached);
    if (reached.length === most || ahead.length === most) truncated = true;
    const later = byTags ? ahead : reached;
    if (later.length === most) narrow(horizons, level, Math.max(...later.map(({ start }) => start)));
  });
  return { horizons, truncated };
}

const narrow = (horizons: Map<number, number>, level: number, tag: number) =>
  horizons.set(level, Math.min(horizons.get(level) ?? Number.POSITIVE_INFINITY, tag));

/** Those that fit, the first due first; and the first of all, for capacity may have to be held for it. */
function dueFirst(classes: readonly NeedClass[], free: Amounts): NeedClass[] {
  const inOrder = classes.toSorted((a, b) => a.level - b.level || a.finish - b.finish);
  const fitting = inOrder.filter(({ need }) => timesIn(need, free) > 0).slice(0, mostClasses);
  return [...new Set([...inOrder.slice(0, 1), ...fitting])];
}

/** How many of this need go into what is free. */
function timesIn(key: string, free: Amounts): number {
  const need = amountsOfKey(key);
  const times = resourceNames.filter((name) => need[name] > 0).map((name) => Math.floor(free[name] / need[name]));
  return Math.max(0, Math.min(...times, Number.MAX_SAFE_INTEGER));
}

/**
 * RoundRobin: the customers that the next turns come to. A run walks those whose turn is pending, then all. A customer
 * that gave its only Agenda in the first walk has none for the second, so of all twice as many are read.
 */
export async function findTurns(
  sql: Statements,
  { insightId, pending }: Settings,
  known: readonly string[],
  most: number,
): Promise<Candidates> {
  const rows = await sql<{ customerId: string }[]>`
    /* admitBatch: turns */
    select distinct customer_id as "customerId" from waiting_queue where insight_id = ${insightId} and active`;
  const ready = new Set(rows.map(({ customerId }) => customerId));
  const all = [...new Set([...known, ...[...ready].toSorted()])];
  const firstOf = (ids: readonly string[], count: number) => ids.filter((id) => ready.has(id)).slice(0, count);
  const customerIds = [...new Set([...firstOf(pending.length > 0 ? pending : all, most), ...firstOf(all, most * 2)])];
  return { ...noCandidates, customerIds, truncated: customerIds.length < ready.size, needs: 1 };
}
