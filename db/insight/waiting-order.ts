/**
 * The order in which what waits in an Insight would go, if all of its pool were free and nothing changed: the rules decide on what admission
 * would read, and it is thrown away. Where few wait all of it is read, also what admission has not taken in yet; else the customers that are
 * first in line, and the order ends where others that were not read might come in.
 */

import type { FairSharePart, PartItem } from '../../scheduling/fair-share-part.ts';
import type { SchedulerOptions } from '../../scheduling/index.ts';
import { keyOfNeed, needOf } from '../../scheduling/need.ts';
import { type Candidates, findCandidates, findTurns, noCandidates } from '../admission/candidates.ts';
import { takeTurns } from '../admission/choosers.ts';
import {
  expectHeads,
  type Head,
  type Heads,
  type LoadedCustomer,
  loadCustomers,
  queueKey,
  readHeads,
  type StoredQueue,
} from '../admission/customers.ts';
import { readPoolCustomers } from '../admission/held-and-running.ts';
import { firstHeads } from '../admission/loaded-queues.ts';
import { everFits, itemOf, itemsOf, openPart, writtenShare } from '../admission/rules-view.ts';
import { isFairShare, type Settings } from '../admission/settings.ts';
import type { Database, Statements } from '../connect.ts';
import { fewWaiting, type InsightStanding } from './insight-standing.ts';

/** A waiting Agenda at its place in the order. */
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

/** One after the other, without limits; what is put in order may grow on the way. */
interface Line {
  next(): { readonly id: string; readonly cost: number; readonly reason: OrderedAgenda['reason'] } | undefined;
  add(items: readonly PartItem[]): void;
  clock(level: number): number;
}

interface Place {
  readonly head: Head;
  readonly heads: Heads;
  readonly queue: StoredQueue;
}

/** The first `most`, or all up to one Agenda. `unblocked`: a customer that is put in order as if its limits did not hold it back. */
export function readOrder(
  database: Database,
  standing: InsightStanding,
  wanted: { most: number; upTo?: string; unblocked?: string },
): Promise<WaitingOrder> {
  const settings = settingsOf(standing);
  const few = standing.waiting <= fewWaiting;
  return database.$client.begin('isolation level repeatable read read only', (sql) =>
    putInOrder(sql, settings, few, wanted),
  ) as Promise<WaitingOrder>;
}

async function putInOrder(
  sql: Statements,
  settings: Settings,
  few: boolean,
  { most, upTo, unblocked }: { most: number; upTo?: string; unblocked?: string },
): Promise<WaitingOrder> {
  const byTurns = settings.algorithm === 'RoundRobin';
  const everybody = byTurns && !few ? await readPoolCustomers(sql, settings) : [];
  const [customers, candidates] = few
    ? await readFew(sql, settings)
    : await readFirstInLine(sql, settings, everybody, most);
  // Turns of customers without anything ready come to nothing: of these one of the pending is enough, since none pending means all.
  const known =
    byTurns && few
      ? await readPoolCustomers(sql, settings, [...customers.keys(), ...settings.pending.slice(0, 1)])
      : everybody;
  const places = new Map<string, Place>();
  for (const { queues } of customers.values())
    for (const queue of queues.values())
      for (const heads of queue.heads)
        for (const head of heads.items) places.set(head.agendaId, { head, heads, queue });
  const line = lineUp(settings, liftLimits(customers, unblocked), candidates, known, most);
  const agendas: OrderedAgenda[] = [];
  const took = new Map<Heads, number>();
  while (agendas.length < most) {
    for (const [level, tag] of candidates.horizons) if (line.clock(level) > tag) return { agendas, isWhole: false };
    const decision = line.next();
    if (decision === undefined) return { agendas, isWhole: !candidates.truncated };
    const { head, heads, queue } = places.get(decision.id) as Place;
    // A later one than customers that were not read may have.
    if (
      settings.algorithm === 'FirstInFirstOut' &&
      head.readyTime > (candidates.horizons.get(0) ?? Number.POSITIVE_INFINITY)
    )
      return { agendas, isWhole: false };
    agendas.push({
      ...{ position: agendas.length + 1, agendaId: head.agendaId, customerId: queue.customerId },
      ...{ ready: head.readyTime, waitedSeconds: Math.max(0, settings.now - head.readyTime) },
      ...{ priority: heads.priority, cost: decision.cost, reason: decision.reason },
    });
    if (head.agendaId === upTo) break;
    took.set(heads, (took.get(heads) ?? 0) + 1);
    // The one behind the next has to be known before the next goes.
    if (!heads.more || heads.items.length - (took.get(heads) ?? 0) > 1) continue;
    const read = await readHeads(sql, settings, [{ queue, heads, most: Math.max(16, heads.items.length) }]);
    for (const one of read) places.set(one.head.agendaId, { head: one.head, heads, queue });
    const { band } = writtenShare(customers.get(queue.customerId) as LoadedCustomer);
    line.add(read.map((one) => itemOf(settings, band, queue, heads.priority, one.head)));
  }
  return { agendas, isWhole: true };
}

type Loaded = readonly [customers: Map<string, LoadedCustomer>, candidates: Candidates];

