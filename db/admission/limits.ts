/**
 * The limits of admission, each with its code, its sentence and what it still lets in. They are stated here only:
 * admission decides by them (settings.ts, customers.ts, free-capacity.ts), the sweep asks by them whether an Insight
 * can go on, and explain.ts says which is reached. A limit that is not set lets in any number. What is left may be
 * below 0 where a limit was lowered.
 */
import { type Amounts, amountsOf, fits, minus, resourceNames } from '../../scheduling/need.ts';
import type { Resources } from '../../scheduling/scheduler.ts';
import type { Sql } from '../connect.ts';

const unlimited = Number.POSITIVE_INFINITY;

/** What the limits that count Agendas compare. */
export interface AgendaCounts {
  /** The Insight is paused. */
  readonly paused: boolean;
  readonly poolPaused: boolean;
  /** Most Agendas admitted that no pool worker has started yet. */
  readonly queueSize: number;
  /** Admitted, and no pool worker has started them yet. */
  readonly unstarted: number;
  readonly maximumRunning: number | null;
  readonly running: number;
  readonly admissionsPerSecond: number | null;
  /** Admissions in the span that the rate is counted over. */
  readonly inRateSpan: number;
}

/** What the limits that count capacity compare. */
export interface CapacityCounts {
  /** What the pool limits of what it has. */
  readonly capacity: Resources;
  /** What runs in the pool holds. */
  readonly inUse: Amounts;
  /** What other Insights of the pool hold capacity for. */
  readonly heldElsewhere: Amounts;
  /** Most slots that Agendas of the Insight may hold. */
  readonly maximum: number | null;
  /** Slots that they hold. */
  readonly slots: number;
  /** Slots that are the Insight's part of the pool; null while the pool need not be divided. */
  readonly part: number | null;
}

/** What the limits of a customer compare. */
export interface CustomerCounts {
  /** Its Agendas that run through this Insight. */
  readonly running: number;
  readonly maximumRunning: number | null;
  /** Its Agendas that run through any Insight. */
  readonly runningEverywhere: number;
  readonly maximumEverywhere: number | null;
}

/** Names of limits, as an explanation gives them. */
export type LimitCode = 'insightPaused' | 'customerLimit' | 'insightLimit' | 'queueFull' | 'rateLimit' | 'poolFull';

interface Pause {
  holds(counts: AgendaCounts): boolean;
  readonly sentence: string;
}

/** States in which nothing is admitted until somebody ends them; the code of all is `insightPaused`. */
const pauses: readonly Pause[] = [
  { holds: ({ paused }) => paused, sentence: 'Its Insight is paused.' },
  { holds: ({ queueSize }) => queueSize === 0, sentence: 'Its Insight is paused: queueSize is 0.' },
  { holds: ({ poolPaused }) => poolPaused, sentence: 'Its ResourcePool is paused.' },
];

/** Says why nothing is admitted at all; undefined when the Insight is not paused. */
export const pausedBy = (counts: AgendaCounts): string | undefined =>
  pauses.find(({ holds }) => holds(counts))?.sentence;

interface AgendaLimit {
  readonly code: LimitCode;
  left(counts: AgendaCounts): number;
  sentence(counts: AgendaCounts): string;
}

const maximumRunning: AgendaLimit = {
  code: 'insightLimit',
  left: ({ maximumRunning: most, running }) => (most ?? unlimited) - running,
  sentence: ({ maximumRunning: most, running }) => `${running} of at most ${most} Agendas run through its Insight.`,
};
const queueSize: AgendaLimit = {
  code: 'queueFull',
  left: ({ queueSize: most, unstarted }) => most - unstarted,
  sentence: ({ queueSize: most, unstarted }) =>
    `${unstarted} of at most ${most} admitted Agendas still wait for a pool worker to start them.`,
};
const rate: AgendaLimit = {
  code: 'rateLimit',
  // A rate of r per second lets ceil(r) Agendas into any ceil(r) / r seconds.
  left: ({ admissionsPerSecond: most, inRateSpan }) => (most === null ? unlimited : Math.ceil(most) - inRateSpan),
  sentence: ({ admissionsPerSecond: most }) => `Its Insight admits at most ${most} a second.`,
};

/** How many more Agendas the rate lets in now. */
export const leftByRate = (counts: AgendaCounts): number => rate.left(counts);

/** How many more Agendas the Insight may admit now, by every limit that counts Agendas. */
export const agendasLeft = (counts: AgendaCounts): number =>
  pausedBy(counts) === undefined
    ? Math.max(0, Math.min(...[maximumRunning, queueSize, rate].map((limit) => limit.left(counts))))
    : 0;

/** What an Agenda asks for. */
export interface Asked {
  readonly need: Amounts;
  /** Capacity is held for it. */
  readonly isHeldFor: boolean;
}

interface CapacityLimit {
  readonly code: LimitCode;
  free(counts: CapacityCounts): Amounts;
  sentence(counts: CapacityCounts, asked: Asked): string;
}

