/**
 * What one batch goes by, as of the moment the pool is locked: the Insight's settings, what its pool has and holds, and
 * what admission remembers.
 */
import type { CostModel } from '../../scheduling/cost-models.ts';
import type { PartBand, PartReservation } from '../../scheduling/fair-share-part.ts';
import type { Resources, SchedulerOptions } from '../../scheduling/index.ts';
import { type Amounts, amountsOfKey, needOf, plus } from '../../scheduling/need.ts';
import type { Statements } from '../connect.ts';
import type { CustomerInInsight } from '../schema.ts';
import { type AgendaCounts, agendasLeft, leftByRate, pausedBy, rateSpan } from './limits.ts';
import { sumsHeld } from './need-amount.ts';

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
  /** Most slots that its Agendas may hold; null = unlimited. */
  readonly maximum: number | null;
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

interface Row extends AgendaCounts {
  resourcePoolId: string;
  algorithm: string;
  costModel: CostModel;
  options: SchedulerOptions;
  customers: Record<string, CustomerInInsight>;
  now: number;
  capacity: Resources | null;
  inUse: Amounts;
  inUseHere: Amounts;
  heldByOthers: { readonly id: string; readonly need: string; readonly since: number | null }[] | null;
  maximum: number | null;
  oldestInRateSpan: number | null;
  stateAlgorithm: string | null;
  stateCostModel: string | null;
  epoch: number;
  admissions: number;
  held: string | null;
  heldNeed: string | null;
  memory: { bypasses?: PartReservation['bypasses']; pending?: string[] } | null;
}

interface BandRow {
  level: number;
  clock: number;
  clockError: number;
  total: number;
  totalError: number;
  members: number;
  sinceLower: number;
}

/**
 * Reads them. Undefined when there is no such Insight. `isNew`: tags of another algorithm or cost model are to be
 * thrown away.
 */
export async function readSettings(
  sql: Statements,
  { insightId, batchId }: { insightId: string; batchId: string },
): Promise<(Settings & { isNew: boolean }) | undefined> {
  const [[row], bandRows] = await Promise.all([readRow(sql, insightId), readBands(sql, insightId)]);
  if (row === undefined) return undefined;
  const isNew = row.stateAlgorithm !== row.algorithm || row.stateCostModel !== row.costModel;
  return {
    insightId,
    batchId,
    isNew,
    resourcePoolId: row.resourcePoolId,
    algorithm: row.algorithm,
    costModel: row.costModel,
    options: { ...row.options, ...reachable(row) },
    customers: row.customers,
    now: row.now,
    capacity: row.capacity ?? {},
    inUse: row.inUse,
    inUseHere: row.inUseHere,
    heldElsewhere: heldBefore(row, insightId),
    isPaused: pausedBy(row) !== undefined,
    mostAgendas: agendasLeft(row),
    maximum: row.maximum,
    rate: rateOf(row),
    epoch: isNew ? row.epoch + 1 : row.epoch,
    admissions: row.admissions,
    reservation: isNew ? { held: null, bypasses: [] } : { held: row.held, bypasses: row.memory?.bypasses ?? [] },
    heldNeed: isNew ? null : row.heldNeed,
    pending: row.memory?.pending ?? [],
    bands: isNew ? [] : bandRows.map(bandOf),
  };
}

