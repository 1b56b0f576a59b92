/**
 * FirstInFirstOut: by ready time, then arrival. The customer does not matter, nor does priority.
 *
 * - Agendas of a customer that is paused or already runs `maximumRunning` are passed over until that changes. They keep
 *   their position.
 * - The first Agenda that may go is never passed in a full pool: while its need does not fit what is free, nothing
 *   goes. So a large Agenda is never starved by small ones behind it, and the pool drains for it.
 *
 * Every customer has a heap of its waiting Agendas. Customers that may start one stand in a heap by their first Agenda.
 * So each call except `explain` and `snapshot` costs O(log n), however many customers are blocked.
 */
import { ArrivalOrder, type Customer, isBefore, type Waiting, type Wording } from './arrival-order.ts';
import { PositionHeap } from './position-heap.ts';
import type { SchedulerOptions, SchedulerSnapshot } from './scheduler.ts';

const wording: Wording = {
  algorithm: 'FirstInFirstOut',
  reason: { code: 'firstInFirstOut', sentence: 'It became ready before all others whose customer may start one.' },
  first: 'It is the first',
  goBefore: 'became ready before',
};

const startsBefore = (a: Customer, b: Customer): boolean =>
  isBefore(a.waiting.first as Waiting, b.waiting.first as Waiting);

/** Oldest first; see the top of this file. */
export class FirstInFirstOut extends ArrivalOrder {
  /** Customers that have something waiting and may start it. */
  readonly #eligible = new PositionHeap<Customer>(startsBefore);

  constructor(options: SchedulerOptions = {}, snapshot?: SchedulerSnapshot) {
    super(wording, options);
    if (snapshot !== undefined) this.restore(snapshot);
  }

  protected choose(): Waiting | undefined {
    return this.#eligible.first?.waiting.first;
  }

  protected took(_customer: Customer): void {}

  /** Puts the customer where it belongs. Forgets a customer that nobody set and that has nothing here. */
  protected changed(customer: Customer): void {
    const eligible = customer.waiting.size > 0 && this.mayStart(customer);
    if (!eligible) this.#eligible.remove(customer);
    else if (customer.position === -1) this.#eligible.add(customer);
    else this.#eligible.moved(customer);
    if (customer.share === undefined && customer.waiting.size === 0 && customer.running.size === 0)
      this.customers.delete(customer.id);
  }

  /** Looks at every waiting Agenda. */
  protected countAhead(waiting: Waiting): { ahead: number; aheadOfCustomer: number } {
    let ahead = 0;
    let aheadOfCustomer = 0;
    for (const other of this.waiting.values()) {
      if (!isBefore(other, waiting)) continue;
      if (other.customer === waiting.customer) aheadOfCustomer += 1;
      // An Agenda that its own customer's limits hold back is passed over.
      if (other.customer === waiting.customer || this.mayStart(other.customer)) ahead += 1;
    }
    return { ahead, aheadOfCustomer };
  }
}
