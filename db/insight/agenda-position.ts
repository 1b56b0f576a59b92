/**
 * The position of one waiting Agenda in line. Where few wait, it is the core's own order. Where many wait, the Agendas
 * of its own customer before it are counted by index, up to a cap. Those of other customers are reckoned: until the
 * finish tag of its turn, the band's clock gives W per unit of virtual time, and its customer takes w of that.
 */
import { reasons } from '../../scheduling/fair-share.ts';
import type { WaitingRow } from '../admission/heads.ts';
import { isFairShare } from '../admission/settings.ts';
import type { Database } from '../connect.ts';
import { type Entitlement, fewWaiting, type InsightStanding, priorityStepOf } from './insight-standing.ts';
import { costOfWaiting } from './standing-settings.ts';
import { readOrder } from './waiting-order.ts';

/** An Agenda that goes before. */
export interface Ahead {
  readonly customerId: string;
  readonly agendaId: string;
  readonly why: string;
}

/** Where an Agenda stands among all that wait, and how its customer does. */
export interface AgendaPosition {
  readonly position: number;
  readonly ahead: number;
  readonly aheadOfCustomer: number;
  /**
   * `exact`: the core put all that waits in order. `estimate`: reckoned from shares. `atLeast`: more go before it than
   * are counted.
   */
  readonly positionIs: 'exact' | 'estimate' | 'atLeast';
  /** The first of those before it. */
  readonly whoIsAhead: readonly Ahead[];
  /**
   * Its customer's part of what its band gives; absent where customers do not share by weight, as `lag` and `bound`.
   */
  readonly share?: number;
  readonly lag?: number;
  readonly bound?: number;
}

/** What goes before is counted to this number. */
const mostCounted = 10_000;
/** What waits in all, to this number: there cannot be more before it. */
const mostWaiting = 2_000;
/** Of those before it, named. */
const mostNamed = 5;

/** The numbers of its lane, where customers share by weight. */
interface Lane {
  /** S, seen from the band's clock, so that what is left of large sums is not rounded away. */
  readonly tag: number;
  readonly isActive: boolean;
  /** W of its band. */
  readonly total: number;
}

/** Finds it. Undefined when the Agenda is not in line, such as before its `notBefore`. */
export async function readPosition(
  database: Database,
  standing: InsightStanding,
  waiting: WaitingRow & { readonly isDue: boolean },
  entitlement: Entitlement,
): Promise<AgendaPosition | undefined> {
  if (!waiting.isDue) return undefined;
  const level = Math.max(0, entitlement.band - waiting.promoted);
  const [lane, line] = await Promise.all([
    readLane(database, standing, waiting.customerId, level),
    standing.waiting <= fewWaiting ? orderedPosition(database, standing, waiting) : undefined,
  ]);
  if (standing.waiting > fewWaiting) {
    return countedPosition(database, { standing, waiting, entitlement, level, lane });
  }
  if (line === undefined) return undefined;
  return { ...line, ...sharesOf(standing, entitlement, lane, line.largestCost) };
}

async function orderedPosition(database: Database, standing: InsightStanding, { agendaId, customerId }: WaitingRow) {
  const { agendas } = await readOrder(database, standing, {
    most: Number.POSITIVE_INFINITY,
    upTo: agendaId,
    unblocked: customerId,
  });
  const own = agendas.at(-1);
  if (own?.agendaId !== agendaId) return undefined;
  const before = agendas.slice(0, -1);
  return {
    position: own.position,
    ahead: before.length,
    aheadOfCustomer: before.filter((one) => one.customerId === customerId).length,
    // Turns depend on how many are admitted at once.
    positionIs: standing.algorithm === 'RoundRobin' ? ('estimate' as const) : ('exact' as const),
    whoIsAhead: before
      .slice(0, mostNamed)
      .map((one) => ({ agendaId: one.agendaId, customerId: one.customerId, why: one.reason.sentence })),
    largestCost: agendas.reduce((largest, { cost }) => Math.max(largest, cost), 0),
  };
}

/** All that the reckoning goes by. */
interface Reckoning {
  readonly standing: InsightStanding;
  readonly waiting: WaitingRow;
  readonly entitlement: Entitlement;
  readonly level: number;
  readonly lane: Lane | undefined;
}

