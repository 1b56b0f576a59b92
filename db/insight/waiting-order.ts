/**
 * The order in which what waits in an Insight would go, if all of its pool were free and nothing changed: the rules
 * decide on what admission would read, and the decisions are thrown away. Where few wait, all of it is read, also what
 * admission has not taken in yet. Where many wait, the customers that are first in line are read, and the order ends
 * where others that were not read might come in.
 */

import type { PartItem } from '../../scheduling/fair-share-part.ts';
import { amountsOf, keyOfNeed } from '../../scheduling/need.ts';
import { type Candidates, findCandidates, findTurns, noCandidates } from '../admission/candidates.ts';
import { takeTurns } from '../admission/choosers.ts';
import { type LoadedCustomer, loadCustomers, type StoredQueue } from '../admission/customers.ts';
import { isBehindUnread } from '../admission/decide.ts';
import {
  expectHeads,
  firstHeads,
  type Heads,
  joinLearned,
  queueKey,
  readHeads,
  type WaitingRow,
  waitingColumns,
} from '../admission/heads.ts';
import { readPoolCustomers } from '../admission/held-and-running.ts';
import type { LoadedAgenda } from '../admission/loaded-queues.ts';
import { everFits, itemOf, itemsOf, openPart, writtenShare } from '../admission/rules-view.ts';
import { isFairShare, type Settings } from '../admission/settings.ts';
import type { Database, Statements } from '../connect.ts';
import { fewWaiting, type InsightStanding } from './insight-standing.ts';
import { settingsOf } from './standing-settings.ts';

/** A waiting Agenda at its position in the order. */
export interface OrderedAgenda {
  /** From 1; of what may start, so without those whose customer is held back. */
  readonly position: number;
  readonly agendaId: string;
  readonly customerId: string;
  /** Seconds since the epoch. */
  readonly ready: number;
  readonly waitedSeconds: number;
  readonly priority: number;
  readonly cost: number;
  /** Of why it is its turn then. */
  readonly reason: { readonly code: string; readonly sentence: string };
}

/** As far as it was asked for, or can be told. */
export interface WaitingOrder {
  readonly agendas: readonly OrderedAgenda[];
  /** It holds all that may start, or as many as were asked for. */
  readonly isWhole: boolean;
}

/**
 * The first `most`, or all up to one Agenda. `unblocked`: a customer that is put in order as if its limits did not hold
 * it back.
 */
interface Wanted {
  readonly most: number;
  readonly upTo?: string;
  readonly unblocked?: string;
}

/** One after the other, without limits; what is put in order may grow on the way. */
interface Line {
  next(): { readonly id: string; readonly cost: number; readonly reason: OrderedAgenda['reason'] } | undefined;
  add(items: readonly PartItem[]): void;
  clock(level: number): number;
}

/** What was read to be put in order. */
interface Loaded {
  readonly customers: Map<string, LoadedCustomer>;
  readonly candidates: Candidates;
  /** RoundRobin: customers whose turns are counted. */
  readonly known: readonly string[];
}

/** Puts what waits in order, as far as it is wanted. */
export function readOrder(database: Database, standing: InsightStanding, wanted: Wanted): Promise<WaitingOrder> {
  const settings = settingsOf(standing);
  const few = standing.waiting <= fewWaiting;
  return database.$client.begin('isolation level repeatable read read only', async (sql) => {
    const loaded = few ? await readFew(sql, settings) : await readFirstInLine(sql, settings, wanted.most);
    return putInOrder(sql, settings, loaded, wanted);
  }) as Promise<WaitingOrder>;
}

async function putInOrder(
  sql: Statements,
  settings: Settings,
  { customers, candidates, known }: Loaded,
  { most, upTo, unblocked }: Wanted,
): Promise<WaitingOrder> {
  const waiting = agendasOf(customers);
  const line = lineUp(settings, { customers: liftLimits(customers, unblocked), candidates, known }, most);
  const agendas: OrderedAgenda[] = [];
  const took = new Map<Heads, number>();
  while (agendas.length < most) {
    for (const [level, tag] of candidates.horizons) if (line.clock(level) > tag) return { agendas, isWhole: false };
    const decision = line.next();
    if (decision === undefined) return { agendas, isWhole: !candidates.truncated };
    const { customer, head, heads, queue } = waiting.get(decision.id) as LoadedAgenda;
    if (isBehindUnread(settings, { head }, candidates)) return { agendas, isWhole: false };
    agendas.push({
      position: agendas.length + 1,
      agendaId: head.agendaId,
      customerId: queue.customerId,
      ready: head.readyTime,
      waitedSeconds: Math.max(0, settings.now - head.readyTime),
      priority: heads.priority,
      cost: decision.cost,
      reason: decision.reason,
    });
    if (head.agendaId === upTo) break;
    took.set(heads, (took.get(heads) ?? 0) + 1);
    // The one behind the next has to be known before the next goes.
    if (!heads.more || heads.items.length - (took.get(heads) ?? 0) > 1) continue;
    const wanted = [{ queue, heads, most: Math.max(16, heads.items.length) }];
    const read = (await readHeads(sql, settings.insightId, wanted)).map((one) => ({ ...one, customer, queue, heads }));
    for (const one of read) waiting.set(one.head.agendaId, one);
    line.add(read.map((one) => itemOf(settings, writtenShare(customer), one)));
  }
  return { agendas, isWhole: true };
}

