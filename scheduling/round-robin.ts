/**
 * RoundRobin: one Agenda from each customer in turn, whatever it costs and whoever has more running. Weights, bands and
 * priorities have no influence.
 *
 * A run hands out up to `requested` Agendas. `pending` names the customers whose turn it is, from run to run. An empty
 * `pending` means all customers: nobody is left over from the run before.
 * - Pass 1 walks the pending customers and takes one Agenda from each that has something ready. When it finds as many
 *   as requested, the served customers leave `pending`; the others stay, whether they have something ready or not.
 * - Otherwise pass 2 walks all customers, one Agenda each, again and again. It ends when it has found as many as
 *   requested, or when a whole walk took nothing. Then all customers except those served in pass 2 are pending.
 *
 * Customers stand in the order in which they became known. A customer that is paused or at its maximum has nothing
 * ready. While the Agenda whose turn it is does not fit what is free, nothing goes, and its turn stays.
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
  /** Ids of the customers that this pass walks, in order. */
  walk: readonly string[];
  place: number;
  /** Ids of the customers that this pass has served. */
  readonly served: Set<string>;
  /** True when the current walk of pass 2 took something. */
  tookOne: boolean;
}

/** The fields that RoundRobin adds to `ArrivalState`. */
export interface RoundRobinState {
  readonly pending: readonly string[];
  readonly run: (Omit<Run, 'served'> & { readonly served: readonly string[] }) | null;
  readonly requested: number;
}

/** One from each customer in turn; see the top of this file. */
export class RoundRobin extends ArrivalOrder {
  #pending: readonly string[] = [];
  #run: Run | undefined;
  /** Size of the last run. An order is shown in runs of this size. */
  #requested = 1;

  constructor(options: SchedulerOptions = {}, snapshot?: SchedulerSnapshot) {
    super(wording, options);
    if (snapshot === undefined) return;
    const { pending, run, requested } = this.restore(snapshot) as unknown as RoundRobinState;
    this.#pending = pending;
    this.#run = run === null ? undefined : { ...run, served: new Set(run.served) };
    this.#requested = requested;
  }

  /** Ids of the customers whose turn comes after the current run. An empty list means all customers. */
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

  /** Starts a run. An earlier run that did not find all it requested ends as if it had requested no more. */
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

  /** The customer whose turn it is. The run moves on to it. Undefined when nobody has anything ready. */
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
    // The customers that this pass walked and did not serve stay pending. Pass 2 walks all customers.
    const all = pass === 1 ? walk : [...this.customers.keys()];
    this.#pending = all.filter((id) => !served.has(id));
    this.#run = undefined;
  }

  #hasReady(customer: Customer): boolean {
    const { first } = customer.waiting;
    return first !== undefined && this.mayStart(customer) && !this.neverFits(first);
  }

  /** Counts on a copy that decides in runs like the last one, with the whole pool free. */
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

  /** The next decision, in runs like the last one, one run after the other. */
  #nextOfRuns(): Decision | undefined {
    if (this.#run === undefined) this.begin(this.#requested);
    const decision = this.next();
    if (decision !== undefined) return decision;
    this.begin(this.#requested);
    return this.next();
  }
}