async function countedPosition(
  database: Database,
  { standing, waiting, entitlement, level, lane }: Reckoning,
): Promise<AgendaPosition> {
  const step = priorityStepOf(standing);
  const cost = costOfWaiting(standing, waiting);
  const [own, around, named] = await Promise.all([
    countOwn(database, standing.id, waiting, { level, step }),
    countAround(database, standing, waiting, level),
    nameSome(database, standing, waiting, level),
  ]);
  const others = othersBefore(standing, { own: own.sameLevel, cost, weight: entitlement.weight, lane, around });
  const all = own.all + others;
  const ahead = around.isWhole ? Math.min(all, Math.max(around.waiting - 1, 0)) : all;
  const isCounted = own.all <= mostCounted && around.above <= mostCounted && around.older <= mostCounted;
  return {
    position: ahead + 1,
    ahead,
    aheadOfCustomer: Math.min(own.all, mostCounted),
    positionIs: isCounted ? 'estimate' : 'atLeast',
    whoIsAhead: named,
    ...sharesOf(standing, entitlement, lane, cost),
  };
}

interface Around {
  /** All that wait, as far as they are counted. */
  readonly waiting: number;
  readonly isWhole: boolean;
  /** In higher bands. */
  readonly above: number;
  /** FirstInFirstOut: ready before it, whoever's. */
  readonly older: number;
  /** RoundRobin: customers that have something to start. */
  readonly customers: number;
}

function othersBefore(
  standing: InsightStanding,
  {
    own,
    cost,
    weight,
    lane,
    around,
  }: { own: number; cost: number; weight: number; lane: Lane | undefined; around: Around },
): number {
  if (standing.algorithm === 'FirstInFirstOut') return Math.max(0, Math.min(around.older, mostCounted) - own);
  if (!isFairShare(standing.algorithm)) return (own + 1) * Math.max(0, around.customers - 1);
  const above = Math.min(around.above, mostCounted);
  if (lane === undefined) return above;
  const total = lane.isActive ? lane.total : lane.total + weight;
  // Idle time earned nothing: a lane that comes back starts at the clock.
  const start = lane.isActive ? lane.tag : Math.max(lane.tag, 0);
  const finish = start + ((own + 1) * cost) / weight;
  const meanCost = standing.recent.count > 0 ? standing.recent.meanCost : cost;
  return above + Math.max(0, Math.floor((finish * Math.max(0, total - weight)) / meanCost));
}

function sharesOf(standing: InsightStanding, { weight }: Entitlement, lane: Lane | undefined, largestCost: number) {
  if (!isFairShare(standing.algorithm)) return {};
  const total = lane === undefined ? weight : lane.isActive ? lane.total : lane.total + weight;
  const lag = lane === undefined ? 0 : (0 - lane.tag) * weight;
  return {
    share: weight / Math.max(total, weight),
    // Idle or blocked time earns nothing.
    lag: lane?.isActive === true || lag < 0 ? lag : 0,
    bound: Math.max(largestCost, standing.recent.largestCost),
  };
}

async function readLane(
  database: Database,
  standing: InsightStanding,
  customerId: string,
  level: number,
): Promise<Lane | undefined> {
  const band = standing.bands.find((one) => one.level === level);
  if (band === undefined || !isFairShare(standing.algorithm)) return undefined;
  const [row] = await database.$client<{ distance: number; state: string }[]>`
    /* explain: lane */
    select (tag - ${band.clock}::float8) + (tag_error - ${band.clockError}::float8) as distance, state
    from customer_lane
    where insight_id = ${standing.id} and customer_id = ${customerId} and level = ${level}`;
  if (row === undefined) return { tag: 0, isActive: false, total: band.total };
  return { tag: row.distance, isActive: row.state === 'active', total: band.total };
}

/**
 * Agendas of its own customer before it: in its band, and in those above too; each counted to one more than the cap.
 */
async function countOwn(
  database: Database,
  insightId: string,
  { agendaId, customerId, readyAt, priority, need, promoted }: WaitingRow,
  { level, step }: { level: number; step: number },
): Promise<{ sameLevel: number; all: number }> {
  const [row] = await database.$client<{ same: number; above: number }[]>`
    /* explain: own before */
    with queues as (
      select promoted, need, priorities, level from waiting_queue
      where insight_id = ${insightId} and customer_id = ${customerId} and level <= ${level}
      union all
      -- Not taken in by admission yet.
      select ${promoted}::int, ${need}, array[${priority}::int], ${level}::int where not exists (
        select 1 from waiting_queue q
        where q.insight_id = ${insightId} and q.customer_id = ${customerId}
          and q.promoted = ${promoted} and q.need = ${need})),
    own as (
      select b.level from (
        select
          q.level,
          q.promoted,
          q.need,
          v.priority,
          case when q.level < ${level} then 'infinity'::timestamptz
            else ${readyAt}::timestamptz + make_interval(secs => (v.priority - ${priority}) * ${step}::float8)
          end as before
        from queues q cross join lateral unnest(q.priorities) v(priority)) b
      cross join lateral (
        select 1 from ready_agenda r
        where r.insight_id = ${insightId} and r.customer_id = ${customerId}
          and r.promoted = b.promoted and r.need = b.need and r.priority = b.priority
          and r.is_due and (r.ready_time, r.agenda_id) < (b.before, ${agendaId})
        limit ${mostCounted + 1}) r
      limit ${mostCounted + 1})
    select
      count(*) filter (where level = ${level})::int as same,
      count(*) filter (where level < ${level})::int as above
    from own`;
  const { same = 0, above = 0 } = row ?? {};
  return { sameLevel: same, all: same + above };
}

