/**
 * The rules that FirstInFirstOut and RoundRobin share. Inside a customer, Agendas go by ready time, then by arrival. A
 * customer that is paused or already runs `maximumRunning` Agendas has nothing to start. While the Agenda whose turn it
 * is does not fit what is free, nothing goes. Each of the two algorithms says itself whose turn it is. Cost is written
 * into the decision and has no influence; neither has priority.
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
import { amountsOf, fits, fitsSum, needOf } from './need.ts';
import { type Positioned, PositionHeap } from './position-heap.ts';
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

/** A waiting Agenda in the heap of its customer. */
export interface Waiting extends Positioned {
  item: ReadyItem;
  readonly arrival: number;
  readonly customer: Customer;
}

/** A customer, its waiting Agendas, and the ids of those that run. */
export interface Customer extends Positioned {
  readonly id: string;
  share: CustomerShare | undefined;
  readonly waiting: PositionHeap<Waiting>;
  readonly running: Set<string>;
}

/** The `state` of a snapshot. An algorithm may add fields of its own. */
export interface ArrivalState {
  /** Customers in the order in which they became known. */
  readonly customers: readonly { readonly id: string; readonly share: CustomerShare | null }[];
  readonly waiting: readonly { readonly item: ReadyItem; readonly arrival: number }[];
  readonly running: readonly { readonly id: string; readonly customerId: string }[];
  readonly arrivals: number;
  readonly admissions: number;
  readonly unfitting: string | null;
}

/** The name of an algorithm and the words of its explanations. */
export interface Wording {
  readonly algorithm: string;
  readonly reason: Reason;
  /** Begins the sentence about the Agenda whose turn it is. */
  readonly first: string;
  /** Verb of the sentence about any other Agenda: "3 Agendas <goBefore> it". */
  readonly goBefore: string;
}

/** True when `a` goes first: it became ready earlier, or at the same time and arrived earlier. */
export const isBefore = (a: Waiting, b: Waiting): boolean =>
  a.item.readyTime !== b.item.readyTime ? a.item.readyTime < b.item.readyTime : a.arrival < b.arrival;

/** The common part of both algorithms. The class that extends it says whose turn it is. */
export abstract class ArrivalOrder implements Scheduler {
  protected readonly options: SchedulerOptions;
  protected readonly customers = new Map<string, Customer>();
  protected readonly waiting = new Map<string, Waiting>();
  protected readonly running = new Map<string, Customer>();
  readonly #wording: Wording;
  #arrivals = 0;
  #admissions = 0;
  #unfitting: string | undefined;

  constructor(wording: Wording, options: SchedulerOptions) {
    checkOptions(options);
    this.#wording = wording;
    this.options = { ...options };
  }

  /** The Agenda whose turn it is, whether or not it fits. */
  protected abstract choose(): Waiting | undefined;
  /** Called after the customer took its turn. */
  protected abstract took(customer: Customer): void;
  /** Called after the customer's waiting Agendas, running Agendas or share have changed. */
  protected abstract changed(customer: Customer): void;
  /** The number of Agendas that go before `waiting`: of all customers, and of its own. */
  protected abstract countAhead(waiting: Waiting): { readonly ahead: number; readonly aheadOfCustomer: number };

  begin(_requested: number): void {}

  setCustomer(share: CustomerShare): void {
    checkShare(share);
    const customer = this.customerOf(share.id);
    customer.share = { ...share };
    this.changed(customer);
  }

  add(item: ReadyItem): void {
    checkItem(item);
    if (this.waiting.has(item.id)) throw new RangeError(`${item.id} is waiting already`);
    if (this.running.has(item.id)) throw new RangeError(`${item.id} is running already`);
    this.#arrivals += 1;
    this.#enqueue(item, this.#arrivals);
  }

  remove(id: string): void {
    const waiting = this.waiting.get(id);
    if (waiting !== undefined) this.#take(waiting);
  }

  reprioritise(id: string, priority: number): void {
    checkPriority(priority);
    const waiting = this.waiting.get(id);
    if (waiting !== undefined) waiting.item = { ...waiting.item, priority };
  }

