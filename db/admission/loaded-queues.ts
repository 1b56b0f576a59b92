/** What a batch has read of the queue so far: customers, and the Agendas at the heads of their queues. */
import type { PartItem } from '../../scheduling/fair-share-part.ts';
import type { Statements } from '../connect.ts';
import { type LoadedCustomer, loadCustomers, type StoredQueue } from './customers.ts';
import {
  expectHeads,
  firstHeads,
  type Head,
  type Heads,
  type HeadsWanted,
  queueKey,
  readHeads,
  type WaitingRow,
} from './heads.ts';
import { itemOf, writtenShare } from './rules-view.ts';
import type { Settings } from './settings.ts';

/** A waiting Agenda with the queue it stands in. */
export interface LoadedAgenda {
  readonly customer: LoadedCustomer;
  readonly queue: StoredQueue;
  readonly heads: Heads;
  readonly head: Head;
}

/** Customers that were read at once, with their Agendas as the rules take them. */
export interface Taken {
  readonly customers: ReadonlyMap<string, LoadedCustomer>;
  readonly items: readonly PartItem[];
}

/** Grows while a batch decides; forgets nothing. */
export class LoadedQueues {
  readonly customers = new Map<string, LoadedCustomer>();
  readonly agendas = new Map<string, LoadedAgenda>();
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

  /**
   * Reads customers that are not loaded, each with as many heads as it is likely to give, and some more. `units` are
   * Agendas that are looked at wherever they stand in their queues; their customers are read with the others.
   */
  async take(ids: readonly string[], units: readonly WaitingRow[] = []): Promise<Taken> {
    const wanted = new Set([...ids, ...units.map(({ customerId }) => customerId)]);
    const fresh = [...wanted].filter((id) => !this.customers.has(id));
    const customers = await loadCustomers(this.#sql, this.#settings, fresh);
    for (const unit of units) expectHeads(customers.get(unit.customerId) as LoadedCustomer, unit);
    await readHeads(this.#sql, this.#settings.insightId, firstHeads(customers, this.#most));
    const items: PartItem[] = [];
    for (const [id, customer] of customers) {
      this.customers.set(id, customer);
      for (const queue of customer.queues.values())
        for (const heads of queue.heads)
          for (const head of heads.items) items.push(this.#note({ customer, queue, heads, head }));
    }
    for (const unit of units) {
      if (this.agendas.has(unit.agendaId)) continue;
      const customer = customers.get(unit.customerId) as LoadedCustomer;
      const queue = customer.queues.get(queueKey(unit)) as StoredQueue;
      const heads = queue.heads.find(({ priority }) => priority === unit.priority) as Heads;
      items.push(this.#note({ customer, queue, heads, head: unit }));
    }
    return { customers, items };
  }

  /**
   * Notes that an Agenda was chosen. True when the one behind its next is not known: `refill` before the next choice.
   */
  chose(agenda: LoadedAgenda): boolean {
    this.#took.set(agenda.heads, (this.#took.get(agenda.heads) ?? 0) + 1);
    return this.#isShort(agenda.heads, 1);
  }

  /** Reads on wherever what is known runs out. */
  async refill(): Promise<PartItem[]> {
    const wanted: (HeadsWanted & { readonly customer: LoadedCustomer })[] = [];
    for (const customer of this.customers.values())
      for (const queue of customer.queues.values())
        for (const heads of queue.heads)
          if (this.#took.has(heads) && this.#isShort(heads, 2))
            wanted.push({ customer, queue, heads, most: Math.min(this.#most, Math.max(16, heads.items.length)) });
    const read = await readHeads(this.#sql, this.#settings.insightId, wanted);
    return read.flatMap(({ wanted: n, head }) => {
      const { customer, queue, heads } = wanted[n] as (typeof wanted)[number];
      return this.agendas.has(head.agendaId) ? [] : [this.#note({ customer, queue, heads, head })];
    });
  }

  #note(agenda: LoadedAgenda): PartItem {
    this.agendas.set(agenda.head.agendaId, agenda);
    return itemOf(this.#settings, writtenShare(agenda.customer), agenda);
  }

  #isShort(heads: Heads, least: number): boolean {
    return heads.more && heads.items.length - (this.#took.get(heads) ?? 0) <= least;
  }
}
