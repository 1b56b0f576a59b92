/**
 * An Insight's queue as its admission workflow shows it to people. Every query is bounded: what is many is counted up
 * to a limit, customers are the ten that the latest admissions and the oldest waiting Agendas name. The answer is under
 * 4 KiB, for histories keep it.
 */
import type { Database } from '../connect.ts';
import { laneLag, laneShare } from './lane-standing.ts';

const mostCounted = 10_000;
const mostCountedPerCustomer = 1_000;
/** Shares are of the cost of so many admissions. */
const latestAdmissions = 500;
const oldestWaiting = 100;
const mostCustomers = 10;
const mostDecisions = 10;
/** Of an id. */
const mostIdBytes = 40;
const mostBytes = 4_000;

interface DepthRow {
  readonly time: number;
  readonly waiting: number;
  readonly oldest: number | null;
  readonly running: number;
  readonly unstarted: number;
  readonly poolSlots: number;
  readonly queueSize: number;
  readonly maximumRunning: number | null;
  readonly capacitySlots: number | null;
}

interface ShareRow {
  readonly customerId: string;
  readonly weight: number;
  readonly share: number | null;
  readonly received: number | null;
  readonly running: number;
  readonly waiting: number;
  readonly lag: number | null;
}

interface DecisionRow {
  readonly number: number;
  readonly agendaId: string;
  readonly customerId: string;
  readonly reason: string;
  readonly cost: number;
}

/** What people are shown of an Insight's queue. */
export type StandingSummary = ReturnType<typeof summaryOf>;

/** Reads the summary. Undefined when there is no such Insight. */
export async function readStandingSummary(database: Database, insightId: string): Promise<StandingSummary | undefined> {
  const [[depth], shares, decisions] = await Promise.all([
    readDepth(database, insightId),
    readCustomers(database, insightId),
    readDecisions(database, insightId),
  ]);
  return depth === undefined ? undefined : withinBytes(summaryOf(depth, shares, decisions));
}

const readDepth = ({ $client: sql }: Database, insightId: string) => sql<DepthRow[]>`
  /* standingSummary: depth */
  select
    (extract(epoch from clock_timestamp()) * 1000)::float8 as time,
    (select count(*)::int from (
      select from ready_agenda where insight_id = i.id limit ${mostCounted + 1}) w) as waiting,
    (select greatest(0, extract(epoch from clock_timestamp() - ready_time))::float8 from ready_agenda
      where insight_id = i.id order by ready_time limit 1) as oldest,
    r.running,
    r.unstarted,
    (select coalesce(sum(slots), 0)::float8 from (
      select slots from running_agenda
      where resource_pool_id = i.resource_pool_id limit ${mostCounted}) r) as "poolSlots",
    i.queue_size as "queueSize",
    i.maximum_running as "maximumRunning",
    (p.capacity->>'slots')::float8 as "capacitySlots"
  from insight i
    left join resource_pool p on p.id = i.resource_pool_id
    cross join lateral (
      select count(*)::int as running, (count(*) filter (where left_queue_time is null))::int as unstarted
      from (select left_queue_time from running_agenda where insight_id = i.id limit ${mostCounted}) r) r
  where i.id = ${insightId}`;

