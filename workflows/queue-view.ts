/**
 * An Insight's queue for people who look into Temporal: bounded in every direction, for histories keep it. Times in ms,
 * costs and lag in the Insight's cost unit.
 */
export interface QueueView {
  readonly time: number;
  readonly waiting: number;
  /** More wait than were counted. */
  readonly waitingIsMore: boolean;
  readonly oldestSeconds?: number;
  readonly running: number;
  /** Of these, how many no pool worker has started yet. */
  readonly queued: number;
  readonly poolSlots: number;
  readonly limits: { readonly queueSize: number; readonly maximumRunning?: number; readonly poolSlots?: number };
  /** The customers that matter most now. */
  readonly shares: readonly CustomerInView[];
  /** The latest, newest first. */
  readonly decisions: readonly DecisionInView[];
}

/** A customer with work in the Insight. */
export interface CustomerInView {
  readonly customerId: string;
  readonly weight: number;
  /** Part it is entitled to in its band; absent while it has nothing to share. */
  readonly share?: number;
  /** Part of the cost of the latest admissions. */
  readonly received?: number;
  readonly running: number;
  readonly waiting: number;
  readonly waitingIsMore: boolean;
  /** Cost it is behind its share (below 0: ahead). */
  readonly lag?: number;
}

/** An admission. */
export interface DecisionInView {
  /** Of the Insight, from 1. */
  readonly number: number;
  readonly agendaId: string;
  readonly customerId: string;
  readonly reason: string;
  readonly cost: number;
}
