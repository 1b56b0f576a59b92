/**
 * The ledger of the fair-share rules: the customers, their lanes and queues, and the Agendas in them, by id (rule 10 of
 * choose-next.ts). It decides nothing. It forgets what is no longer used, so customers and needs that come and go leave
 * nothing behind.
 */
import { CompensatedSum } from './compensated-sum.ts';
import {
  type Band,
  type Customer,
  type Lane,
  type NeedClass,
  newBand,
  newLane,
  newNeedClass,
  newQueue,
  type Queue,
} from './lane.ts';
import { put } from './lane-order.ts';
import type { Amounts } from './need.ts';
import { Promotions } from './promotions.ts';
import { Reservations } from './reservations.ts';
import type { SchedulerOptions } from './scheduler.ts';
import { isWaiting, WaitingItems } from './waiting-items.ts';

/** The state that the rules read and write. Only the rules may call the `protected` methods. */
export class FairShareLedger {
  readonly items = new WaitingItems();
  readonly customers = new Map<string, Customer>();
  /** Bands from the top (level 0) down. */
  readonly bands: Band[] = [];
  readonly reservations: Reservations;
  readonly promotions: Promotions;
  #mostCustomers = 1024;

  constructor({ capacity }: SchedulerOptions, promoteAfter: number | undefined) {
    this.reservations = new Reservations(this.items, capacity);
    this.promotions = new Promotions(this.items, promoteAfter);
  }

  isWaitingRow(row: number): boolean {
    return this.items.states[row] === isWaiting;
  }

  protected needOf(row: number): Amounts {
    return (this.items.queues[row] as Queue).needClass.need;
  }

  customerOf(id: string): Customer {
    const known = this.customers.get(id);
    if (known !== undefined) return known;
    if (this.customers.size >= this.#mostCustomers) this.#forgetCustomers();
    const customer: Customer = { id, share: undefined, weight: 1, running: 0, lanes: [] };
    this.customers.set(id, customer);
    return customer;
  }

  bandOf(level: number): Band {
    const index = this.bands.findIndex((band) => band.level >= level);
    const known = this.bands[index];
    if (known?.level === level) return known;
    const band = newBand(level);
    this.bands.splice(index === -1 ? this.bands.length : index, 0, band);
    return band;
  }

  laneOf(customer: Customer, level: number): Lane {
    for (const known of customer.lanes) if (known.band.level === level) return known;
    const lane = newLane(customer, this.bandOf(level));
    customer.lanes.push(lane);
    return lane;
  }

  queueOf(lane: Lane, key: string, need: Amounts): Queue {
    for (const known of lane.queues) if (known.needClass.key === key) return known;
    const { classes } = lane.band;
    let needClass = classes.find((one) => one.key === key);
    if (needClass === undefined) {
      needClass = newNeedClass(key, need, this.reservations.neverFits(need));
      classes.push(needClass);
    }
    const queue = newQueue(lane, needClass);
    needClass.queues.add(queue);
    lane.queues.push(queue);
    return queue;
  }

  findHead(lane: Lane): void {
    lane.head = -1;
    for (const { needClass, rows } of lane.queues) {
      const first = rows[0];
      if (first !== undefined && !needClass.neverFits && (lane.head === -1 || this.items.isBefore(first, lane.head)))
        lane.head = first;
    }
  }

  /**
   * Puts an Agenda into a queue. Returns true when its lane has to be settled: that is when the Agenda became the first
   * of its queue.
   */
  protected enqueue(row: number, lane: Lane, queue: Queue): boolean {
    this.items.enqueue(queue, row);
    lane.waiting += 1;
    this.promotions.watch(row, lane.band.level);
    return queue.rows[0] === row;
  }

  /** Takes a waiting Agenda out of its queue. The caller settles the lane. */
  protected unqueue(row: number): void {
    const queue = this.items.queues[row] as Queue;
    const { lane, needClass } = queue;
    this.items.dequeue(row);
    lane.waiting -= 1;
    this.promotions.forget(row);
    if (queue.rows.length > 0 || lane.queues.length === 1) return;
    // A lane keeps one empty queue for its next Agenda and drops the others, so needs that differ all the time leave
    // nothing behind.
    put(queue, undefined);
    lane.queues = lane.queues.filter((one) => one !== queue);
    this.#dropQueue(queue, lane.band, needClass);
  }

  #dropQueue(queue: Queue, band: Band, needClass: NeedClass): void {
    needClass.queues.delete(queue);
    needClass.registry.delete(queue);
    if (needClass.queues.size === 0) band.classes.splice(band.classes.indexOf(needClass), 1);
  }

  /**
   * Forgets customers that nobody set, that have nothing here, and whose tags the clock can no longer fall behind. The
   * clock moves back by at most the cost that is charged and not yet trued up. So no decision depends on when customers
   * are forgotten.
   */
  #forgetCustomers(): void {
    const lowest = new Map<Band, CompensatedSum>();
    for (const band of this.bands) {
      const sum = new CompensatedSum();
      sum.set(band.clock);
      lowest.set(band, sum);
    }
    for (const row of this.items.running) {
      lowest
        .get((this.items.queues[row] as Queue).lane.band)
        ?.add((-2 * (this.items.cost[row] as number)) / (this.items.totalThen[row] as number));
    }
    for (const customer of this.customers.values()) {
      if (customer.share !== undefined || customer.running > 0) continue;
      if (
        customer.lanes.some(
          ({ state, waiting, band, tag }) => state !== 'dormant' || waiting > 0 || tag.isAbove(lowest.get(band) ?? tag),
        )
      )
        continue;
      for (const lane of customer.lanes) {
        for (const queue of lane.queues) this.#dropQueue(queue, lane.band, queue.needClass);
        lane.band.lanes.delete(lane);
      }
      this.customers.delete(customer.id);
    }
    this.#mostCustomers = this.customers.size * 2 + 1024;
  }
}