const readCustomers = ({ $client: sql }: Database, insightId: string) => sql<ShareRow[]>`
  /* standingSummary: customers */
  with received as (
    select customer_id, sum(cost) as cost, row_number() over (order by sum(cost) desc, customer_id) as rank
    from (
      select customer_id, cost from admission where insight_id = ${insightId}
      order by admitted_time desc limit ${latestAdmissions}) a
    group by customer_id),
  oldest as (
    select customer_id, row_number() over (order by min(ready_time), customer_id) as rank
    from (
      select customer_id, ready_time from ready_agenda where insight_id = ${insightId}
      order by ready_time limit ${oldestWaiting}) w
    group by customer_id),
  -- Who received most, and after each third of them one that waits long.
  chosen as (
    select customer_id, min(rank) as rank
    from (
      select customer_id, rank::float8 from received
      union all
      select customer_id, rank * 3 + 0.5 from oldest) c
    group by customer_id order by 2 limit ${mostCustomers})
  select
    c.customer_id as "customerId",
    coalesce((i.customers->c.customer_id->>'weight')::float8, u.weight, 1) as weight,
    ${laneShare(sql)} as share,
    (select cost from received v where v.customer_id = c.customer_id)
      / nullif((select sum(cost) from received), 0) as received,
    ${laneLag(sql)} as lag,
    (select count(*)::int from (
      select from running_agenda r where r.customer_id = c.customer_id and r.insight_id = i.id
      limit ${mostCountedPerCustomer}) r) as running,
    (select count(*)::int from (
      select from ready_agenda w where w.insight_id = i.id and w.customer_id = c.customer_id and w.is_due
      limit ${mostCountedPerCustomer + 1}) w) as waiting
  from chosen c
    join insight i on i.id = ${insightId}
    left join customer u on u.id = c.customer_id
    left join lateral (
      select * from customer_lane l where l.insight_id = i.id and l.customer_id = c.customer_id
      order by l.state <> 'active', l.level limit 1) l on true
    left join insight_band b on b.insight_id = i.id and b.level = l.level
  order by c.rank`;

const readDecisions = ({ $client: sql }: Database, insightId: string) => sql<DecisionRow[]>`
  /* standingSummary: decisions */
  select number::float8 as number, agenda_id as "agendaId", customer_id as "customerId", reason, cost
  from admission where insight_id = ${insightId}
  order by admitted_time desc, number desc limit ${mostDecisions}`;

const summaryOf = (depth: DepthRow, shares: readonly ShareRow[], decisions: readonly DecisionRow[]) => ({
  time: Math.round(depth.time),
  waiting: Math.min(depth.waiting, mostCounted),
  waitingIsMore: depth.waiting > mostCounted,
  ...(depth.oldest === null ? {} : { oldestSeconds: brief(depth.oldest) }),
  running: depth.running,
  queued: depth.unstarted,
  poolSlots: brief(depth.poolSlots),
  limits: {
    queueSize: depth.queueSize,
    ...(depth.maximumRunning === null ? {} : { maximumRunning: depth.maximumRunning }),
    ...(depth.capacitySlots === null ? {} : { poolSlots: depth.capacitySlots }),
  },
  shares: shares.map((row) => ({
    customerId: clipped(row.customerId),
    weight: brief(row.weight),
    ...(row.share === null ? {} : { share: brief(row.share) }),
    ...(row.received === null ? {} : { received: brief(row.received) }),
    running: row.running,
    waiting: Math.min(row.waiting, mostCountedPerCustomer),
    waitingIsMore: row.waiting > mostCountedPerCustomer,
    ...(row.lag === null ? {} : { lag: brief(row.lag) }),
  })),
  decisions: decisions.map(({ number, agendaId, customerId, reason, cost }) => ({
    number,
    agendaId: clipped(agendaId),
    customerId: clipped(customerId),
    reason,
    cost: brief(cost),
  })),
});

/** For people: a few digits. */
const brief = (value: number): number => Number(value.toPrecision(6));

/** Cut to so many bytes that an id cannot fill the view. */
function clipped(id: string): string {
  if (Buffer.byteLength(id) <= mostIdBytes) return id;
  let cut = '';
  for (const character of id) {
    if (Buffer.byteLength(cut) + Buffer.byteLength(character) > mostIdBytes - 3) break;
    cut += character;
  }
  return `${cut}…`;
}

/** Rows go from the ends until it is small enough. */
function withinBytes(view: StandingSummary): StandingSummary {
  let { shares, decisions } = view;
  while (Buffer.byteLength(JSON.stringify({ ...view, shares, decisions })) > mostBytes) {
    if (decisions.length >= shares.length) decisions = decisions.slice(0, -1);
    else shares = shares.slice(0, -1);
  }
  return { ...view, shares, decisions };
}
