/**
 * Fairness and Priority: the rules of choose-next.ts behind the interface of every scheduler.
 *
 * Each call except `explain` and `snapshot` costs O(log n) per distinct need. While capacity is held for a unit that
 * does not fit, the running set is looked at once after each completion.
 */

import type { Json } from '../agenda/types.ts';
import {
  checkActualCost,
  checkFree,
  checkItem,
  checkNow,
  checkOptions,
  checkPriority,
  checkShare,
} from './check-numbers.ts';
import { type Choice, ChooseNext, type Rules } from './choose-next.ts';
import { explainWaiting, liftLimits } from './explain-waiting.ts';
import { type FairShareState, restoreFairShare, snapshotFairShare } from './fair-share-snapshot.ts';
import type { Queue } from './lane.ts';
import { amountsOf } from './need.ts';
import type {
  CustomerShare,
  Decision,
  Explanation,
  ReadyItem,
  Reason,
  Resources,
  Scheduler,
  SchedulerOptions,
  SchedulerSnapshot,
} from './scheduler.ts';

/** The algorithms that go by the rules of choose-next.ts. */
export type FairShareAlgorithm = 'Fairness' | 'Priority';
/** Options of a fair-share scheduler; `algorithm` defaults to `Fairness`. */
export type FairShareOptions = SchedulerOptions & { readonly algorithm?: FairShareAlgorithm };

/**
 * The defaults of options that are not given: seconds per priority point, admissions per turn of a lower band, passers,
 * seconds.
 */
export const fairShareDefaults = { priorityStep: 60, floor: 20, bypassLimit: 50, bypassSeconds: 600 } as const;

/** The sentences that tell people why an Agenda was chosen. */
export const reasons: Readonly<Record<Choice['why'], Reason>> = {
  share: {
    code: 'share',
    sentence: 'Of the customers that have not had more than their share, this one is due first.',
  },
  floor: { code: 'floor', sentence: 'The band above had its turns: this one is for a lower band.' },
  reservation: { code: 'reservation', sentence: 'Capacity was held for it, and now there is enough.' },
  passing: { code: 'passing', sentence: 'It may pass the Agenda that capacity is held for.' },
};

/** Makes the rules from options and defaults. Only Priority has priorities, bands and promotion. */
export function rulesOf(algorithm: FairShareAlgorithm, options: SchedulerOptions): Rules {
  const isPriority = algorithm === 'Priority';
  return {
    priorityStep: isPriority ? (options.priorityStep ?? fairShareDefaults.priorityStep) : 0,
    floor: options.floor ?? fairShareDefaults.floor,
    promoteAfter: isPriority ? options.promoteAfter : undefined,
    bypassLimit: options.bypassLimit ?? fairShareDefaults.bypassLimit,
    bypassSeconds: options.bypassSeconds ?? fairShareDefaults.bypassSeconds,
    hasBands: isPriority,
  };
}

/** Weighted fair sharing between customers; see choose-next.ts for the rules. */
export class FairShare implements Scheduler {
  readonly #algorithm: FairShareAlgorithm;
  readonly #options: SchedulerOptions;
  readonly #core: ChooseNext;
  #admissions = 0;

  constructor(options: FairShareOptions = {}, snapshot?: SchedulerSnapshot) {
    const { algorithm = 'Fairness', ...rest } = options;
    if (algorithm !== 'Fairness' && algorithm !== 'Priority')
      throw new Error(`FairShare is Fairness or Priority, not ${String(algorithm)}`);
    checkOptions(rest);
    this.#algorithm = algorithm;
    this.#options = { ...rest };
    this.#core = new ChooseNext(rulesOf(algorithm, rest), rest);
    if (snapshot !== undefined) {
      if (snapshot.algorithm !== algorithm)
        throw new Error(`a snapshot of ${snapshot.algorithm} cannot be restored by ${algorithm}`);
      this.#admissions = restoreFairShare(this.#core, snapshot.state as Json as unknown as FairShareState);
    }
  }

  begin(_requested: number): void {}

  setCustomer(share: CustomerShare): void {
    checkShare(share);
    this.#core.setShare({ ...share });
  }

  add(item: ReadyItem): void {
    checkItem(item);
    const row = this.#core.items.rowOf(item.id);
    if (row !== undefined)
      throw new RangeError(`${item.id} is ${this.#core.isWaitingRow(row) ? 'waiting' : 'running'} already`);
    this.#core.add(item);
  }

  remove(id: string): void {
    const row = this.#core.items.rowOf(id);
    if (row !== undefined && this.#core.isWaitingRow(row)) this.#core.remove(row);
  }

  reprioritise(id: string, priority: number): void {
    checkPriority(priority);
    const row = this.#core.items.rowOf(id);
    if (row !== undefined && this.#core.isWaitingRow(row)) this.#core.reprioritise(row, priority);
  }

  next(free?: Resources, now?: number): Decision | undefined {
    checkFree(free);
    checkNow(now);
    const core = this.#core;
    if (now !== undefined && now > core.now) core.now = now;
    core.promote();
    if (core.items.running.length >= (this.#options.maximumRunning ?? Number.POSITIVE_INFINITY)) return undefined;
    const choice = core.choose(amountsOf(free));
    if (choice === undefined) return undefined;
    this.#admissions += 1;
    const { row, why } = choice;
    return {
      id: core.items.ids[row] as string,
      customerId: (core.items.queues[row] as Queue).lane.customer.id,
      number: this.#admissions,
      cost: core.items.cost[row] as number,
      reason: reasons[why],
    };
  }

  finish(id: string, actualCost?: number): void {
    checkActualCost(actualCost);
    const row = this.#core.items.rowOf(id);
    if (row !== undefined && !this.#core.isWaitingRow(row)) this.#core.finish(row, actualCost);
  }

  /** Explains why an Agenda waits. A copy decides with the whole pool free until it comes to `id`: O(n). */
  explain(id: string): Explanation {
    return explainWaiting(this.#core, id, () => this.#copyForOrder(id));
  }

  /**
   * The next `most` Agendas, in the order in which they would go if the whole pool were free and nothing changed.
   * Customers that are blocked are left out. O(n).
   */
  order(most: number): Decision[] {
    const copy = this.#copyForOrder();
    const order: Decision[] = [];
    for (let decision = copy.next(); decision !== undefined && order.length < most; decision = copy.next())
      order.push(decision);
    return order;
  }

  snapshot(): SchedulerSnapshot {
    // This is a copy, so a snapshot never changes. Fields that are `undefined` are dropped.
    return JSON.parse(
      JSON.stringify({
        algorithm: this.#algorithm,
        options: this.#options,
        state: snapshotFairShare(this.#core, this.#admissions),
      }),
    ) as SchedulerSnapshot;
  }

  /**
   * A copy without the limits that would end its order half-way. A customer that is blocked stays blocked, except the
   * customer of `id`.
   */
  #copyForOrder(id?: string): FairShare {
    const { maximumRunning: _, ...options } = this.#options;
    const copy = new FairShare({ ...options, algorithm: this.#algorithm }, this.snapshot());
    liftLimits(copy.#core, id);
    return copy;
  }
}
