/**
 * How an Insight stands right now: its settings and limits, what runs, what its pool has, where its clocks are. One
 * statement, for those who only look.
 */
import type { CostModel } from '../../scheduling/cost-models.ts';
import { fairShareDefaults } from '../../scheduling/fair-share.ts';
import type { Resources } from '../../scheduling/scheduler.ts';
import { withRuns } from '../admission/customers.ts';
import { customerLeft, rateSpan } from '../admission/limits.ts';
import { sumsHeld } from '../admission/need-amount.ts';
import type { Database } from '../connect.ts';
import type { CustomerInInsight, insightState } from '../schema.ts';

/** Waiting Agendas are counted to this number: as many can be put in order one by one. */
export const fewWaiting = 300;
/** Rates and usual costs are taken from so many of the last admissions. */
const recentAdmissions = 100;
/** An admission older than this is not taken. */
export const recentSeconds = 600;

/** A band with its clock; sums as value and error. */
export interface BandRow {
  readonly level: number;
  readonly clock: number;
  readonly clockError: number;
  readonly total: number;
  readonly totalError: number;
  readonly members: number;
  readonly sinceLower: number;
}

/** The unit that capacity is held for. */
export interface Held {
  readonly insightId: string;
  readonly agendaId: string;
  readonly need: string;
}

/** An Insight as it stands; see the top of this file. */
export interface InsightStanding {
  readonly id: string;
  readonly title: string;
  /** Its owner. */
  readonly customerId: string;
  readonly algorithm: string;
  readonly queueSize: number;
  readonly maximumRunning: number | null;
  /** Slots. */
  readonly maximum: number | null;
  readonly admissionsPerSecond: number | null;
  readonly costModel: CostModel;
  readonly priorityStep: number | null;
  readonly floor: number | null;
  readonly promoteAfter: number | null;
  readonly bypassLimit: number | null;
  readonly bypassSeconds: number | null;
  readonly paused: boolean;
  readonly customers: Readonly<Record<string, CustomerInInsight>>;
  readonly resourcePoolId: string;
  readonly poolPaused: boolean;
  readonly capacity: Resources;
  /**
   * Slots of the pool this Insight was entitled to when admission divided it last; null while it need not be divided.
   */
  readonly part: number | null;
  /** What runs holds of the pool, through whatever Insight. */
  readonly inUse: Required<Resources>;
  /** Agendas that run through this Insight, those of them that no pool worker has started yet, and their slots. */
  readonly running: number;
  readonly unstarted: number;
  readonly slots: number;
  /** Up to `fewWaiting` + 1; those before their `notBefore` included. */
  readonly waiting: number;
  /** Seconds since the epoch by the database's clock. */
  readonly now: number;
  /** When admission last looked; epoch milliseconds. */
  readonly lastTickTime: number | null;
  /** Of the algorithm and cost model that are set; null when nothing was admitted by it yet. */
  readonly state: Pick<typeof insightState.$inferSelect, 'admissions' | 'memory'> | null;
  readonly bands: readonly BandRow[];
  readonly held: Held | null;
  /** Held through another Insight of the pool. */
  readonly heldElsewhere: Held | null;
  /** The admissions of late: how many, since when, and their costs. */
  readonly recent: {
    readonly count: number;
    readonly seconds: number;
    readonly meanCost: number;
    readonly largestCost: number;
  };
  /** Admissions in the span that `admissionsPerSecond` is counted over; 0 without such a limit. */
  readonly inRateSpan: number;
}

interface Row extends Omit<InsightStanding, 'capacity' | 'inUse' | 'recent' | 'customers' | 'bands'> {
  readonly inUse: Required<Resources>;
  readonly capacity: Record<string, number | null> | null;
  readonly customers: Readonly<Record<string, CustomerInInsight>> | null;
  readonly bands: readonly BandRow[] | null;
  readonly recentCount: number;
  readonly recentSpan: number | null;
  readonly meanCost: number | null;
  readonly largestCost: number | null;
}