const maximum: CapacityLimit = {
  code: 'insightLimit',
  free: ({ maximum: most, slots }) => amountsOf({ slots: (most ?? unlimited) - slots }),
  sentence: ({ maximum: most, slots }) => `Agendas of its Insight hold ${slots} of at most ${most} slots.`,
};
const pool: CapacityLimit = {
  code: 'poolFull',
  free: ({ capacity, inUse, heldElsewhere }) => minus(minus(amountsOf(capacity), inUse), heldElsewhere),
  sentence: (counts, { need, isHeldFor }) => {
    const free = pool.free(counts);
    const short = tooLittle(need, free).map(
      (name) => `${need[name]} ${name}, and ${rounded(Math.max(0, free[name]))} of ${counts.capacity[name]} are`,
    );
    return `What it needs is not free: ${short.join('; ')}${isHeldFor ? '; capacity is held for it' : ''}.`;
  },
};
const part: CapacityLimit = {
  code: 'poolFull',
  free: ({ part: most, slots }) => amountsOf({ slots: (most ?? unlimited) - slots }),
  sentence: ({ part: most, slots }) =>
    `Its Insight holds ${rounded(slots)} of the ${rounded(most ?? 0)} slots that are its part of the pool ` +
    'while other Insights want theirs.',
};

/** What the Insight may fill now, by every limit that counts capacity; infinite where nothing limits it. */
export const freeCapacity = (counts: CapacityCounts): Amounts =>
  [pool, maximum, part]
    .map((limit) => limit.free(counts))
    .reduce((a, b) => ({
      slots: Math.min(a.slots, b.slots),
      cpu: Math.min(a.cpu, b.cpu),
      memory: Math.min(a.memory, b.memory),
      gpu: Math.min(a.gpu, b.gpu),
    }));

/** A limit that is reached. */
export interface Reached {
  readonly code: LimitCode;
  readonly sentence: string;
}

/** The limit of the Insight or its pool that keeps an Agenda out, the narrowest first. */
export function reachedLimit(counts: AgendaCounts & CapacityCounts, asked: Asked): Reached | undefined {
  const ofAgendas = (limit: AgendaLimit): Reached | undefined =>
    limit.left(counts) <= 0 ? { code: limit.code, sentence: limit.sentence(counts) } : undefined;
  const ofCapacity = (limit: CapacityLimit): Reached | undefined =>
    fits(asked.need, limit.free(counts)) ? undefined : { code: limit.code, sentence: limit.sentence(counts, asked) };
  return (
    ofAgendas(maximumRunning) ??
    ofCapacity(maximum) ??
    ofAgendas(queueSize) ??
    ofAgendas(rate) ??
    ofCapacity(pool) ??
    ofCapacity(part)
  );
}

/** How many more Agendas of a customer may run, by its limits; the Insight's for it comes on top of its own. */
export const customerLeft = (counts: CustomerCounts): number =>
  Math.max(
    0,
    Math.min(
      (counts.maximumRunning ?? unlimited) - counts.running,
      (counts.maximumEverywhere ?? unlimited) - counts.runningEverywhere,
    ),
  );

/** The limit of a customer that is reached, if one is. */
export function reachedByCustomer(customerId: string, counts: CustomerCounts): Reached | undefined {
  if (customerLeft(counts) > 0) return undefined;
  const { running, maximumRunning: most, runningEverywhere, maximumEverywhere } = counts;
  const sentence =
    running >= (most ?? unlimited)
      ? `Customer ${customerId} runs ${running} of at most ${most} Agendas in this Insight.`
      : `Customer ${customerId} runs ${runningEverywhere} of at most ${maximumEverywhere} Agendas.`;
  return { code: 'customerLimit', sentence };
}

/** Names of the resources of which less is there than is needed. */
export const tooLittle = (need: Amounts, has: Amounts): (keyof Amounts)[] =>
  resourceNames.filter((name) => need[name] > has[name]);

const rounded = (value: number): number => Math.round(value * 1000) / 1000;

/** SQL of the span that the rate of `insight i` is counted over. */
export const rateSpan = (sql: Sql) =>
  sql`make_interval(secs => ceil(i.admissions_per_second) / i.admissions_per_second)`;

/**
 * `agendasLeft` as SQL, for many Insights at once: of `insight i` and its `resource_pool p`. The rate is left out: what
 * it holds back now it lets in within seconds. `running` and `unstarted` are expressions that count the Insight's.
 */
export const agendasLeftSql = (
  sql: Sql,
  { running, unstarted }: { readonly running: ReturnType<Sql>; readonly unstarted: ReturnType<Sql> },
) => sql`
  case when i.paused or p.paused then 0
    else greatest(0, least(i.queue_size - ${unstarted}, i.maximum_running - ${running})) end`;

/**
 * The slots of `freeCapacity` as SQL, without the division of the pool; null is unlimited. `inPool` and `here` are
 * expressions of slots held.
 */
export const slotsLeftSql = (
  sql: Sql,
  { inPool, here }: { readonly inPool: ReturnType<Sql>; readonly here: ReturnType<Sql> },
) => sql`least((p.capacity->>'slots')::float8 - ${inPool}, i.maximum - ${here})`;
