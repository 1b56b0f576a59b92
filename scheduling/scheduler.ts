/**
 * The interface of every algorithm that decides who goes next. Admission, benchmarks and outside tests use it. Times
 * are seconds; costs have no unit. A scheduler is deterministic: it knows no clock and no randomness, and the same
 * calls give the same decisions on every machine.
 */
import type { Json } from '../agenda/types.ts';

/**
 * Amounts of a ResourcePool's resources: slots, cpu in cores, memory in bytes, gpu in devices. An absent amount is
 * unlimited in what is free, and 0 in a need.
 */
export interface Resources {
  readonly slots?: number;
  readonly cpu?: number;
  readonly memory?: number;
  readonly gpu?: number;
}

/** The entitlement of a customer. A customer that nobody set has weight 1 and no limits. */
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
  /** Time at which it became ready, in seconds. */
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

/** Codes of why an Agenda waits; docs/scheduling.md tells what helps. */
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

/** The position of an Agenda and what it waits for. The numbers are there while it waits. */
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

/** Options of a scheduler. An option that is absent takes its default; times are seconds. */
export interface SchedulerOptions {
  /** Seconds of head start per priority point; Priority only. */
  readonly priorityStep?: number;
  /** One of `floor` admissions goes to the highest band below that has work. */
  readonly floor?: number;
  /** Seconds of waiting after which an item moves up one band. */
  readonly promoteAfter?: number;
  readonly bypassLimit?: number;
  readonly bypassSeconds?: number;
  readonly maximumRunning?: number;
  /**
   * Amounts of the whole pool; absent: what is free plus what runs here. An Agenda that needs more never holds up the
   * others.
   */
  readonly capacity?: Resources;
}

/** A scheduler's whole state as plain JSON; `state` belongs to the algorithm. */
export interface SchedulerSnapshot {
  readonly algorithm: string;
  readonly options: SchedulerOptions;
  readonly state: Json;
}

/** An algorithm at work. It knows what waits and what runs, and decides who goes next. */
export interface Scheduler {
  /** Starts a batch of up to `requested` decisions. Algorithms that need no batches ignore it. */
  begin(requested: number): void;
  /** Replaces the whole share of a customer; absent fields return to their defaults. It acts on the backlog at once. */
  setCustomer(share: CustomerShare): void;
  /**
   * Adds an Agenda that became ready.
   * @throws RangeError for a bad number, or an id that waits or runs already.
   */
  add(item: ReadyItem): void;
  /** Removes an Agenda that waits, because it was cancelled. Any other id does nothing. */
  remove(id: string): void;
  /** Changes the priority of an Agenda that waits. Any other id does nothing. */
  reprioritise(id: string, priority: number): void;
  /**
   * Chooses an Agenda, charges its customer and marks it running. An absent `free` is unlimited; a `now` that is absent
   * or smaller than before counts as the largest seen so far.
   */
  next(free?: Resources, now?: number): Decision | undefined;
  /** Ends a running Agenda and frees what it held. Any other id does nothing. */
  finish(id: string, actualCost?: number): void;
  explain(id: string): Explanation;
  snapshot(): SchedulerSnapshot;
}