/** What else the reckoning needs, by algorithm. */
async function countAround(
  database: Database,
  { id, algorithm }: InsightStanding,
  { customerId, readyAt }: WaitingRow,
  level: number,
): Promise<Around> {
  const sql = database.$client;
  const few = mostCounted + 1;
  const none = sql`(select 1 where false)`;
  const above =
    isFairShare(algorithm) && level > 0
      ? sql`(
        select 1 from waiting_queue q
          join ready_agenda r on r.insight_id = q.insight_id and r.customer_id = q.customer_id
            and r.promoted = q.promoted and r.need = q.need and r.is_due
        where q.insight_id = ${id} and q.level < ${level} and q.active and q.customer_id <> ${customerId}
        limit ${few})`
      : none;
  const older =
    algorithm === 'FirstInFirstOut'
      ? sql`(
        select 1 from ready_agenda where insight_id = ${id} and ready_time < ${readyAt}
        order by ready_time limit ${few})`
      : none;
  const customers =
    algorithm === 'RoundRobin'
      ? sql`(select distinct customer_id from waiting_queue where insight_id = ${id} and active limit ${few})`
      : none;
  const [row] = await sql<{ waiting: number; above: number; older: number; customers: number }[]>`
    /* explain: around */
    select
      (select count(*)::int from (
        select 1 from ready_agenda where insight_id = ${id} order by ready_time limit ${mostWaiting + 1}) w) as waiting,
      (select count(*)::int from ${above} a) as above,
      (select count(*)::int from ${older} o) as older,
      (select count(*)::int from ${customers} c) as customers`;
  const { waiting = 0, ...counts } = row ?? { above: 0, older: 0, customers: 0 };
  return { ...counts, waiting, isWhole: waiting <= mostWaiting };
}

/** Some of those before it: of its own customer, then the customers that are first in line with the same need. */
async function nameSome(
  database: Database,
  { id, algorithm }: InsightStanding,
  { agendaId, customerId, readyAt, priority, need, promoted }: WaitingRow,
  level: number,
): Promise<Ahead[]> {
  const sql = database.$client;
  if (algorithm === 'FirstInFirstOut') {
    const oldest = await sql<Omit<Ahead, 'why'>[]>`
      /* explain: oldest */
      select agenda_id as "agendaId", customer_id as "customerId" from ready_agenda
      where insight_id = ${id} and ready_time < ${readyAt} and is_due order by ready_time limit ${mostNamed}`;
    return oldest.map((one) => ({ ...one, why: 'It became ready before.' }));
  }
  const [own, others] = await Promise.all([
    sql<Omit<Ahead, 'why'>[]>`
      /* explain: own first */
      select agenda_id as "agendaId", customer_id as "customerId" from ready_agenda
      where insight_id = ${id} and customer_id = ${customerId}
        and promoted = ${promoted} and need = ${need} and priority = ${priority}
        and is_due and (ready_time, agenda_id) < (${readyAt}, ${agendaId})
      order by ready_time, agenda_id limit 2`,
    sql<Omit<Ahead, 'why'>[]>`
      /* explain: first customers */
      select h.agenda_id as "agendaId", q.customer_id as "customerId"
      from (
          select * from waiting_queue where insight_id = ${id} and level = ${level} and need = ${need} and active
          order by finish, start, customer_id collate "C" limit ${mostNamed + 1}) q
        cross join lateral (
          select r.agenda_id from unnest(q.priorities) v(priority)
          cross join lateral (
            select agenda_id, ready_time from ready_agenda r
            where r.insight_id = q.insight_id and r.customer_id = q.customer_id
              and r.promoted = q.promoted and r.need = q.need and r.priority = v.priority and r.is_due
            order by r.ready_time, r.agenda_id limit 1) r
          order by r.ready_time limit 1) h
      where q.customer_id <> ${customerId}
      order by q.finish`,
  ]);
  return [
    ...own.map((one) => ({ ...one, why: 'Of its own customer, and ready before.' })),
    ...others.map((one) => ({
      ...one,
      why: isFairShare(algorithm) ? reasons.share.sentence : 'Its customer has its turn before.',
    })),
  ].slice(0, mostNamed);
}
