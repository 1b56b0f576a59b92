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
import { ArrivalOrder, type Customer, type Waiting, type Wording } from './arrival-order.ts';
import type { Decision, SchedulerOptions, SchedulerSnapshot } from './scheduler.ts';

const wording: Wording = {
  algorithm: 'RoundRobin',
  reason: { code: 'turn', sentence: "It is its customer's turn." },
  first: "It is its customer's turn",
  goBefore: 'go before',
};

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

/** What a snapshot holds beside what all hold that go by arrival. */
export interface RoundRobinState {
  readonly pending: readonly string[];
  readonly run: (Omit<Run, 'served'> & { readonly served: readonly string[] }) | null;
  readonly requested: number;
}

/** One from each customer in turn; see the top of this file. */
export class RoundRobin extends ArrivalOrder {
  #pending: readonly string[] = [];
  #run: Run | undefined;
  /** Of the last run, for those that show an order. */
  #requested = 1;

  constructor(options: SchedulerOptions = {}, snapshot?: SchedulerSnapshot) {
    super(wording, options);
    if (snapshot === undefined) return;
    const { pending, run, requested } = this.restore(snapshot) as unknown as RoundRobinState;
    this.#pending = pending;
    this.#run = run === null ? undefined : { ...run, served: new Set(run.served) };
    this.#requested = requested;
  }

  /** Customers whose turn it is, once the run that is under way has ended; none: all. */
  get pending(): readonly string[] {
    return this.#pending;
  }

  protected override ownState(): RoundRobinState {
    const run = this.#run;
    return {
      pending: this.#pending,
      run: run === undefined ? null : { ...run, served: [...run.served] },
      requested: this.#requested,
    };
  }

  /** Ends a run that was not met as if no more had been requested. */
  override begin(requested: number): void {
    if (this.#run !== undefined && this.#run.served.size + (this.#run.pass - 1) > 0) this.#endRun(this.#run);
    this.#run = undefined;
    if (!(requested >= 1)) return;
    this.#requested = requested;
    const walk = this.#pending.length > 0 ? this.#pending : [...this.customers.keys()];
    this.#run = { left: requested, pass: 1, walk, place: 0, served: new Set(), tookOne: false };
  }

  protected choose(): Waiting | undefined {
    if (this.#run === undefined) this.begin(1);
    const run = this.#run as Run;
    const customer = this.#whoseTurn(run);
    if (customer === undefined) this.#endRun(run);
    return customer?.waiting.first;
  }

  protected took({ id }: Customer): void {
    const run = this.#run as Run;
    run.place += 1;
    run.left -= 1;
    run.tookOne = true;
    run.served.add(id);
    if (run.left === 0) this.#endRun(run);
  }

  protected changed(_customer: Customer): void {}

  /** The customer whose turn it is; the run's place moves on to it. Undefined when the run ends for want of something ready. */
  #whoseTurn(run: Run): Customer | undefined {
    for (;;) {
      for (; run.place < run.walk.length; run.place++) {
        const customer = this.customerOf(run.walk[run.place] as string);
        if (this.#hasReady(customer)) return customer;
      }
      if (run.pass === 2 && !run.tookOne) return undefined;
      if (run.pass === 1) {
        run.pass = 2;
        run.served.clear();
        run.walk = [...this.customers.keys()];
      }
      run.place = 0;
      run.tookOne = false;
    }
  }

  #endRun({ pass, walk, served }: Run): void {
    // Pass 2 walks all customers, so in either pass those that were walked and not served stay.
    const all = pass === 1 ? walk : [...this.customers.keys()];
    this.#pending = all.filter((id) => !served.has(id));
    this.#run = undefined;
  }

  #hasReady(customer: Customer): boolean {
    const { first } = customer.waiting;
    return first !== undefined && this.mayStart(customer) && !this.neverFits(first);
  }

  /** Found by letting a copy decide, in runs like the last one, with all of the pool free. */
  protected countAhead({ item, customer }: Waiting): { ahead: number; aheadOfCustomer: number } {
    const copy = this.#copyForOrder(customer.id);
    let ahead = 0;
    let aheadOfCustomer = 0;
    for (
      let decision = copy.#nextOfRuns();
      decision !== undefined && decision.id !== item.id;
      decision = copy.#nextOfRuns()
    ) {
      ahead += 1;
      if (decision.customerId === customer.id) aheadOfCustomer += 1;
    }
    return { ahead, aheadOfCustomer };
  }

  #copyForOrder(ownId: string): RoundRobin {
    const { maximumRunning: _, ...options } = this.options;
    const copy = new RoundRobin(options, this.snapshot());
    for (const customer of copy.customers.values()) {
      const blocked = customer.waiting.size > 0 && !copy.#hasReady(customer);
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
}
