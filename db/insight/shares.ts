/**
 * What customers of an Insight were entitled to and what they got, over a span of time, from its record of admissions.
 *
 * A customer was backlogged while one of its Agendas waited: from the moment it was ready to its admission, or until
 * now. Entitled is each to its weight's part of what was given, counted for the time it was backlogged. Jain's index
 * (Jain, Chiu & Hawe 1984) is over received / weight of those that were backlogged all along: 1 is perfectly fair, 1/n
 * is all for one of n.
 */
import { amountOfNeed } from '../admission/need-amount.ts';
import type { Database } from '../connect.ts';
import type { InsightStanding } from './insight-standing.ts';
import { laneLag } from './lane-standing.ts';

/** A span that holds more admissions is cut: it then begins with the oldest of so many. */
const mostAdmissions = 100_000;
/**
 * Part of the span that counts as all along: the first Agenda of a test or a morning is never ready at the very begin.
 */
const allAlong = 0.99;

/** What one customer was entitled to and got. */
export interface CustomerShares {
  readonly customerId: string;
  readonly weight: number;
  readonly admissions: number;
  /** Cost, of what it really used where that is known. */
  readonly cost: number;
  /** Held within the span. */
  readonly slotSeconds: number;
  readonly backloggedSeconds: number;
  /** Parts of all of it, 0 to 1. */
  readonly entitled: number;
  readonly received: number;
}

/** Over one span, with every customer that waited or held slots in it. */
export interface Shares {
  /** Epoch milliseconds. */
  readonly since: number;
  readonly until: number;
  /** The span was cut, for it holds too many admissions. */
  readonly isCut: boolean;
  readonly admissions: number;
  readonly cost: number;
  readonly slotSeconds: number;
  /** Absent when fewer than two customers were backlogged all along. */
  readonly jainIndex?: number;
  readonly backloggedCustomers: number;
  /** Who received most first. */
  readonly customers: readonly CustomerShares[];
}

interface Row {
  readonly customerId: string;
  readonly weight: number;
  readonly admissions: number;
  readonly cost: number;
  readonly slotSeconds: number;
  readonly backlogged: number;
  readonly since: number;
  readonly until: number;
  readonly isCut: boolean;
}

/** Reads them of the last `seconds`. */
export async function readShares(database: Database, insight: ShareWeights, seconds: number): Promise<Shares> {
  const rows = await readRows(database, insight.id, seconds);
  const [first] = rows;
  if (first === undefined) throw new Error('shares without a span');
  const { since, until, isCut } = first;
  // Nobody: one row that tells the span.
  const known = rows.filter((row) => row.customerId !== null);
  const weightOf = ({ customerId, weight }: Row): number =>
    (Object.hasOwn(insight.customers, customerId) ? insight.customers[customerId]?.weight : undefined) ?? weight;
  const total = { cost: 0, slotSeconds: 0, admissions: 0, weightedSeconds: 0 };
  for (const row of known) {
    total.cost += row.cost;
    total.slotSeconds += row.slotSeconds;
    total.admissions += row.admissions;
    total.weightedSeconds += weightOf(row) * row.backlogged;
  }
  const all = known.filter((row) => row.backlogged * 1000 >= allAlong * (until - since));
  const jain = jainIndex(all.map((row) => row.cost / weightOf(row)));
  return {
    since: Math.round(since),
    until: Math.round(until),
    isCut,
    admissions: total.admissions,
    cost: total.cost,
    slotSeconds: total.slotSeconds,
    ...(jain === undefined ? {} : { jainIndex: jain }),
    backloggedCustomers: all.length,
    customers: known
      .map((row) => ({
        customerId: row.customerId,
        weight: weightOf(row),
        admissions: row.admissions,
        cost: row.cost,
        slotSeconds: row.slotSeconds,
        backloggedSeconds: row.backlogged,
        entitled: total.weightedSeconds > 0 ? (weightOf(row) * row.backlogged) / total.weightedSeconds : 0,
        received: total.cost > 0 ? row.cost / total.cost : 0,
      }))
      .sort((a, b) => b.cost - a.cost || (a.customerId < b.customerId ? -1 : 1)),
  };
}

/** The Insight, and what it says of customers' weights. */
export type ShareWeights = Pick<InsightStanding, 'id' | 'customers'>;

