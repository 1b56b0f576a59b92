/**
 * FirstInFirstOut: by ready time, then arrival; the customer does not matter, nor does priority.
 *
 * - Agendas of a customer that is paused or runs `maximumRunning` already are passed over until that changes; they
 *   keep their place.
 * - The first Agenda that may go does not go past a full pool: while its need does not fit what is free, nothing goes.
 *   So a large one is never starved by small ones behind it, and the pool drains for it.
 * - Cost is recorded in the decision and has no influence.
 *
 * Every customer has a heap of its waiting Agendas, and customers that may start one stand in a heap by their first
 * Agenda: each call but `explain` and `snapshot` costs O(log n), however many customers are blocked.
 */
import type { Json } from '../agenda/types.ts';
import { checkActualCost, checkFree, checkItem, checkNow, checkOptions, checkPriority, checkShare, entriesOf } from './check-numbers.ts';
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

const algorithm = 'FirstInFirstOut';

interface Waiting extends Positioned {
  item: ReadyItem;
  readonly arrival: number;
  readonly customer: Customer;
}

interface Customer extends Positioned {
  readonly id: string;
  share: CustomerShare | undefined;
  readonly waiting: PositionHeap<Waiting>;
  readonly running: Set<string>;
}

/** What a snapshot holds in `state`. */
interface State {
  readonly shares: readonly CustomerShare[];
  readonly waiting: readonly { readonly item: ReadyItem; readonly arrival: number }[];
  readonly running: readonly { readonly id: string; readonly customerId: string }[];
  readonly arrivals: number;
  readonly admissions: number;
  readonly now: number;
  readonly unfitting: string | null;
}

const reason: Reason = { code: 'firstInFirstOut', sentence: 'It became ready before all others whose customer may start one.' };

const isBefore = (a: Waiting, b: Waiting): boolean =>
  a.item.readyTime !== b.item.readyTime ? a.item.readyTime < b.item.readyTime : a.arrival < b.arrival;

const startsBefore = (a: Customer, b: Customer): boolean => isBefore(a.waiting.first as Waiting, b.waiting.first as Waiting);

/** Oldest first; see the top of this file. */
export class FirstInFirstOut implements Scheduler {
  readonly #options: SchedulerOptions;
  readonly #customers = new Map<string, Customer>();
  /** Customers that have something waiting and may start it. */
  readonly #eligible = new PositionHeap<Customer>(startsBefore);
  readonly #waiting = new Map<string, Waiting>();
  readonly #running = new Map<string, Customer>();
  #arrivals = 0;
  #admissions = 0;
  #now = 0;
  /** The Agenda that did not fit at the last `next`. */
  #unfitting: string | undefined;

  constructor(options: SchedulerOptions = {}, snapshot?: SchedulerSnapshot) {
    checkOptions(options);
    this.#options = { ...options };
    if (snapshot !== undefined) this.#restore(snapshot);
  }

  begin(_requested: number): void {}