function readRow(sql: Statements, insightId: string): Promise<readonly Row[]> {
  return sql<Row[]>`
    /* admitBatch: settings */
    select
      i.resource_pool_id as "resourcePoolId",
      i.scheduling_algorithm as algorithm,
      i.cost_model as "costModel",
      json_strip_nulls(json_build_object(
        'priorityStep', i.priority_step,
        'floor', i.floor,
        'bypassLimit', i.bypass_limit,
        'bypassSeconds', i.bypass_seconds,
        'promoteAfter', i.promote_after)) as options,
      i.customers,
      extract(epoch from clock_timestamp())::float8 as now,
      i.paused,
      coalesce(p.paused, false) as "poolPaused",
      i.queue_size as "queueSize",
      runs.unstarted::int as unstarted,
      i.maximum_running as "maximumRunning",
      runs.running::int as running,
      i.admissions_per_second as "admissionsPerSecond",
      coalesce(recent.count, 0)::int as "inRateSpan",
      extract(epoch from recent.oldest)::float8 as "oldestInRateSpan",
      p.capacity,
      runs."inUse",
      runs."inUseHere",
      (select json_agg(json_build_object('id', o.id, 'need', h.held_need, 'since', (
          select (b->>'since')::float8 from json_array_elements(h.memory->'bypasses') b
          where b->>'id' = h.held_agenda_id)))
        from insight_state h join insight o on o.id = h.insight_id
        where o.resource_pool_id = i.resource_pool_id and o.id <> i.id and h.held_need is not null) as "heldByOthers",
      i.maximum,
      s.algorithm as "stateAlgorithm",
      s.cost_model as "stateCostModel",
      coalesce(s.epoch, 0) as epoch,
      coalesce(s.admissions, 0)::float8 as admissions,
      s.held_agenda_id as held,
      s.held_need as "heldNeed",
      s.memory
    from insight i
      left join resource_pool p on p.id = i.resource_pool_id
      left join insight_state s on s.insight_id = i.id
      cross join lateral (
        select
          count(*) filter (where insight_id = i.id) as running,
          count(*) filter (where insight_id = i.id and left_queue_time is null) as unstarted,
          ${sumsHeld(sql, sql`filter (where insight_id = i.id)`)} as "inUseHere",
          ${sumsHeld(sql, sql``)} as "inUse"
        from running_agenda where resource_pool_id = i.resource_pool_id) runs
      left join lateral (
        select count(*) as count, min(admitted_time) as oldest from admission
        where insight_id = i.id and admitted_time > clock_timestamp() - ${rateSpan(sql)}
      ) recent on i.admissions_per_second is not null
    where i.id = ${insightId}`.execute();
}

function readBands(sql: Statements, insightId: string): Promise<readonly BandRow[]> {
  return sql<BandRow[]>`
    /* admitBatch: bands */
    select
      level,
      clock,
      clock_error as "clockError",
      total,
      total_error as "totalError",
      members,
      since_lower as "sinceLower"
    from insight_band where insight_id = ${insightId} order by level`.execute();
}

const bandOf = ({ level, clock, clockError, total, totalError, members, sinceLower }: BandRow): PartBand => ({
  level,
  clock: [clock, clockError],
  total: [total, totalError],
  members,
  sinceLower,
});

/** The next after those that the rate lets in goes when the oldest admission leaves the span. */
function rateOf(row: Row): Settings['rate'] {
  const { admissionsPerSecond: most, oldestInRateSpan, now } = row;
  if (most === null) return undefined;
  const spanSeconds = Math.ceil(most) / most;
  return { left: leftByRate(row), again: Math.max(0.001, (oldestInRateSpan ?? now) + spanSeconds - now) };
}

/** What one Agenda of the Insight can ever have. */
function reachable({ capacity, maximum }: Row): Pick<SchedulerOptions, 'capacity'> {
  if (capacity === null && maximum === null) return {};
  const slots = Math.min(capacity?.slots ?? Number.POSITIVE_INFINITY, maximum ?? Number.POSITIVE_INFINITY);
  return { capacity: { ...capacity, ...(Number.isFinite(slots) ? { slots } : {}) } };
}

/**
 * What other Insights hold capacity for. An Insight that holds nothing itself leaves all of it alone. One that does
 * leaves only what others began to hold before it: of two that hold, one goes first, and then the other.
 */
function heldBefore({ held, heldByOthers, memory }: Row, insightId: string): Amounts {
  const since = held === null ? undefined : memory?.bypasses?.find(({ id }) => id === held)?.since;
  const before = (heldByOthers ?? []).filter(
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
