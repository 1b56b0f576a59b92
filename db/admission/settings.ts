/** What one batch goes by: the Insight's settings, what its pool has and holds, and what admission remembers, as of the moment the pool is locked. */
import type { CostModel } from '../../scheduling/cost-models.ts';
import type { PartBand, PartReservation } from '../../scheduling/fair-share-part.ts';
import type { Resources, SchedulerOptions } from '../../scheduling/index.ts';
import { type Amounts, amountsOfKey, needOf, plus } from '../../scheduling/need.ts';
import type { Statements } from '../connect.ts';
import type { CustomerInInsight } from '../schema.ts';

/** Read once per batch, after the pool was locked. */
export interface Settings {
  readonly insightId: string;
  readonly resourcePoolId: string;
  readonly batchId: string;
  readonly algorithm: string;
  readonly costModel: CostModel;
  readonly options: SchedulerOptions;
  readonly customers: Readonly<Record<string, CustomerInInsight>>;
  /** Epoch seconds, by the database's clock. */
  readonly now: number;
  /** What the pool limits of what it has. */
  readonly capacity: Resources;
  /** What runs in the pool holds. */
  readonly inUse: Amounts;
  /** What runs through this Insight holds. */
  readonly inUseHere: Amounts;
  /** What other Insights of the pool hold capacity for. */
  readonly heldElsewhere: Amounts;
  /** The Insight or its pool is paused, or its queueSize is 0. */
  readonly isPaused: boolean;
  /** Most Agendas that may be admitted now, by all limits that count Agendas. */
  readonly mostAgendas: number;
  readonly maximumSlots: number | null;
  /** How many the rate lets in now, and in how many seconds the next after these; undefined without a rate. */
  readonly rate: { readonly left: number; readonly again: number } | undefined;
  readonly epoch: number;
  readonly admissions: number;
  readonly reservation: PartReservation;
  /** What the Agenda needs that capacity is held for. */
  readonly heldNeed: string | null;
  /** RoundRobin: whose turn it is. */
  readonly pending: readonly string[];
  readonly bands: readonly PartBand[];
}

interface Row {
  resource_pool_id: string;
  scheduling_algorithm: string;
  cost_model: CostModel;
  options: SchedulerOptions;
  customers: Record<string, CustomerInInsight>;
  now: number;
  capacity: Resources | null;
  paused: boolean;
  agendas_left: number;
  in_use: Amounts;
  in_use_here: Amounts;
  held_elsewhere: { readonly id: string; readonly need: string; readonly since: number | null }[] | null;
  maximum: number | null;
  rate: number | null;
  recent: number | null;
  oldest_recent: number | null;
  state_algorithm: string | null;
  state_cost_model: string | null;
  epoch: number;
  admissions: number;
  held: string | null;
  held_need: string | null;
  memory: { bypasses?: PartReservation['bypasses']; pending?: string[] } | null;
}

interface BandRow {
  level: number;
  clock: number;
  clock_error: number;
  total: number;
  total_error: number;
  members: number;
  since_lower: number;
}

const holds = (sql: Statements, which: ReturnType<Statements>) =>
  sql`json_build_object('slots', coalesce(sum(slots) ${which}, 0), 'cpu', coalesce(sum(cpu) ${which}, 0),
    'memory', coalesce(sum(memory) ${which}, 0), 'gpu', coalesce(sum(gpu) ${which}, 0))`;

/** A rate of r per second lets ceil(r) Agendas into any ceil(r) / r seconds. */
const rateWindow = (sql: Statements) =>
  sql`make_interval(secs => ceil(i.admissions_per_second) / i.admissions_per_second)`;

