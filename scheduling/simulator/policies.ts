/**
 * Models of how others decide, as small as they can be. They show what each rule does to shares and waits; they are no
 * copies of any product. Each hands out by customer, oldest first. A customer whose head does not fit is skipped and
 * forgotten.
 */
import { algorithmNames, createAlgorithm } from '../algorithms.ts';
import { dominantShare } from '../cost-models.ts';
import { amountsOf, fits, needOf } from '../need.ts';
import type { CustomerShare, Decision, ReadyItem, Resources, Scheduler, SchedulerOptions } from '../scheduler.ts';
import { Random } from './random.ts';
import type { Policy, Workload } from './workload.ts';

/** The methods of a scheduler that a simulation calls. */
export type Chooser = Pick<Scheduler, 'begin' | 'setCustomer' | 'add' | 'next' | 'finish'>;

interface Customer {
  readonly id: string;
  weight: number;
  maximumRunning: number;
  paused: boolean;
  readonly waiting: ReadyItem[];
  /** Items taken from the front of `waiting`. */
  taken: number;
  readonly running: Map<string, ReadyItem>;
}

/** Customers with something waiting, and a rule that says which is first. */
abstract class Model implements Chooser {
  readonly customers = new Map<string, Customer>();
  readonly owners = new Map<string, Customer>();
  now = 0;
  #number = 0;

  /** The smaller, the sooner. */
  abstract rankOf(customer: Customer): number;
  admitted(_customer: Customer, _item: ReadyItem): void {}
  begin(): void {}

  setCustomer({ id, weight, maximumRunning, paused }: CustomerShare): void {
    Object.assign(this.customerOf(id), {
      weight,
      maximumRunning: maximumRunning ?? Number.POSITIVE_INFINITY,
      paused: paused ?? false,
    });
  }

  add(item: ReadyItem): void {
    this.customerOf(item.customerId).waiting.push(item);
  }

  next(free?: Resources, now = 0): Decision | undefined {
    this.now = now;
    let best: Customer | undefined;
    let bestRank = Number.POSITIVE_INFINITY;
    for (const customer of this.customers.values()) {
      const head = this.headOf(customer);
      if (head === undefined || !this.mayRun(customer) || !fits(needOf(head.need), amountsOf(free))) continue;
      const rank = this.rankOf(customer);
      if (rank >= bestRank) continue;
      best = customer;
      bestRank = rank;
    }
    if (best === undefined) return undefined;
    const item = this.headOf(best) as ReadyItem;
    best.taken += 1;
    if (best.taken > 1_000) best.waiting.splice(0, best.taken);
    if (best.taken > 1_000) best.taken = 0;
    best.running.set(item.id, item);
    this.owners.set(item.id, best);
    this.admitted(best, item);
    this.#number += 1;
    return {
      id: item.id,
      customerId: best.id,
      number: this.#number,
      cost: item.cost ?? 1,
      reason: { code: 'model', sentence: 'A model.' },
    };
  }

  finish(id: string): void {
    this.owners.get(id)?.running.delete(id);
    this.owners.delete(id);
  }

  mayRun({ paused, running, maximumRunning }: Customer): boolean {
    return !paused && running.size < maximumRunning;
  }

  headOf(customer: Customer): ReadyItem | undefined {
    return customer.waiting[customer.taken];
  }

  customerOf(id: string): Customer {
    let customer = this.customers.get(id);
    if (customer === undefined) {
      customer = {
        id,
        weight: 1,
        maximumRunning: Number.POSITIVE_INFINITY,
        paused: false,
        waiting: [],
        taken: 0,
        running: new Map(),
      };
      this.customers.set(id, customer);
    }
    return customer;
  }
}

/** The oldest that fits. */
class BestEffortFifo extends Model {
  rankOf(customer: Customer): number {
    return (this.headOf(customer) as ReadyItem).readyTime;
  }
}

/** At most an equal part of the slots each, then the oldest. */
class CapThenFifo extends BestEffortFifo {
  readonly #cap: number;
  constructor(slots: number, customers: number) {
    super();
    this.#cap = Math.max(1, Math.floor(slots / Math.max(1, customers)));
  }
  override mayRun(customer: Customer): boolean {
    return super.mayRun(customer) && customer.running.size < this.#cap;
  }
}

/** Each in turn, whatever it weighs. */
class PlainRoundRobin extends Model {
  readonly #served = new Map<string, number>();
  #turn = 0;
  rankOf({ id }: Customer): number {
    return this.#served.get(id) ?? -1;
  }
  override admitted({ id }: Customer): void {
    this.#turn += 1;
    this.#served.set(id, this.#turn);
  }
}

/**
 * Passes are whole numbers, given when work is written, with one counter per partition of it. Later weights do not
 * reach what is written already.
 */