/** All that waits, whether or not admission took it in. */
async function readFew(sql: Statements, settings: Settings): Promise<Loaded> {
  const { insightId } = settings;
  const rows = await sql<WaitingRow[]>`
    /* readOrder: all that wait */
    select r.agenda_id as "agendaId", r.attempt, r.customer_id as "customerId", extract(epoch from r.ready_time)::float8 as "readyTime",
      r.ready_time::text as "readyAt", extract(epoch from r.moved_time)::float8 as "movedTime", r.priority, r.need, r.promoted,
      r.agenda_type as "agendaType", r.expected_seconds as "declaredSeconds", own.seconds as "ofCustomer", alike.seconds as "ofType"
    from ready_agenda r
      left join learned_duration own on own.insight_id = ${insightId} and own.agenda_type = r.agenda_type and own.customer_id = r.customer_id
      left join learned_duration alike on alike.insight_id = ${insightId} and alike.agenda_type = r.agenda_type and alike.customer_id = ''
    where r.insight_id = ${insightId} and r.is_due order by r.ready_time, r.agenda_id limit ${fewWaiting + 1}`;
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
  return [customers, { ...noCandidates, customerIds: ids, needs: 1 }];
}

/** The customers that can be next, with as many of their Agendas as they are likely to start, and some more. */
async function readFirstInLine(
  sql: Statements,
  settings: Settings,
  known: readonly string[],
  most: number,
): Promise<Loaded> {
  const candidates =
    settings.algorithm === 'RoundRobin'
      ? await findTurns(sql, settings, known, most)
      : await findCandidates(sql, settings, {}, most);
  const customers = await loadCustomers(sql, settings, candidates.customerIds);
  await readHeads(sql, settings, firstHeads(customers, most));
  return [customers, candidates];
}

/** Who is not held back now is not on the way either. */
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

function lineUp(
  settings: Settings,
  customers: Map<string, LoadedCustomer>,
  { leaving }: Candidates,
  known: readonly string[],
  most: number,
): Line {
  const items = itemsOf(settings, customers);
  if (isFairShare(settings.algorithm)) {
    const { held } = settings.reservation;
    const unit = held !== null && items.some(({ id }) => id === held) ? held : null;
    const reservation = {
      held: unit,
      bypasses: unit === null ? [] : [{ id: unit, count: 0, since: settings.now, passers: [] }],
    };
    const part: FairSharePart = openPart(settings, customers, items, { leaving, reservation });
    return {
      next: () => part.next({}, settings.now),
      add: (more) => part.add(more),
      clock: (level) => part.clock(level),
    };
  }
  const requested = Math.min(most, Number.MAX_SAFE_INTEGER);
  const isKnown = new Set(known);
  const pending = settings.pending.filter((id) => isKnown.has(id));
  const scheduler = takeTurns({ ...settings, pending }, known, requested, {});
  for (const { id, paused } of customers.values()) scheduler.setCustomer({ id, weight: 1, paused });
  const add = (more: readonly PartItem[]) => {
    const possible = more.filter(({ need }) => everFits(settings, keyOfNeed(need)));
    for (const item of possible.toSorted((a, b) => a.readyTime - b.readyTime || (a.id < b.id ? -1 : 1)))
      scheduler.add(item);
  };
  add(items);
  scheduler.begin(requested);
  return { next: () => scheduler.next(), add, clock: () => Number.NEGATIVE_INFINITY };
}

/** The Insight as admission would go by it; limits on how much may start are of no matter here. */
export function settingsOf(standing: InsightStanding): Settings {
  const { priorityStep, floor, capacity, state, bands, held } = standing;
  const options: SchedulerOptions = {
    ...(priorityStep === null ? {} : { priorityStep }),
    ...(floor === null ? {} : { floor }),
    ...(Object.keys(capacity).length === 0 ? {} : { capacity }),
  };
  return {
    insightId: standing.id,
    resourcePoolId: standing.resourcePoolId,
    batchId: '',
    algorithm: standing.algorithm,
    costModel: standing.costModel,
    options,
    customers: standing.customers,
    now: standing.now,
    capacity,
    inUse: standing.inUse,
    inUseHere: needOf({ slots: standing.slots }),
    heldElsewhere: needOf({}),
    isPaused: false,
    heldNeed: null,
    mostAgendas: Number.POSITIVE_INFINITY,
    maximumSlots: null,
    rate: undefined,
    epoch: 0,
    admissions: 0,
    reservation: { held: held?.agendaId ?? null, bypasses: [] },
    pending: (state?.memory as { pending?: string[] } | undefined)?.pending ?? [],
    bands: bands.map(({ level, clock, clockError, total, totalError, members, sinceLower }) => ({
      ...{ level, members, sinceLower },
      clock: [clock, clockError] as const,
      total: [total, totalError] as const,
    })),
  };
}

/** A waiting Agenda with what its place depends on. */
export interface WaitingRow extends Head {
  readonly customerId: string;
  readonly priority: number;
  readonly need: string;
  readonly promoted: number;
}

/** Columns of a WaitingRow, of `ready_agenda r`. */
export const waitingColumns = (sql: Database['$client']) => sql`
  r.agenda_id as "agendaId", r.attempt, r.customer_id as "customerId", extract(epoch from r.ready_time)::float8 as "readyTime",
  r.ready_time::text as "readyAt", extract(epoch from r.moved_time)::float8 as "movedTime", r.priority, r.need, r.promoted,
  r.agenda_type as "agendaType", r.expected_seconds as "declaredSeconds",
  (select d.seconds from learned_duration d where d.insight_id = r.insight_id and d.agenda_type = r.agenda_type and d.customer_id = r.customer_id)
    as "ofCustomer",
  (select d.seconds from learned_duration d where d.insight_id = r.insight_id and d.agenda_type = r.agenda_type and d.customer_id = '')
    as "ofType"`;

/** What it would cost now. */
export function costOfWaiting(
  standing: InsightStanding,
  { customerId, promoted, need, priority, ...head }: WaitingRow,
): number {
  const place = { level: 0, active: true, start: 0, finish: 0, headMoved: null, priorities: [priority], heads: [] };
  const queue: StoredQueue = { customerId, promoted, need, ...place };
  return itemOf(settingsOf(standing), 0, queue, priority, head).cost as number;
}