/** Undefined when there is no such Insight. `isNew`: tags of another algorithm or cost model are to be thrown away. */
export async function readSettings(
  sql: Statements,
  { insightId, batchId }: { insightId: string; batchId: string },
): Promise<(Settings & { isNew: boolean }) | undefined> {
  const [[row], bandRows] = await Promise.all([
    sql<Row[]>`
      /* admitBatch: settings */
      select i.resource_pool_id, i.scheduling_algorithm, i.cost_model, i.customers, i.maximum,
        json_strip_nulls(json_build_object('priorityStep', i.priority_step, 'floor', i.floor, 'bypassLimit', i.bypass_limit,
          'bypassSeconds', i.bypass_seconds, 'promoteAfter', i.promote_after)) as options,
        extract(epoch from clock_timestamp())::float8 as now, p.capacity,
        i.paused or coalesce(p.paused, false) or i.queue_size = 0 as paused,
        case when i.paused or p.paused then 0
          else least(i.queue_size - runs.in_queue, i.maximum_running - runs.running, 1000000000) end::int as agendas_left,
        runs.in_use_here, runs.in_use,
        (select json_agg(json_build_object('id', o.id, 'need', s.held_need,
            'since', (select (b->>'since')::float8 from json_array_elements(s.memory->'bypasses') b where b->>'id' = s.held_agenda_id)))
          from insight_state s join insight o on o.id = s.insight_id
          where o.resource_pool_id = i.resource_pool_id and o.id <> i.id and s.held_need is not null) as held_elsewhere,
        i.admissions_per_second as rate, recent.count::int as recent, extract(epoch from recent.oldest)::float8 as oldest_recent,
        s.algorithm as state_algorithm, s.cost_model as state_cost_model, coalesce(s.epoch, 0) as epoch,
        coalesce(s.admissions, 0)::float8 as admissions, s.held_agenda_id as held, s.held_need, s.memory
      from insight i
        left join resource_pool p on p.id = i.resource_pool_id
        left join insight_state s on s.insight_id = i.id
        cross join lateral (
          select count(*) filter (where insight_id = i.id) as running,
            count(*) filter (where insight_id = i.id and left_queue_time is null) as in_queue,
            ${holds(sql, sql`filter (where insight_id = i.id)`)} as in_use_here, ${holds(sql, sql``)} as in_use
          from running_agenda where resource_pool_id = i.resource_pool_id) runs
        left join lateral (select count(*) as count, min(admitted_time) as oldest from admission
          where insight_id = i.id and admitted_time > clock_timestamp() - ${rateWindow(sql)}) recent on i.admissions_per_second is not null
      where i.id = ${insightId}`,
    sql<BandRow[]>`
      /* admitBatch: bands */
      select level, clock, clock_error, total, total_error, members, since_lower from insight_band where insight_id = ${insightId} order by level`,
  ]);
  if (row === undefined) return undefined;
  const isNew = row.state_algorithm !== row.scheduling_algorithm || row.state_cost_model !== row.cost_model;
  const window = row.rate === null ? 0 : Math.ceil(row.rate) / row.rate;
  const rateLeft = row.rate === null ? Number.POSITIVE_INFINITY : Math.ceil(row.rate) - (row.recent ?? 0);
  return {
    insightId,
    batchId,
    isNew,
    resourcePoolId: row.resource_pool_id,
    algorithm: row.scheduling_algorithm,
    costModel: row.cost_model,
    options: { ...row.options, ...reachable(row) },
    customers: row.customers,
    now: row.now,
    capacity: row.capacity ?? {},
    inUse: row.in_use,
    inUseHere: row.in_use_here,
    heldElsewhere: heldBefore(row, insightId),
    isPaused: row.paused,
    mostAgendas: Math.max(0, Math.min(row.agendas_left, rateLeft)),
    maximumSlots: row.maximum,
    rate:
      row.rate === null
        ? undefined
        : { left: rateLeft, again: Math.max(0.001, (row.oldest_recent ?? row.now) + window - row.now) },
    epoch: isNew ? row.epoch + 1 : row.epoch,
    admissions: row.admissions,
    reservation: isNew ? { held: null, bypasses: [] } : { held: row.held, bypasses: row.memory?.bypasses ?? [] },
    heldNeed: isNew ? null : row.held_need,
    pending: row.memory?.pending ?? [],
    bands: isNew
      ? []
      : bandRows.map((band) => ({
          level: band.level,
          clock: [band.clock, band.clock_error],
          total: [band.total, band.total_error],
          members: band.members,
          sinceLower: band.since_lower,
        })),
  };
}

/** What one Agenda of the Insight can ever have. */
function reachable({ capacity, maximum }: Row): Pick<SchedulerOptions, 'capacity'> {
  if (capacity === null && maximum === null) return {};
  const slots = Math.min(capacity?.slots ?? Number.POSITIVE_INFINITY, maximum ?? Number.POSITIVE_INFINITY);
  return { capacity: { ...capacity, ...(Number.isFinite(slots) ? { slots } : {}) } };
}

/** What other Insights hold capacity for: all, or those that began before this one does. So of two that hold one goes first, and then the other. */
function heldBefore({ held, held_elsewhere: others, memory }: Row, insightId: string): Amounts {
  const since = held === null ? undefined : memory?.bypasses?.find(({ id }) => id === held)?.since;
  const before = (others ?? []).filter(
    (other) =>
      since === undefined ||
      other.since === null ||
      other.since < since ||
      (other.since === since && other.id < insightId),
  );
  return before.map(({ need }) => amountsOfKey(need)).reduce(plus, needOf({}));
}

/** Whether the algorithm shares by weight, with clocks and tags. */
export const isFairShare = (algorithm: string): algorithm is 'Fairness' | 'Priority' =>
  algorithm === 'Fairness' || algorithm === 'Priority';