/** Reads it. Undefined when there is no such Insight. */
export async function readStanding(database: Database, insightId: string): Promise<InsightStanding | undefined> {
  const sql = database.$client;
  const [row] = await sql<Row[]>`
    /* readStanding: Insight */
    select
      ${settingColumns(sql)},
      ${stateColumns(sql)},
      (d.parts->>i.id)::float8 as part,
      coalesce(p.paused, false) as "poolPaused",
      p.capacity,
      (extract(epoch from k.last_tick_time) * 1000)::float8 as "lastTickTime",
      extract(epoch from clock_timestamp())::float8 as now,
      (select count(*)::int from (
        select 1 from ready_agenda r where r.insight_id = i.id
        order by r.ready_time limit ${fewWaiting + 1}) few) as waiting,
      case when i.admissions_per_second is null then 0 else (
        select count(*)::int from admission a
        where a.insight_id = i.id and a.admitted_time > clock_timestamp() - ${rateSpan(sql)}) end as "inRateSpan",
      runs.*,
      late.*
    from insight i
      left join resource_pool p on p.id = i.resource_pool_id
      left join resource_pool_state d on d.resource_pool_id = i.resource_pool_id
      left join insight_wake k on k.insight_id = i.id
      -- Of another algorithm or cost model: it begins anew.
      left join insight_state s
        on s.insight_id = i.id and s.algorithm = i.scheduling_algorithm and s.cost_model = i.cost_model
      cross join lateral ${whatRuns(sql)} runs
      cross join lateral ${lateAdmissions(sql)} late
    where i.id = ${insightId}`;
  if (row === undefined) return undefined;
  const { recentCount, recentSpan, meanCost, largestCost, capacity, ...others } = row;
  return {
    ...others,
    customers: row.customers ?? {},
    bands: row.bands ?? [],
    capacity: Object.fromEntries(Object.entries(capacity ?? {}).filter(([, amount]) => amount !== null)) as Resources,
    recent: { count: recentCount, seconds: recentSpan ?? 0, meanCost: meanCost ?? 0, largestCost: largestCost ?? 0 },
  };
}

/** Settings, of `insight i`. */
const settingColumns = (sql: Database['$client']) => sql`
  i.id,
  i.title,
  i.customer_id as "customerId",
  i.resource_pool_id as "resourcePoolId",
  i.scheduling_algorithm as algorithm,
  i.queue_size as "queueSize",
  i.maximum_running as "maximumRunning",
  i.maximum,
  i.admissions_per_second as "admissionsPerSecond",
  i.cost_model as "costModel",
  i.priority_step as "priorityStep",
  i.floor,
  i.promote_after as "promoteAfter",
  i.bypass_limit as "bypassLimit",
  i.bypass_seconds as "bypassSeconds",
  i.paused,
  i.customers`;

/** What admission remembers, of `insight i` and its `insight_state s`. */
const stateColumns = (sql: Database['$client']) => sql`
  case when s.insight_id is null then null
    else json_build_object('admissions', s.admissions, 'memory', s.memory) end as state,
  (select json_agg(json_build_object(
      'level', b.level,
      'clock', b.clock,
      'clockError', b.clock_error,
      'total', b.total,
      'totalError', b.total_error,
      'members', b.members,
      'sinceLower', b.since_lower) order by b.level)
    from insight_band b where b.insight_id = s.insight_id) as bands,
  case when s.held_agenda_id is null then null
    else json_build_object('insightId', i.id, 'agendaId', s.held_agenda_id, 'need', s.held_need) end as held,
  (select json_build_object('insightId', o.insight_id, 'agendaId', o.held_agenda_id, 'need', o.held_need)
    from insight oi join insight_state o on o.insight_id = oi.id
    where oi.resource_pool_id = i.resource_pool_id and oi.id <> i.id and o.held_agenda_id is not null
    limit 1) as "heldElsewhere"`;

