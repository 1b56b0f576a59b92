/**
 * What decides who goes next, as admission, benchmarks and outside tests see it. Times are seconds, costs have no unit.
 * A scheduler is deterministic: no clock, no randomness; the same calls give the same decisions on every machine.
 */
import type { Json } from '../agenda/types.ts';

/** Amounts of what a ResourcePool has. Absent in what is free: unlimited; absent in a need: 0. */
export interface Resources {
  readonly slots?: number;
  readonly cpu?: number;
  readonly memory?: number;
  readonly gpu?: number;
}

/** What a customer is entitled to. A customer nobody set has weight 1 and no limits. */
export interface CustomerShare {
  readonly id: string;
  /** Finite and above 0. */
  readonly weight: number;
  readonly band?: number;
  readonly maximumRunning?: number;
  readonly paused?: boolean;
}

/** An Agenda that may be admitted. */
export interface ReadyItem {
  readonly id: string;
  readonly customerId: string;
  /** Seconds. */
  readonly readyTime: number;
  readonly priority?: number;
  /** Above 0; default 1. */
  readonly cost?: number;
  /** Default one slot. */
  readonly need?: Resources;
  readonly expectedSeconds?: number;
}

/** An admission. `number` counts admissions of this scheduler from 1. */
export interface Decision {
  readonly id: string;
  readonly customerId: string;
  readonly number: number;
  readonly cost: number;
  readonly reason: Reason;
}

/** Why an Agenda was chosen: a stable code and a sentence for people. */
export interface Reason {
  readonly code: string;
  readonly sentence: string;
}

export type ExplanationCode =
  | 'next'
  | 'ahead'
  | 'customerLimit'
  | 'insightLimit'
  | 'queueFull'
  | 'poolFull'
  | 'reservation'
  | 'neverFits'
  | 'paused'
  | 'insightPaused'
  | 'poolHasNoWorkers'
  | 'noAlgorithm'
  | 'running'
  | 'unknown';

/** Where an Agenda stands and what it waits for. The numbers are there while it waits. */
export interface Explanation {
  readonly id: string;
  readonly code: ExplanationCode;
  readonly sentence: string;
  /** 1 = the next one, among those that wait and are not held back by their customer's limits. */
  readonly position?: number;
  /** Agendas before it. */
  readonly ahead?: number;
  /** Those of its own customer among them. */
  readonly aheadOfCustomer?: number;
  /** Its customer's part of what its band gives, 0 to 1. */
  readonly share?: number;
  /** Cost its customer is behind its share (above 0) or ahead of it (below 0). */
  readonly lag?: number;
  /** The largest lag while customers, weights and limits stay as they are. */
  readonly bound?: number;
}

export interface SchedulerOptions {
  /** Seconds of head start per priority point; Priority only. */
  readonly priorityStep?: number;
  /** One admission in `floor` for the highest waiting band below. */
  readonly floor?: number;
  /** Seconds of waiting after which an item moves up one band. */
  readonly promoteAfter?: number;
  readonly bypassLimit?: number;
  readonly bypassSeconds?: number;
  readonly maximumRunning?: number;
  /** What the whole pool has; absent: what is free and what runs here. What needs more never holds the others up. */
  readonly capacity?: Resources;
}

/** A scheduler's whole state as plain JSON; `state` belongs to the algorithm. */
export interface SchedulerSnapshot {
  readonly algorithm: string;
  readonly options: SchedulerOptions;
  readonly state: Json;
}

export interface Scheduler {
  /** A batch of up to `requested` decisions starts. Algorithms that need no batches ignore it. */
  begin(requested: number): void;
  /** Replaces the whole share, absent fields return to defaults; acts on the backlog at once. */
  setCustomer(share: CustomerShare): void;
  /** Becomes ready. @throws RangeError for a bad number, or an id that waits or runs already. */
  add(item: ReadyItem): void;
  /** Cancelled while waiting; any other id does nothing. */
  remove(id: string): void;
  /** For one that waits; any other id does nothing. */
  reprioritise(id: string, priority: number): void;
  /** Chooses, charges and marks running. `free` absent: unlimited; `now` absent or smaller than before: the largest seen so far. */
  next(free?: Resources, now?: number): Decision | undefined;
  /** Leaves the running set and frees what it held; any other id does nothing. */
  finish(id: string, actualCost?: number): void;
  explain(id: string): Explanation;
  snapshot(): SchedulerSnapshot;
}
