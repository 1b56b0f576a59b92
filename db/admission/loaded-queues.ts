/** What a batch has read of the queue so far: customers, and the Agendas at the heads of their queues. */
import type { PartItem } from '../../scheduling/fair-share-part.ts';
import type { Statements } from '../connect.ts';
import {
  expectHeads,
  type Head,
  type Heads,
  type HeadsWanted,
  type LoadedCustomer,
  loadCustomers,
  queueKey,
  readHeads,
  type StoredQueue,
} from './customers.ts';
import { itemOf, writtenShare } from './rules-view.ts';
import type { Settings } from './settings.ts';

/** Where a waiting Agenda stands. */
export interface Place {
  readonly customer: LoadedCustomer;
  readonly queue: StoredQueue;
  readonly heads: Heads;
  readonly head: Head;
}

/** A waiting Agenda that is looked at wherever it stands in its queue. */
export interface Special {
  readonly customerId: string;
  readonly promoted: number;
  readonly need: string;
  readonly priority: number;
  readonly head: Head;
}

/** Customers that were read at once, with their Agendas as the rules take them. */
export interface Taken {
  readonly customers: ReadonlyMap<string, LoadedCustomer>;
  readonly items: readonly PartItem[];
}

/** Grows while a batch decides; forgets nothing. */
export class InHand {
  readonly customers = new Map<string, LoadedCustomer>();
  readonly places = new Map<string, Place>();
  readonly #sql: Statements;
  readonly #settings: Settings;
  readonly #most: number;
  /** Agendas of these heads that were chosen. */
  readonly #took = new Map<Heads, number>();

  /** `most`: no more will be chosen. */
  constructor(sql: Statements, settings: Settings, most: number) {
    this.#sql = sql;
    this.#settings = settings;
    this.#most = most;
  }

  /** Reads customers that are not in hand, each with as many heads as it is likely to give, and some more. */
  async take(ids: readonly string[], special: readonly Special[] = []): Promise<Taken> {
    const fresh = [...new Set([...ids, ...special.map(({ customerId }) => customerId)])].filter(
      (id) => !this.customers.has(id),
    );
    const customers = await loadCustomers(this.#sql, this.#settings, fresh);
    for (const one of special) expectHeads(customers.get(one.customerId) as LoadedCustomer, one);
    await readHeads(this.#sql, this.#settings, firstHeads(customers, this.#most));
    const items: PartItem[] = [];
    for (const [id, customer] of customers) {
      this.customers.set(id, customer);
      for (const queue of customer.queues.values())
        for (const heads of queue.heads)
          for (const head of heads.items) items.push(this.#note({ customer, queue, heads, head }));
    }
    for (const { customerId, head, priority, ...kind } of special) {
      if (this.places.has(head.agendaId)) continue;
      const customer = customers.get(customerId) as LoadedCustomer;
      const queue = customer.queues.get(queueKey(kind)) as StoredQueue;
      items.push(
        this.#note({ customer, queue, heads: queue.heads.find((heads) => heads.priority === priority) as Heads, head }),
      );
    }
    return { customers, items };
  }

  /** Notes that an Agenda was chosen. True when the one behind its next is not known: `refill` before the next choice. */
  chose(place: Place): boolean {
    this.#took.set(place.heads, (this.#took.get(place.heads) ?? 0) + 1);
    return this.#isShort(place.heads, 1);
  }

  /** Reads on wherever what is known runs out. */
  async refill(): Promise<PartItem[]> {
    const wanted: (HeadsWanted & { readonly customer: LoadedCustomer })[] = [];
    for (const customer of this.customers.values())
      for (const queue of customer.queues.values())
        for (const heads of queue.heads)
          if (this.#took.has(heads) && this.#isShort(heads, 2))
            wanted.push({ customer, queue, heads, most: Math.min(this.#most, Math.max(16, heads.items.length)) });
    const read = await readHeads(this.#sql, this.#settings, wanted);
    return read.flatMap(({ wanted: n, head }) => {
      const { customer, queue, heads } = wanted[n] as (typeof wanted)[number];
      return this.places.has(head.agendaId) ? [] : [this.#note({ customer, queue, heads, head })];
    });
  }

  #note(place: Place): PartItem {
    this.places.set(place.head.agendaId, place);
    return itemOf(this.#settings, writtenShare(place.customer).band, place.queue, place.heads.priority, place.head);
  }

  #isShort(heads: Heads, least: number): boolean {
    return heads.more && heads.items.length - (this.#took.get(heads) ?? 0) <= least;
  }
}

/** Of each queue what its customer takes when `most` are shared by weight, twice, so that it seldom has to be read on. */
export function firstHeads(customers: ReadonlyMap<string, LoadedCustomer>, most: number): HeadsWanted[] {
  let weights = 0;
  for (const { weight } of customers.values()) weights += weight;
  return [...customers.values()].flatMap(({ queues, weight }) =>
    [...queues.values()].flatMap((queue) =>
      queue.heads.map((heads) => ({
        queue,
        heads,
        most: Math.min(most, Math.ceil((2 * most * weight) / weights)) + 2,
      })),
    ),
  );
}