/** What runs in the pool of `insight i`, and through it. */
const whatRuns = (sql: Database['$client']) => sql`(
  select
    count(*) filter (where r.insight_id = i.id)::int as running,
    count(*) filter (where r.insight_id = i.id and r.left_queue_time is null)::int as unstarted,
    coalesce(sum(r.slots) filter (where r.insight_id = i.id), 0) as slots,
    ${sumsHeld(sql, sql``)} as "inUse"
  from running_agenda r where r.resource_pool_id = i.resource_pool_id)`;

/** The admissions of late, of `insight i`. */
const lateAdmissions = (sql: Database['$client']) => sql`(
  select
    count(*)::int as "recentCount",
    extract(epoch from clock_timestamp() - min(l.admitted_time))::float8 as "recentSpan",
    avg(l.cost) as "meanCost",
    max(l.cost) as "largestCost"
  from (
    select admitted_time, cost from admission
    where insight_id = i.id and admitted_time > clock_timestamp() - make_interval(secs => ${recentSeconds})
    order by admitted_time desc limit ${recentAdmissions}) l)`;

/** Seconds that one step of priority is worth; 0 where priorities do not count. */
export const priorityStepOf = ({ algorithm, priorityStep }: InsightStanding): number =>
  algorithm === 'Priority' ? (priorityStep ?? fairShareDefaults.priorityStep) : 0;

/** What a customer is entitled to in an Insight, and whether one of its limits holds it back. */
export interface Entitlement {
  readonly customerId: string;
  readonly weight: number;
  /** 0 unless the algorithm has bands. */
  readonly band: number;
  readonly paused: boolean;
  /** Its Agendas that run through this Insight, and through any. */
  readonly running: number;
  readonly runningEverywhere: number;
  /** Limits on those two; null = unlimited. */
  readonly maximumRunning: number | null;
  readonly maximumEverywhere: number | null;
}

/** Whether one of its limits on running Agendas is reached. */
export const isAtLimit = (entitlement: Entitlement): boolean => customerLeft(entitlement) === 0;

/** Reads them of these customers; a setting of the Insight goes before the customer's own. */
export async function readEntitlements(
  database: Database,
  insight: InsightStanding,
  customerIds: readonly string[],
): Promise<Map<string, Entitlement>> {
  return entitledIn(insight, await readOwnEntitlements(database, insight.id, customerIds));
}

/** Reads them as customers have them, whatever the Insight says. */
export function readOwnEntitlements(
  database: Database,
  insightId: string,
  customerIds: readonly string[],
): Promise<readonly OwnEntitlement[]> {
  return database.$client<OwnEntitlement[]>`
    /* readEntitlements: own */
    select
      ids.id as "customerId",
      coalesce(c.weight, 1) as weight,
      coalesce(c.band, 0) as band,
      coalesce(c.paused, false) as paused,
      c.maximum_running as "maximumRunning",
      coalesce(runs.here, 0) as running,
      coalesce(runs.everywhere, 0) as "runningEverywhere"
    from ${withRuns(database.$client, insightId, customerIds)}`;
}

/** A customer's own settings, and what it runs. */
type OwnEntitlement = Omit<Entitlement, 'maximumEverywhere'>;

/** Puts what the Insight says of customers before what they have of their own. */
export function entitledIn(insight: InsightStanding, rows: readonly OwnEntitlement[]): Map<string, Entitlement> {
  return new Map(
    rows.map((row) => {
      const here = Object.hasOwn(insight.customers, row.customerId) ? (insight.customers[row.customerId] ?? {}) : {};
      const entitlement: Entitlement = {
        ...row,
        weight: here.weight ?? row.weight,
        band: insight.algorithm === 'Priority' ? (here.band ?? row.band) : 0,
        paused: here.paused ?? row.paused,
        maximumRunning: here.maximumRunning ?? null,
        maximumEverywhere: row.maximumRunning,
      };
      return [row.customerId, entitlement];
    }),
  );
}