  next(free?: Resources, now?: number): Decision | undefined {
    checkFree(free);
    checkNow(now);
    this.#unfitting = undefined;
    if (this.#isAtLimit()) return undefined;
    const first = this.choose();
    if (first === undefined) return undefined;
    const { customer, item } = first;
    const { id, cost = 1 } = item;
    if (!fits(needOf(item.need), amountsOf(free))) {
      this.#unfitting = id;
      return undefined;
    }
    this.#setRunning(id, customer);
    this.#take(first);
    this.took(customer);
    this.#admissions += 1;
    return { id, customerId: customer.id, number: this.#admissions, cost, reason: this.#wording.reason };
  }

  /** The Agenda whose turn it was at the last `next`, when it did not fit. */
  get unfitting(): string | undefined {
    return this.#unfitting;
  }

  finish(id: string, actualCost?: number): void {
    checkActualCost(actualCost);
    const customer = this.running.get(id);
    if (customer === undefined) return;
    this.running.delete(id);
    customer.running.delete(id);
    this.changed(customer);
  }

  /** O(n). */
  explain(id: string): Explanation {
    if (this.running.has(id)) return { id, code: 'running', sentence: 'It is running.' };
    const waiting = this.waiting.get(id);
    if (waiting === undefined) return { id, code: 'unknown', sentence: 'It neither waits nor runs here.' };
    const { ahead, aheadOfCustomer } = this.countAhead(waiting);
    return { id, ...this.#obstacle(waiting, ahead, aheadOfCustomer), position: ahead + 1, ahead, aheadOfCustomer };
  }

  snapshot(): SchedulerSnapshot {
    const state: ArrivalState = {
      customers: [...this.customers.values()].map(({ id, share }) => ({ id, share: share ?? null })),
      waiting: [...this.waiting.values()]
        .sort((a, b) => a.arrival - b.arrival)
        .map(({ item, arrival }) => ({ item, arrival })),
      running: [...this.running].map(([id, customer]) => ({ id, customerId: customer.id })),
      arrivals: this.#arrivals,
      admissions: this.#admissions,
      unfitting: this.#unfitting ?? null,
      ...this.ownState(),
    };
    // This is a copy, so a snapshot never changes. Fields that are `undefined` are dropped.
    return JSON.parse(
      JSON.stringify({ algorithm: this.#wording.algorithm, options: this.options, state }),
    ) as SchedulerSnapshot;
  }

  /** The fields that an algorithm adds to the state. */
  protected ownState(): object {
    return {};
  }

  /** Restores a snapshot and returns its state. */
  protected restore(snapshot: SchedulerSnapshot): Json {
    const { algorithm } = this.#wording;
    if (snapshot.algorithm !== algorithm)
      throw new Error(`a snapshot of ${snapshot.algorithm} cannot be restored by ${algorithm}`);
    const state = snapshot.state as unknown as ArrivalState;
    for (const { id, share } of state.customers) this.customerOf(id).share = share ?? undefined;
    for (const { id, customerId } of state.running) this.#setRunning(id, this.customerOf(customerId));
    for (const { item, arrival } of state.waiting) this.#enqueue(item, arrival);
    this.#arrivals = state.arrivals;
    this.#admissions = state.admissions;
    this.#unfitting = state.unfitting ?? undefined;
    return snapshot.state;
  }

  protected customerOf(id: string): Customer {
    const known = this.customers.get(id);
    if (known !== undefined) return known;
    const customer: Customer = {
      id,
      share: undefined,
      waiting: new PositionHeap(isBefore),
      running: new Set(),
      position: -1,
    };
    this.customers.set(id, customer);
    return customer;
  }

  protected mayStart({ share, running }: Customer): boolean {
    return share?.paused !== true && running.size < (share?.maximumRunning ?? Number.POSITIVE_INFINITY);
  }

  /** True when the Agenda needs more than the whole pool has, as far as that is known. */
  protected neverFits({ item }: Waiting): boolean {
    return this.options.capacity !== undefined && !fitsSum(needOf(item.need), amountsOf(this.options.capacity));
  }

  #obstacle(waiting: Waiting, ahead: number, aheadOfCustomer: number): Pick<Explanation, 'code' | 'sentence'> {
    const { id, share, running } = waiting.customer;
    if (share?.paused === true) return { code: 'paused', sentence: `Customer ${id} is paused.` };
    if (!this.mayStart(waiting.customer)) {
      return {
        code: 'customerLimit',
        sentence: `Customer ${id} runs ${running.size} of at most ${share?.maximumRunning} Agendas.`,
      };
    }
    if (this.neverFits(waiting)) return { code: 'neverFits', sentence: 'It needs more than the whole pool has.' };
    if (this.#isAtLimit()) {
      return {
        code: 'insightLimit',
        sentence: `${this.running.size} of at most ${this.options.maximumRunning} Agendas run.`,
      };
    }
    if (this.#unfitting === waiting.item.id) {
      return { code: 'poolFull', sentence: `${this.#wording.first}, and what it needs was not free when last looked.` };
    }
    if (ahead === 0) return { code: 'next', sentence: 'It is the next one.' };
    return {
      code: 'ahead',
      sentence: `${ahead} Agendas ${this.#wording.goBefore} it, ${aheadOfCustomer} of its own customer.`,
    };
  }

  #isAtLimit(): boolean {
    return this.running.size >= (this.options.maximumRunning ?? Number.POSITIVE_INFINITY);
  }

  #setRunning(id: string, customer: Customer): void {
    this.running.set(id, customer);
    customer.running.add(id);
  }

  #enqueue(item: ReadyItem, arrival: number): void {
    const customer = this.customerOf(item.customerId);
    const waiting: Waiting = { item: { ...item }, arrival, customer, position: -1 };
    this.waiting.set(item.id, waiting);
    customer.waiting.add(waiting);
    this.changed(customer);
  }

  #take(waiting: Waiting): void {
    this.waiting.delete(waiting.item.id);
    waiting.customer.waiting.remove(waiting);
    this.changed(waiting.customer);
  }
}