function agendasOf(customers: ReadonlyMap<string, LoadedCustomer>): Map<string, LoadedAgenda> {
  const waiting = new Map<string, LoadedAgenda>();
  for (const customer of customers.values())
    for (const queue of customer.queues.values())
      for (const heads of queue.heads)
        for (const head of heads.items) waiting.set(head.agendaId, { customer, queue, heads, head });
  return waiting;
}

/** All that waits, whether or not admission took it in. */
async function readFew(sql: Statements, settings: Settings): Promise<Loaded> {
  const { insightId, pending } = settings;
  const rows = await sql<WaitingRow[]>`
    /* readOrder: all that wait */
    select ${waitingColumns(sql)}
    from ready_agenda r
      ${joinLearned(sql, insightId)}
    where r.insight_id = ${insightId} and r.is_due
    order by r.ready_time, r.agenda_id limit ${fewWaiting + 1}`;
  const ids = [...new Set(rows.map(({ customerId }) => customerId))];
  const customers = await loadCustomers(sql, settings, ids);
  for (const row of rows) {
    const customer = customers.get(row.customerId) as LoadedCustomer;
    expectHeads(customer, row);
    const queue = customer.queues.get(queueKey(row)) as StoredQueue;
    queue.heads.find(({ priority }) => priority === row.priority)?.items.push(row);
  }
  for (const { queues } of customers.values()) {
    for (const [key, { heads }] of queues) {
      for (const one of heads) one.more = false;
      // Emptied since admission looked.
      if (heads.every(({ items }) => items.length === 0)) queues.delete(key);
    }
  }
  // Turns of customers without anything ready come to nothing, so the others need not be known. RoundRobin takes an
  // empty `pending` for all customers: one of those that are pending keeps it from being empty.
  const known =
    settings.algorithm === 'RoundRobin'
      ? await readPoolCustomers(sql, settings, [...customers.keys(), ...pending.slice(0, 1)])
      : [];
  return { customers, candidates: { ...noCandidates, customerIds: ids, needs: 1 }, known };
}

/** The customers that can be next, with as many of their Agendas as they are likely to start, and some more. */
async function readFirstInLine(sql: Statements, settings: Settings, most: number): Promise<Loaded> {
  const byTurns = settings.algorithm === 'RoundRobin';
  const known = byTurns ? await readPoolCustomers(sql, settings) : [];
  const candidates = byTurns
    ? await findTurns(sql, settings, known, most)
    : await findCandidates(sql, settings, { free: amountsOf({}), most });
  const customers = await loadCustomers(sql, settings, candidates.customerIds);
  await readHeads(sql, settings.insightId, firstHeads(customers, most));
  return { customers, candidates, known };
}

/** A customer that nothing holds back now is taken to stay free: its limits are lifted. */
function liftLimits(
  customers: ReadonlyMap<string, LoadedCustomer>,
  unblocked: string | undefined,
): Map<string, LoadedCustomer> {
  return new Map(
    [...customers].map(([id, customer]) => {
      const isBlocked = id !== unblocked && (customer.paused || customer.mayRun === 0);
      return [id, { ...customer, paused: isBlocked, mayRun: Number.POSITIVE_INFINITY }];
    }),
  );
}

const lineUp = (settings: Settings, loaded: Loaded, most: number): Line =>
  isFairShare(settings.algorithm) ? lineUpByShares(settings, loaded) : lineUpByTurns(settings, loaded, most);

function lineUpByShares(settings: Settings, { customers, candidates: { leaving } }: Loaded): Line {
  const items = itemsOf(settings, customers);
  const { held } = settings.reservation;
  const unit = held !== null && items.some(({ id }) => id === held) ? held : null;
  const reservation = {
    held: unit,
    bypasses: unit === null ? [] : [{ id: unit, count: 0, since: settings.now, passers: [] }],
  };
  const part = openPart(settings, customers, items, { leaving, reservation });
  return {
    next: () => part.next({}, settings.now),
    add: (more) => part.add(more),
    clock: (level) => part.clock(level),
  };
}

function lineUpByTurns(settings: Settings, { customers, known }: Loaded, most: number): Line {
  const requested = Math.min(most, Number.MAX_SAFE_INTEGER);
  const isKnown = new Set(known);
  const pending = settings.pending.filter((id) => isKnown.has(id));
  const scheduler = takeTurns({ ...settings, pending, options: {} }, known, requested);
  for (const { id, paused } of customers.values()) scheduler.setCustomer({ id, weight: 1, paused });
  const add = (more: readonly PartItem[]) => {
    const possible = more.filter(({ need }) => everFits(settings, keyOfNeed(need)));
    for (const item of possible.toSorted((a, b) => a.readyTime - b.readyTime || (a.id < b.id ? -1 : 1)))
      scheduler.add(item);
  };
  add(itemsOf(settings, customers));
  scheduler.begin(requested);
  return { next: () => scheduler.next(), add, clock: () => Number.NEGATIVE_INFINITY };
}