class WriteTimeStride extends Model {
  readonly #passes: number[][] = [];
  readonly #next: Map<string, number>[] = [];
  readonly #current: number[] = [];
  readonly #items = new Map<string, { readonly pass: number; readonly partition: number }>();
  readonly #partitions: number;
  #count = 0;
  constructor(partitions = 4) {
    super();
    this.#partitions = partitions;
    for (let i = 0; i < partitions; i++) {
      this.#next.push(new Map());
      this.#current.push(0);
      this.#passes.push([]);
    }
  }
  override add(item: ReadyItem): void {
    const partition = this.#count++ % this.#partitions;
    const next = this.#next[partition] as Map<string, number>;
    const pass = Math.max(next.get(item.customerId) ?? 0, this.#current[partition] as number);
    const stride = Math.max(1, Math.floor(1_000 / this.customerOf(item.customerId).weight));
    next.set(item.customerId, pass + stride);
    this.#items.set(item.id, { pass, partition });
    super.add(item);
  }
  rankOf(customer: Customer): number {
    return this.#items.get((this.headOf(customer) as ReadyItem).id)?.pass ?? 0;
  }
  override admitted(_: Customer, { id }: ReadyItem): void {
    const { pass, partition } = this.#items.get(id) as { pass: number; partition: number };
    this.#current[partition] = Math.max(this.#current[partition] as number, pass);
    this.#items.delete(id);
  }
}

/** The customer that holds least of the pool at this moment, by weight, goes first; the past does not count. */
class OccupancyDrf extends Model {
  readonly #pool: Resources;
  constructor(pool: Resources) {
    super();
    this.#pool = pool;
  }
  rankOf({ running, weight }: Customer): number {
    let share = 0;
    for (const { need = { slots: 1 } } of running.values()) share += dominantShare(need, this.#pool);
    return share / weight;
  }
}

/** The customer that used least goes first; use is halved every hour. */
class UsageHalfLife extends Model {
  readonly #usage = new Map<string, { used: number; time: number }>();
  rankOf({ id, weight }: Customer): number {
    return this.#usedBy(id) / weight;
  }
  override admitted({ id }: Customer, { cost = 1 }: ReadyItem): void {
    this.#usage.set(id, { used: this.#usedBy(id) + cost, time: this.now });
  }
  #usedBy(id: string): number {
    const known = this.#usage.get(id);
    if (known === undefined) return 0;
    let used = known.used;
    let halves = (this.now - known.time) / 3_600;
    for (; halves >= 1; halves--) used /= 2;
    return used * (1 - halves / 2);
  }
}

/** The customer that used least goes first; use is counted when work ends. */
class ChargeAtCompletion extends Model {
  readonly #used = new Map<string, number>();
  rankOf({ id, weight }: Customer): number {
    return (this.#used.get(id) ?? 0) / weight;
  }
  override finish(id: string): void {
    const customer = this.owners.get(id);
    if (customer !== undefined)
      this.#used.set(customer.id, (this.#used.get(customer.id) ?? 0) + (customer.running.get(id)?.cost ?? 1));
    super.finish(id);
  }
}

/** By lot, weighted. */
class WeightedRandom extends Model {
  readonly #random: Random;
  constructor(seed: number) {
    super();
    this.#random = new Random(seed);
  }
  /**
   * The smallest of several exponential variables belongs to each with the odds of its rate. −ln u is summed up from
   * its series, which is the same on every machine.
   */
  rankOf({ weight }: Customer): number {
    const u = 1 - this.#random.next();
    const y = (u - 1) / (u + 1);
    let sum = 0;
    let power = y;
    for (let n = 1; n < 60; n += 2) {
      sum += power / n;
      power *= y * y;
    }
    return (-2 * sum) / weight;
  }
}

/** The models by name. */
export const models: readonly string[] = [
  'best-effort FIFO',
  'plain RR',
  'write-time stride',
  'occupancy DRF',
  'usage half-life',
  'charge at completion',
  'cap then FIFO',
  'weighted random',
];

/** @throws Error for a name that is neither an algorithm nor a model. */
export function createPolicy(policy: Policy, workload: Workload): { readonly name: string; readonly chooser: Chooser } {
  const { name, options } = typeof policy === 'string' ? { name: policy, options: undefined } : policy;
  return { name, chooser: chooserOf(name, { ...workload.options, ...options }, workload) };
}

function chooserOf(name: string, options: SchedulerOptions, workload: Workload): Chooser {
  const pool = workload.capacity ?? { slots: 1 };
  switch (name) {
    case 'best-effort FIFO':
      return new BestEffortFifo();
    case 'plain RR':
      return new PlainRoundRobin();
    case 'write-time stride':
      return new WriteTimeStride();
    case 'occupancy DRF':
      return new OccupancyDrf(pool);
    case 'usage half-life':
      return new UsageHalfLife();
    case 'charge at completion':
      return new ChargeAtCompletion();
    case 'cap then FIFO':
      return new CapThenFifo(
        pool.slots ?? 1,
        new Set([...(workload.arrivals ?? []), ...(workload.sources ?? [])].map(({ customerId }) => customerId)).size,
      );
    case 'weighted random':
      return new WeightedRandom(workload.seed ?? 1);
    default:
      if (!algorithmNames().includes(name))
        throw new Error(`there is no policy ${name}; there are ${[...algorithmNames(), ...models].join(', ')}`);
      return createAlgorithm(name, options);
  }
}