  setCustomer(share: CustomerShare): void {
    checkShare(share);
    const customer = this.#customer(share.id);
    customer.share = { ...share };
    this.#settle(customer);
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
    this.#now = Math.max(this.#now, now ?? this.#now);
    this.#unfitting = undefined;
    const head = this.#eligible.first?.waiting.first;
    if (head === undefined || this.#atLimit()) return undefined;
    const { item, customer } = head;
    if (free !== undefined && !fits(item.need, free)) {
      this.#unfitting = item.id;
      return undefined;
    }
    this.#running.set(item.id, customer);
    customer.running.add(item.id);
    this.#take(head);
    this.#admissions += 1;
    return { id: item.id, customerId: customer.id, number: this.#admissions, cost: item.cost ?? 1, reason };
  }

  finish(id: string, actualCost?: number): void {
    checkActualCost(actualCost);
    const customer = this.#running.get(id);
    if (customer === undefined) return;
    this.#running.delete(id);
    customer.running.delete(id);
    this.#settle(customer);
  }

  /** Looks at every waiting Agenda: O(n). */
  explain(id: string): Explanation {
    if (this.#running.has(id)) return { id, code: 'running', sentence: 'It is running.' };
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return { id, code: 'unknown', sentence: 'It neither waits nor runs here.' };
    const { customer } = waiting;
    let ahead = 0;
    let aheadOfCustomer = 0;
    for (const other of this.#waiting.values()) {
      if (!isBefore(other, waiting)) continue;
      if (other.customer === customer) aheadOfCustomer += 1;
      // What is held back by its own customer's limits is passed over.
      if (other.customer === customer || this.#mayStart(other.customer)) ahead += 1;
    }
    return { id, ...this.#obstacle(waiting, ahead, aheadOfCustomer), position: ahead + 1, ahead, aheadOfCustomer };
  }

  snapshot(): SchedulerSnapshot {
    const shares = [...this.#customers.values()].flatMap(({ share }) => (share === undefined ? [] : [{ ...share }]));
    const state: State = {
      shares,
      waiting: [...this.#waiting.values()].sort((a, b) => a.arrival - b.arrival).map(({ item, arrival }) => ({ item, arrival })),
      running: [...this.#running].map(([id, customer]) => ({ id, customerId: customer.id })),
      arrivals: this.#arrivals,
      admissions: this.#admissions,
      now: this.#now,
      unfitting: this.#unfitting ?? null,
    };
    // A copy, so that a snapshot never changes; `undefined` fields of what was handed in go.
    return JSON.parse(JSON.stringify({ algorithm, options: this.#options, state })) as SchedulerSnapshot;
  }

  #restore(snapshot: SchedulerSnapshot): void {
    if (snapshot.algorithm !== algorithm) throw new Error(`a snapshot of ${snapshot.algorithm} cannot be restored by ${algorithm}`);
    const state = snapshot.state as Json as unknown as State;
    for (const share of state.shares) this.setCustomer(share);
    for (const { id, customerId } of state.running) {
      const customer = this.#customer(customerId);
      this.#running.set(id, customer);
      customer.running.add(id);
      this.#settle(customer);
    }
    for (const { item, arrival } of state.waiting) this.#place(item, arrival);
    this.#arrivals = state.arrivals;
    this.#admissions = state.admissions;
    this.#now = state.now;
    this.#unfitting = state.unfitting ?? undefined;
  }

  #obstacle(waiting: Waiting, ahead: number, aheadOfCustomer: number): Pick<Explanation, 'code' | 'sentence'> {
    const { id, share, running } = waiting.customer;
    if (share?.paused === true) return { code: 'paused', sentence: `Customer ${id} is paused.` };
    if (!this.#mayStart(waiting.customer)) {
      return { code: 'customerLimit', sentence: `Customer ${id} runs ${running.size} of at most ${share?.maximumRunning} Agendas.` };
    }
    if (this.#atLimit()) {
      return { code: 'insightLimit', sentence: `${this.#running.size} of at most ${this.#options.maximumRunning} Agendas run.` };
    }
    if (this.#unfitting === waiting.item.id) {
      return { code: 'poolFull', sentence: 'It is the first, and what it needs was not free when last looked.' };
    }
    if (ahead === 0) return { code: 'next', sentence: 'It is the next one.' };
    return { code: 'ahead', sentence: `${ahead} Agendas became ready before it, ${aheadOfCustomer} of its own customer.` };
  }

  #atLimit(): boolean {
    return this.#running.size >= (this.#options.maximumRunning ?? Number.POSITIVE_INFINITY);
  }

  #mayStart({ share, running }: Customer): boolean {
    return share?.paused !== true && running.size < (share?.maximumRunning ?? Number.POSITIVE_INFINITY);
  }

  #customer(id: string): Customer {
    const known = this.#customers.get(id);
    if (known !== undefined) return known;
    const customer: Customer = { id, share: undefined, waiting: new PositionHeap(isBefore), running: new Set(), position: -1 };
    this.#customers.set(id, customer);
    return customer;
  }

  #place(item: ReadyItem, arrival: number): void {
    const customer = this.#customer(item.customerId);
    const waiting: Waiting = { item: { ...item }, arrival, customer, position: -1 };
    this.#waiting.set(item.id, waiting);
    customer.waiting.add(waiting);
    this.#settle(customer);
  }

  #take(waiting: Waiting): void {
    this.#waiting.delete(waiting.item.id);
    waiting.customer.waiting.remove(waiting);
    this.#settle(waiting.customer);
  }

  /** Puts a customer where it belongs after its waiting, its running or its share changed. */
  #settle(customer: Customer): void {
    const eligible = customer.waiting.size > 0 && this.#mayStart(customer);
    if (!eligible) this.#eligible.remove(customer);
    else if (customer.position === -1) this.#eligible.add(customer);
    else this.#eligible.moved(customer);
    if (customer.share === undefined && customer.waiting.size === 0 && customer.running.size === 0) this.#customers.delete(customer.id);
  }
}

function fits(need: Resources = { slots: 1 }, free: Resources): boolean {
  return entriesOf(need).every(([name, amount]) => amount <= (free[name] ?? Number.POSITIVE_INFINITY));
}
