/**
 * RoundRobin: one Agenda from each customer in turn, whatever it costs and whoever has more running. Weights, bands and priorities have no influence.
 *
 * A run hands out up to `requested` Agendas. `pending` names the customers whose turn it is, from run to run; empty means all.
 * - Pass 1 walks the pending customers and takes one from each that has something ready. Met there, those that were served leave `pending`;
 *   those that were not stay, ready or not.
 * - Otherwise pass 2 walks all customers, one each, again and again, until it is met or a whole walk took nothing; then all
 *   customers but those served in pass 2 are pending.
 * Customers stand in the order in which they became known. One that is paused or at its maximum has nothing ready. While the Agenda whose turn
 * it is does not fit what is free, nothing goes, and it is still its turn afterwards.
 */
import type { Json } from '../agenda/types.ts';
import { checkActualCost, checkFree, checkItem, checkNow, checkOptions, checkPriority, checkShare } from './check-numbers.ts';
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

const algorithm = 'RoundRobin';

interface Waiting extends Positioned {
  item: ReadyItem;
  readonly arrival: number;
}

interface Customer {
  readonly id: string;
  share: CustomerShare | undefined;
  readonly waiting: PositionHeap<Waiting>;
  readonly running: Set<string>;
}

/** A run that is under way. */
interface Run {
  left: number;
  pass: 1 | 2;
  /** Whom this pass walks, in order. */
  walk: readonly string[];
  place: number;
  /** Of this pass. */
  readonly served: Set<string>;
  /** Whether the walk of pass 2 that is under way took something. */
  tookOne: boolean;
}

interface State {
  readonly customers: readonly { readonly id: string; readonly share: CustomerShare | null }[];
  readonly pending: readonly string[];
  readonly run: (Omit<Run, 'served'> & { readonly served: readonly string[] }) | null;
  readonly requested: number;
  readonly waiting: readonly { readonly item: ReadyItem; readonly arrival: number }[];
  readonly running: readonly { readonly id: string; readonly customerId: string }[];
  readonly arrivals: number;
  readonly admissions: number;
  readonly unfitting: string | null;
}

const reason: Reason = { code: 'turn', sentence: "It is its customer's turn." };

const isBefore = (a: Waiting, b: Waiting): boolean =>
  a.item.readyTime !== b.item.readyTime ? a.item.readyTime < b.item.readyTime : a.arrival < b.arrival;

/** One from each customer in turn; see the top of this file. */
export class RoundRobin implements Scheduler {
  readonly #options: SchedulerOptions;
  /** In the order in which they became known. */
  readonly #customers = new Map<string, Customer>();
  readonly #waiting = new Map<string, Waiting>();
  readonly #running = new Map<string, Customer>();
  #pending: readonly string[] = [];
  #run: Run | undefined;
  /** Of the last run, for those that show an order. */
  #requested = 1;
  #arrivals = 0;
  #admissions = 0;
  #unfitting: string | undefined;

  constructor(options: SchedulerOptions = {}, snapshot?: SchedulerSnapshot) {
    checkOptions(options);
    this.#options = { ...options };
    if (snapshot !== undefined) this.#restore(snapshot);
  }

