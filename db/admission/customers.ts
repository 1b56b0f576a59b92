/**
 * Customers of an Insight as admission looks at them: what they are entitled to, their lanes, their queues without the
 * heads.
 */
import type { PartLane } from '../../scheduling/fair-share-part.ts';
import type { Sql, Statements } from '../connect.ts';
import { type Heads, queueKey } from './heads.ts';
import { customerLeft } from './limits.ts';
import type { Settings } from './settings.ts';

/** A lane as it was written last. */
export interface StoredLane extends PartLane {
  readonly weight: number;
  readonly band: number;
}

/** Waiting Agendas of one customer that need the same and climbed as many bands. */
export interface StoredQueue {
  readonly customerId: string;
  readonly promoted: number;
  readonly need: string;
  readonly level: number;
  readonly active: boolean;
  readonly start: number;
  readonly finish: number;
  readonly headMoved: number | null;
  /** As it was written. */
  readonly priorities: readonly number[];
  /** In the order of priorities; each by ready time. */
  readonly heads: Heads[];
}

/** A customer with what it is entitled to now, its lanes and its queues by `queueKey`. */
export interface LoadedCustomer {
  readonly id: string;
  readonly weight: number;
  readonly band: number;
  readonly paused: boolean;
  /** How many more of its Agendas may run, by its own limits. */
  readonly mayRun: number;
  readonly lanes: StoredLane[];
  readonly queues: Map<string, StoredQueue>;
}

interface ShareRow {
  id: string;
  weight: number;
  band: number;
  paused: boolean;
  maximumRunning: number | null;
  here: number;
  everywhere: number;
}

type QueueRow = Omit<StoredQueue, 'heads'>;

/** A lane as its row has it. */
export interface LaneRow extends Omit<StoredLane, 'tag'> {
  readonly tag: number;
  readonly tagError: number;
}

/** Columns of a LaneRow, of `customer_lane`. */
export const laneColumns = (sql: Statements) =>
  sql`customer_id as "customerId", level, tag, tag_error as "tagError", state, weight, band`;

/** Makes a lane of its row. */
export const storedLane = ({ tag, tagError, ...row }: LaneRow): StoredLane => ({ ...row, tag: [tag, tagError] });

/** Reads these customers, without the heads of their queues. */
export async function loadCustomers(
  sql: Statements,
  settings: Settings,
  ids: readonly string[],
): Promise<Map<string, LoadedCustomer>> {
  const [shares, lanes, queues] = await Promise.all([
    readShares(sql, settings, ids),
    readLanes(sql, settings, ids),
    readQueues(sql, settings, ids),
  ]);
  const customers = new Map(shares.map((share) => [share.id, loadedCustomer(settings, share)]));
  for (const row of lanes) customers.get(row.customerId)?.lanes.push(storedLane(row));
  for (const row of queues) {
    const heads = row.priorities.map((priority) => ({ priority, items: [], more: true }));
    customers.get(row.customerId)?.queues.set(queueKey(row), { ...row, heads });
  }
  return customers;
}

/** What the Insight says of a customer goes before the customer's own settings; its limit comes on top of theirs. */
function loadedCustomer({ customers }: Settings, { id, here, everywhere, ...own }: ShareRow): LoadedCustomer {
  const inInsight = (Object.hasOwn(customers, id) ? customers[id] : undefined) ?? {};
  return {
    id,
    weight: inInsight.weight ?? own.weight,
    band: inInsight.band ?? own.band,
    paused: inInsight.paused ?? own.paused,
    mayRun: customerLeft({
      running: here,
      maximumRunning: inInsight.maximumRunning ?? null,
      runningEverywhere: everywhere,
      maximumEverywhere: own.maximumRunning,
    }),
    lanes: [],
    queues: new Map(),
  };
}

function readShares(sql: Statements, { insightId }: Settings, ids: readonly string[]): Promise<readonly ShareRow[]> {
  return sql<ShareRow[]>`
    /* admitBatch: customers */
    select
      ids.id,
      coalesce(c.weight, 1) as weight,
      coalesce(c.band, 0) as band,
      coalesce(c.paused, false) as paused,
      c.maximum_running as "maximumRunning",
      coalesce(runs.here, 0) as here,
      coalesce(runs.everywhere, 0) as everywhere
    from ${withRuns(sql, insightId, ids)}`.execute();
}

/**
 * Each of `ids` with its row `c`, if it is in the record, and what it runs: `runs.here` in the Insight and
 * `runs.everywhere`, null for none.
 */
export const withRuns = (sql: Sql, insightId: string, ids: readonly string[]) => sql`
  unnest(${ids as string[]}::text[]) ids(id)
    left join customer c on c.id = ids.id
    left join (
      select
        customer_id,
        count(*) filter (where insight_id = ${insightId})::int as here,
        count(*)::int as everywhere
      from running_agenda where customer_id = any(${ids as string[]}) group by customer_id
    ) runs on runs.customer_id = ids.id`;

function readLanes(sql: Statements, { insightId }: Settings, ids: readonly string[]): Promise<readonly LaneRow[]> {
  return sql<LaneRow[]>`
    /* admitBatch: lanes */
    select ${laneColumns(sql)} from customer_lane
    where insight_id = ${insightId} and customer_id = any(${ids as string[]})`.execute();
}

function readQueues(sql: Statements, { insightId }: Settings, ids: readonly string[]): Promise<readonly QueueRow[]> {
  return sql<QueueRow[]>`
    /* admitBatch: queues */
    select
      customer_id as "customerId",
      promoted,
      need,
      priorities,
      level,
      active,
      start,
      finish,
      extract(epoch from head_moved_time)::float8 as "headMoved"
    from waiting_queue where insight_id = ${insightId} and customer_id = any(${ids as string[]})`.execute();
}