function readRows({ $client: sql }: Database, insightId: string, seconds: number): Promise<readonly Row[]> {
  return sql<Row[]>`
    /* readShares: span */
    with ${spanOf(sql, insightId, seconds)},
    ${givenIn(sql, insightId)},
    ${heldIn(sql, insightId)},
    -- The oldest that waits still, as admission has taken it in.
    waits as (
      select customer_id, min(head_moved_time) as since
      from waiting_queue where insight_id = ${insightId} group by customer_id),
    everybody as (
      select customer_id from given
      union select customer_id from held
      union select customer_id from waits)
    select
      e.customer_id as "customerId",
      coalesce(c.weight, 1) as weight,
      coalesce(g.admissions, 0) as admissions,
      coalesce(g.cost, 0) as cost,
      coalesce(h.slot_seconds, 0) as "slotSeconds",
      coalesce((
        select sum(extract(epoch from upper(b) - lower(b)))::float8 from unnest(
          coalesce(g.waited, '{}') + case when w.since is null or w.since >= span.until then '{}'::tstzmultirange
            else tstzmultirange(tstzrange(greatest(w.since, span.since), span.until, '[)')) end) b), 0) as backlogged,
      (extract(epoch from span.since) * 1000)::float8 as since,
      (extract(epoch from span.until) * 1000)::float8 as until,
      span.is_cut as "isCut"
    from span
      left join everybody e on true
      left join given g on g.customer_id = e.customer_id
      left join held h on h.customer_id = e.customer_id
      left join waits w on w.customer_id = e.customer_id
      left join customer c on c.id = e.customer_id`.execute();
}

/** The span that was asked for, cut where it holds too many admissions. */
const spanOf = (sql: Database['$client'], insightId: string, seconds: number) => sql`
  asked as (
    select clock_timestamp() as until, clock_timestamp() - make_interval(secs => ${seconds}) as since),
  cut as (
    select a.admitted_time from admission a, asked
    where a.insight_id = ${insightId} and a.admitted_time > asked.since
    order by a.admitted_time desc offset ${mostAdmissions} limit 1),
  span as (
    select
      coalesce(cut.admitted_time, asked.since) as since,
      asked.until,
      cut.admitted_time is not null as is_cut
    from asked left join cut on true)`;

/** What was admitted in the span, and when it had waited. */
const givenIn = (sql: Database['$client'], insightId: string) => sql`
  given as (
    select
      a.customer_id,
      count(*)::int as admissions,
      sum(coalesce(a.actual_cost, a.cost)) as cost,
      range_agg(tstzrange(greatest(least(a.ready_time, a.admitted_time), span.since), a.admitted_time, '[)')) as waited
    from admission a, span
    where a.insight_id = ${insightId} and a.admitted_time > span.since
    group by a.customer_id)`;

/**
 * Seconds that slots were held in the span. What was admitted before it and ran into it counts too. Where admission has
 * not taken in an end yet, the Agenda's progress knows it.
 */
const heldIn = (sql: Database['$client'], insightId: string) => sql`
  held as (
    select
      a.customer_id,
      sum(${amountOfNeed(sql, sql`a.need`, 'slots')} * greatest(0, extract(epoch from least(
        coalesce(
          a.ended_time,
          (select p.completed_time from agenda_progress p where p.agenda_id = a.agenda_id),
          span.until),
        span.until) - greatest(a.admitted_time, span.since)))::float8) as slot_seconds
    from span cross join lateral (
      select a.agenda_id, customer_id, need, admitted_time, ended_time from admission a
      where a.insight_id = ${insightId} and a.admitted_time > span.since
      union all
      select a.agenda_id, a.customer_id, a.need, a.admitted_time, a.ended_time
      from running_agenda r join admission a on a.agenda_id = r.agenda_id and a.attempt = r.attempt
      where r.insight_id = ${insightId} and a.admitted_time <= span.since) a
    group by a.customer_id)`;

/** Jain's index of fairness; undefined for fewer than two. */
export function jainIndex(values: readonly number[]): number | undefined {
  if (values.length < 2) return undefined;
  const sum = values.reduce((whole, value) => whole + value, 0);
  const squares = values.reduce((whole, value) => whole + value * value, 0);
  return squares === 0 ? undefined : (sum * sum) / (values.length * squares);
}

/** Reads the cost that each customer with a lane is behind its share (above 0) or ahead of it now, over its bands. */
export async function readLags(
  database: Database,
  insightId: string,
  customerIds: readonly string[],
): Promise<Map<string, number>> {
  const rows = await database.$client<{ customerId: string; lag: number }[]>`
    /* readLags: over bands */
    select "customerId", sum(lag)::float8 as lag from (
      select l.customer_id as "customerId", ${laneLag(database.$client)} as lag
      from customer_lane l join insight_band b on b.insight_id = l.insight_id and b.level = l.level
      where l.insight_id = ${insightId} and l.customer_id = any(${customerIds as string[]})) lanes
    where lag is not null group by "customerId"`;
  return new Map(rows.map((row) => [row.customerId, row.lag]));
}