  /** Ends a run that was not met as if no more had been requested. */
  begin(requested: number): void {
    if (this.#run !== undefined && this.#run.served.size + (this.#run.pass - 1) > 0) this.#endRun(this.#run);
    this.#run = undefined;
    if (!(requested >= 1)) return;
    this.#requested = requested;
    const walk = this.#pending.length > 0 ? this.#pending : [...this.#customers.keys()];
    this.#run = { left: requested, pass: 1, walk, place: 0, served: new Set(), tookOne: false };
  }

  setCustomer(share: CustomerShare): void {
    checkShare(share);
    this.#customer(share.id).share = { ...share };
  }

  add(item: ReadyItem): void {
    checkItem(item);
    if (this.#waiting.has(item.id)) throw new RangeError(`${item.id} is waiting already`);
    if (this.#running.has(item.id)) throw new RangeError(`${item.id} is running already`);
    this.#arrivals += 1;
    this.#place(item, this.#arrivals);
  }

  remove(id: string): void {
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) this.#take(waiting);
  }

  reprioritise(id: string, priority: number): void {
    checkPriority(priority);
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) waiting.item = { ...waiting.item, priority };
  }

  next(free?: Resources, now?: number): Decision | undefined {
    checkFree(free);
    checkNow(now);
    this.#unfitting = undefined;
    if (this.#running.size >= (this.#options.maximumRunning ?? Number.POSITIVE_INFINITY)) return undefined;
    if (this.#run === undefined) this.begin(1);
    const run = this.#run as Run;
    const customer = this.#whoseTurn(run);
    if (customer === undefined) {
      this.#endRun(run);
      return undefined;
    }
    const head = this.#headOf(customer) as Waiting;
    if (!fits(needOf(head.item.need), amountsOf(free))) {
      this.#unfitting = head.item.id;
      return undefined;
    }
    run.place += 1;
    run.left -= 1;
    run.tookOne = true;
    run.served.add(customer.id);
    const { id, cost = 1 } = head.item;
    this.#take(head);
    this.#running.set(id, customer);
    customer.running.add(id);
    if (run.left === 0) this.#endRun(run);
    this.#admissions += 1;
    return { id, customerId: customer.id, number: this.#admissions, cost, reason };
  }

  finish(id: string, actualCost?: number): void {
    checkActualCost(actualCost);
    this.#running.get(id)?.running.delete(id);
    this.#running.delete(id);
  }

  /** The position is found by letting a copy decide, in runs like the last one, with all of the pool free: O(n). */
  explain(id: string): Explanation {
    if (this.#running.has(id)) return { id, code: 'running', sentence: 'It is running.' };
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return { id, code: 'unknown', sentence: 'It neither waits nor runs here.' };
    const customer = this.#customer(waiting.item.customerId);
    const copy = this.#copyForOrder(customer.id);
    let ahead = 0;
    let aheadOfCustomer = 0;
    for (let decision = copy.#nextOfRuns(); decision !== undefined && decision.id !== id; decision = copy.#nextOfRuns()) {
      ahead += 1;
      if (decision.customerId === customer.id) aheadOfCustomer += 1;
    }
    return { id, ...this.#obstacle(waiting, customer, ahead, aheadOfCustomer), position: ahead + 1, ahead, aheadOfCustomer };
  }

  snapshot(): SchedulerSnapshot {
    const run = this.#run;
    const state: State = {
      customers: [...this.#customers.values()].map(({ id, share }) => ({ id, share: share ?? null })),
      pending: this.#pending,
      run: run === undefined ? null : { ...run, served: [...run.served] },
      requested: this.#requested,
      waiting: [...this.#waiting.values()].sort((a, b) => a.arrival - b.arrival).map(({ item, arrival }) => ({ item, arrival })),
      running: [...this.#running].map(([id, customer]) => ({ id, customerId: customer.id })),
      arrivals: this.#arrivals,
      admissions: this.#admissions,
      unfitting: this.#unfitting ?? null,
    };
    return JSON.parse(JSON.stringify({ algorithm, options: this.#options, state })) as SchedulerSnapshot;
  }

  #restore(snapshot: SchedulerSnapshot): void {
    if (snapshot.algorithm !== algorithm) throw new Error(`a snapshot of ${snapshot.algorithm} cannot be restored by ${algorithm}`);
    const state = snapshot.state as Json as unknown as State;
    for (const { id, share } of state.customers) this.#customer(id).share = share ?? undefined;
    for (const { item, arrival } of state.waiting) this.#place(item, arrival);
    for (const { id, customerId } of state.running) {
      const customer = this.#customer(customerId);
      this.#running.set(id, customer);
      customer.running.add(id);
    }
    this.#pending = state.pending;
    this.#run = state.run === null ? undefined : { ...state.run, served: new Set(state.run.served) };
    this.#requested = state.requested;
    this.#arrivals = state.arrivals;
    this.#admissions = state.admissions;
    this.#unfitting = state.unfitting ?? undefined;
  }

  /** The customer whose turn it is; the run's place moves on to it. Undefined when the run ends for want of something ready. */
  #whoseTurn(run: Run): Customer | undefined {
    for (;;) {
      for (; run.place < run.walk.length; run.place++) {
        const customer = this.#customer(run.walk[run.place] as string);
        if (this.#headOf(customer) !== undefined) return customer;
      }
      if (run.pass === 2 && !run.tookOne) return undefined;
      if (run.pass === 1) {
        run.pass = 2;
        run.served.clear();
        run.walk = [...this.#customers.keys()];
      }
      run.place = 0;
      run.tookOne = false;
    }
  }

  #endRun({ pass, walk, served }: Run): void {
    // Pass 2 walks all customers, so in either pass those that were walked and not served stay.
    const all = pass === 1 ? walk : [...this.#customers.keys()];
    this.#pending = all.filter((id) => !served.has(id));
    this.#run = undefined;
  }

  /** What a customer has ready: nothing while it is paused or at its maximum. */
  #headOf({ share, running, waiting }: Customer): Waiting | undefined {
    if (share?.paused === true || running.size >= (share?.maximumRunning ?? Number.POSITIVE_INFINITY)) return undefined;
    const { first } = waiting;
    return first === undefined || this.#neverFits(first) ? undefined : first;
  }

  #neverFits({ item }: Waiting): boolean {
    return this.#options.capacity !== undefined && !fitsSum(needOf(item.need), amountsOf(this.#options.capacity));
  }

  #copyForOrder(ownId: string): RoundRobin {
    const { maximumRunning: _, ...options } = this.#options;
    const copy = new RoundRobin(options, this.snapshot());
    for (const customer of copy.#customers.values()) {
      const blocked = customer.waiting.size > 0 && copy.#headOf(customer) === undefined;
      customer.share = { id: customer.id, weight: 1, paused: blocked && customer.id !== ownId };
    }
    return copy;
  }

  /** The next one, with runs like the last one after each other. */
  #nextOfRuns(): Decision | undefined {
    if (this.#run === undefined) this.begin(this.#requested);
    const decision = this.next();
    if (decision !== undefined) return decision;
    this.begin(this.#requested);
    return this.next();
  }

  #obstacle(waiting: Waiting, customer: Customer, ahead: number, aheadOfCustomer: number): Pick<Explanation, 'code' | 'sentence'> {
    const { id, share, running } = customer;
    if (share?.paused === true) return { code: 'paused', sentence: `Customer ${id} is paused.` };
    if (running.size >= (share?.maximumRunning ?? Number.POSITIVE_INFINITY)) {
      return { code: 'customerLimit', sentence: `Customer ${id} runs ${running.size} of at most ${share?.maximumRunning} Agendas.` };
    }
    if (this.#neverFits(waiting)) return { code: 'neverFits', sentence: 'It needs more than the whole pool has.' };
    if (this.#running.size >= (this.#options.maximumRunning ?? Number.POSITIVE_INFINITY)) {
      return { code: 'insightLimit', sentence: `${this.#running.size} of at most ${this.#options.maximumRunning} Agendas run.` };
    }
    if (this.#unfitting === waiting.item.id) {
      return { code: 'poolFull', sentence: "It is its customer's turn, and what it needs was not free when last looked." };
    }
    if (ahead === 0) return { code: 'next', sentence: 'It is the next one.' };
    return { code: 'ahead', sentence: `${ahead} Agendas go before it, ${aheadOfCustomer} of its own customer.` };
  }

  #customer(id: string): Customer {
    const known = this.#customers.get(id);
    if (known !== undefined) return known;
    const customer: Customer = { id, share: undefined, waiting: new PositionHeap(isBefore), running: new Set() };
    this.#customers.set(id, customer);
    return customer;
  }

  #place(item: ReadyItem, arrival: number): void {
    const waiting: Waiting = { item: { ...item }, arrival, position: -1 };
    this.#waiting.set(item.id, waiting);
    this.#customer(item.customerId).waiting.add(waiting);
  }

  #take(waiting: Waiting): void {
    this.#waiting.delete(waiting.item.id);
    this.#customer(waiting.item.customerId).waiting.remove(waiting);
  }
}
