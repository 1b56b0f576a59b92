/** Customers of an Insight as admission looks at them: their lanes, their queues with the Agendas at the head, what they are entitled to. */
import type { PartLane } from '../../scheduling/fair-share-part.ts';
import type { Statements } from '../connect.ts';
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

/** The first Agendas of one priority in a queue. */
export interface Heads {
  readonly priority: number;
  readonly items: Head[];
  /** There may be others behind these. */
  more: boolean;
}

/** A waiting Agenda, with what its cost and its place depend on; times in epoch seconds. */
export interface Head {
  readonly agendaId: string;
  readonly attempt: number;
  readonly readyTime: number;
  /** As the database writes it: to go on behind this one. */
  readonly readyAt: string;
  readonly movedTime: number;
  readonly agendaType: string;
  readonly declaredSeconds: number | null;
  readonly ofCustomer: number | null;
  readonly ofType: number | null;
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

/** Names a queue of a customer; see `StoredQueue`. */
export const queueKey = ({ promoted, need }: { readonly promoted: number; readonly need: string }): string =>
  `${promoted} ${need}`;

interface ShareRow {
  id: string;
  weight: number;
  band: number;
  paused: boolean;
  maximum_running: number | null;
  here: number;
  everywhere: number;
}

interface QueueRow {
  customer_id: string;
  promoted: number;
  need: string;
  priorities: number[];
  level: number;
  active: boolean;
  start: number;
  finish: number;
  head_moved: number | null;
}

/** A lane as its row has it. */
export interface LaneRow {
  customer_id: string;
  level: number;
  tag: number;
  tag_error: number;
  state: PartLane['state'];
  weight: number;
  band: number;
}

/** Columns of a LaneRow. */
export const laneColumns = (sql: Statements) => sql`customer_id, level, tag, tag_error, state, weight, band`;

/** From its row. */
export const storedLane = (row: LaneRow): StoredLane => ({
  customerId: row.customer_id,
  level: row.level,
  tag: [row.tag, row.tag_error],
  state: row.state,
  weight: row.weight,
  band: row.band,
});

/** These customers, without the heads of their queues. */
export async function loadCustomers(
  sql: Statements,
  settings: Settings,
  ids: readonly string[],
): Promise<Map<string, LoadedCustomer>> {
  const { insightId } = settings;
  const [shares, lanes, queues] = await Promise.all([
    sql<ShareRow[]>`
      /* admitBatch: customers */
      select ids.id, coalesce(c.weight, 1) as weight, coalesce(c.band, 0) as band, coalesce(c.paused, false) as paused, c.maximum_running,
        coalesce(runs.here, 0) as here, coalesce(runs.everywhere, 0) as everywhere
      from unnest(${ids as string[]}::text[]) ids(id) left join customer c on c.id = ids.id
        left join (select customer_id, count(*) filter (where insight_id = ${insightId})::int as here, count(*)::int as everywhere
          from running_agenda where customer_id = any(${ids as string[]}) group by customer_id) runs on runs.customer_id = ids.id`,
    sql<LaneRow[]>`
      /* admitBatch: lanes */
      select ${laneColumns(sql)} from customer_lane where insight_id = ${insightId} and customer_id = any(${ids as string[]})`,
    sql<QueueRow[]>`
      /* admitBatch: queues */
      select customer_id, promoted, need, priorities, level, active, start, finish, extract(epoch from head_moved_time)::float8 as head_moved
      from waiting_queue where insight_id = ${insightId} and customer_id = any(${ids as string[]})`,
  ]);
  const customers = new Map<string, LoadedCustomer>();
  for (const { id, here, everywhere, ...own } of shares) {
    const inInsight = (Object.hasOwn(settings.customers, id) ? settings.customers[id] : undefined) ?? {};
    const hereMost = inInsight.maximumRunning ?? Number.POSITIVE_INFINITY;
    const most = own.maximum_running ?? Number.POSITIVE_INFINITY;
    customers.set(id, {
      id,
      weight: inInsight.weight ?? own.weight,
      band: inInsight.band ?? own.band,
      paused: inInsight.paused ?? own.paused,
      mayRun: Math.max(0, Math.min(hereMost - here, most - everywhere)),
      lanes: [],
      queues: new Map(),
    });
  }
  for (const row of lanes) customers.get(row.customer_id)?.lanes.push(storedLane(row));
  for (const { customer_id: customerId, head_moved: headMoved, priorities, ...row } of queues) {
    const heads = priorities.map((priority) => ({ priority, items: [], more: true }));
    customers.get(customerId)?.queues.set(queueKey(row), { customerId, headMoved, priorities, heads, ...row });
  }
  return customers;
}

/** Notes that Agendas of this kind may wait, so that its heads are read. */
export function expectHeads(
  customer: LoadedCustomer,
  kind: { promoted: number; need: string; priority: number },
): void {
  const known = customer.queues.get(queueKey(kind));
  if (known?.heads.some(({ priority }) => priority === kind.priority)) return;
  const heads = { priority: kind.priority, items: [], more: true };
  if (known !== undefined) known.heads.push(heads);
  else {
    const { promoted, need } = kind;
    const fresh = {
      customerId: customer.id,
      promoted,
      need,
      level: 0,
      active: false,
      start: 0,
      finish: 0,
      headMoved: null,
      priorities: [],
    };
    customer.queues.set(queueKey(kind), { ...fresh, heads: [heads] });
  }
}

/** So many more Agendas of one priority in a queue. */
export interface HeadsWanted {
  readonly queue: StoredQueue;
  readonly heads: Heads;
  readonly most: number;
}

interface HeadRow extends Head {
  readonly n: number;
}

/** Reads on behind what is known; what was read is added, and returned with its place in `wanted`. */
export async function readHeads(
  sql: Statements,
  { insightId }: Settings,
  wanted: readonly HeadsWanted[],
): Promise<{ readonly wanted: number; readonly head: Head }[]> {
  if (wanted.length === 0) return [];
  const last = wanted.map(({ heads }) => heads.items.at(-1));
  const rows = await sql<HeadRow[]>`
    /* admitBatch: heads */
    select w.n::int, r.*, own.seconds as "ofCustomer", alike.seconds as "ofType"
    from unnest(
        ${wanted.map(({ queue }) => queue.customerId)}::text[], ${wanted.map(({ queue }) => queue.promoted)}::int[],
        ${wanted.map(({ queue }) => queue.need)}::text[], ${wanted.map(({ heads }) => heads.priority)}::int[],
        ${last.map((head) => head?.readyAt ?? '-infinity')}::text[]::timestamptz[], ${last.map((head) => head?.agendaId ?? '')}::text[],
        ${wanted.map(({ most }) => most)}::int[]
      ) with ordinality as w(customer_id, promoted, need, priority, after_time, after_id, most, n)
      cross join lateral (
        select agenda_id as "agendaId", attempt, extract(epoch from ready_time)::float8 as "readyTime", ready_time::text as "readyAt",
          extract(epoch from moved_time)::float8 as "movedTime", agenda_type as "agendaType", expected_seconds as "declaredSeconds"
        from ready_agenda
        where is_due and insight_id = ${insightId} and customer_id = w.customer_id and promoted = w.promoted and need = w.need
          and priority = w.priority and (ready_time, agenda_id) > (w.after_time, w.after_id)
        order by ready_time, agenda_id limit w.most) r
      left join learned_duration own on own.insight_id = ${insightId} and own.agenda_type = r."agendaType" and own.customer_id = w.customer_id
      left join learned_duration alike on alike.insight_id = ${insightId} and alike.agenda_type = r."agendaType" and alike.customer_id = ''
    order by w.n, r."readyAt"::timestamptz, r."agendaId"`;
  const counts = new Map<number, number>();
  const read = rows.map(({ n, ...head }) => {
    (wanted[n - 1] as HeadsWanted).heads.items.push(head);
    counts.set(n, (counts.get(n) ?? 0) + 1);
    return { wanted: n - 1, head };
  });
  wanted.forEach(({ heads, most }, index) => {
    heads.more = (counts.get(index + 1) ?? 0) === most;
  });
  return read;
}
