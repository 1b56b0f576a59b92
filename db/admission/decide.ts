/** Lets the Insight's algorithm choose among the customers that can be next. Nothing is written here. */

import type { FairSharePart, PartDecision, PartItem, PartReservation } from '../../scheduling/fair-share-part.ts';
import type { FairShareState } from '../../scheduling/fair-share-snapshot.ts';
import { createAlgorithm, type Decision, type Resources, type Scheduler, type SchedulerSnapshot } from '../../scheduling/index.ts';
import { amountsOfKey, keyOfNeed } from '../../scheduling/need.ts';
import type { Statements } from '../connect.ts';
import { type Candidates, findCandidates, findTurns } from './candidates.ts';
import {
  expectHeads,
  type Head,
  type Heads,
  type LoadedCustomer,
  loadCustomers,
  queueKey,
  readHeads,
  type StoredQueue,
} from './customers.ts';
import { type Changes, changesOf, itemOf, openPart, placedBy, placedByTime, writtenShare } from './part-of.ts';
import { isFairShare, type Settings } from './settings.ts';

/** Times that more heads are read in one batch. */
const mostRefills = 8;

/** An Agenda that goes, with what the record is to say of it. */
export interface Admitted {
  readonly decision: Decision & Partial<PartDecision>;
  readonly head: Head;
  readonly queue: StoredQueue;
}

export interface Verdict {
  readonly admitted: readonly Admitted[];
  readonly changes: Changes;
  readonly reservation: PartReservation;
  /** What the Agenda needs that capacity is held for. */
  readonly heldNeed: string | null;
  readonly pending: readonly string[];
  /** There was room for more than could be told without reading on. */
  readonly more: boolean;
}

/** Where an Agenda at the head of a queue stands. */
interface Place {
  readonly customer: LoadedCustomer;
  readonly queue: StoredQueue;
  readonly heads: Heads;
  readonly head: Head;
}

export async function decide(sql: Statements, settings: Settings, free: Resources, most: number): Promise<Verdict> {
  const byTags = isFairShare(settings.algorithm);
  const known = settings.algorithm === 'RoundRobin' ? await readPoolCustomers(sql, settings) : [];
  const candidates = await (settings.algorithm === 'RoundRobin'
    ? findTurns(sql, settings, known, most)
    : findCandidates(sql, settings, free, most));
  const special = byTags ? await readSpecial(sql, settings) : [];
  const ids = [...new Set([...candidates.customerIds, ...special.map(({ customerId }) => customerId)])];
  const [customers, running] = await Promise.all([
    loadCustomers(sql, settings, ids),
    byTags && (candidates.needs > 1 || special.length > 0) ? readRunning(sql, settings) : [],
  ]);
  for (const item of special) expectHeads(customers.get(item.customerId) as LoadedCustomer, item);
  await readHeads(sql, settings, firstHeads(customers, most));

  const places = new Map<string, Place>();
  const note = (customer: LoadedCustomer, queue: StoredQueue, heads: Heads, head: Head) =>
    places.set(head.agendaId, { customer, queue, heads, head });
  for (const customer of customers.values())
    for (const queue of customer.queues.values())
      for (const heads of queue.heads) for (const head of heads.items) note(customer, queue, heads, head);
  const beyond = special.filter(({ head }) => !places.has(head.agendaId));
  for (const { customerId, head, ...kind } of beyond) {
    const customer = customers.get(customerId) as LoadedCustomer;
    const queue = customer.queues.get(queueKey(kind)) as StoredQueue;
    note(customer, queue, queue.heads.find(({ priority }) => priority === kind.priority) as Heads, head);
  }
  const asItem = ({ customer, queue, heads, head }: Place): PartItem =>
    itemOf(settings, writtenShare(customer).band, queue, heads.priority, head);

  const chooser = byTags
    ? shareChooser(
        settings,
        customers,
        candidates,
        running,
        places,
        beyond.map(({ head }) => asItem(places.get(head.agendaId) as Place)),
      )
    : turnChooser(settings, customers, known, most, [...places.values()].map(asItem));
  const { admitted, stopped } = await choose(chooser, { free, most });

  const taken = new Set(admitted.map(({ head }) => head.agendaId));
  const changes = chooser.changes(taken);
  const blocked = changes.queues.some(({ customerId, promoted, need, active }) => {
    const before = customers.get(customerId)?.queues.get(queueKey({ promoted, need }));
    return before?.active === true && !active;
  });
  const reservation = chooser.reservation();
  const held = reservation.held === null ? undefined : places.get(reservation.held);
  return {
    admitted,
    changes,
    reservation,
    heldNeed: held?.queue.need ?? null,
    pending: chooser.pending(),
    more: stopped || (candidates.truncated && blocked && admitted.length < most),
  };

  /** One after the other, while there is room. `stopped`: what was read does not tell who is next. */
  async function choose(who: Chooser, room: { free: Resources; most: number }): Promise<{ admitted: Admitted[]; stopped: boolean }> {
    const chosen: Admitted[] = [];
    const took = new Map<Heads, number>();
    let { free: left } = room;
    let refills = 0;
    while (chosen.length < room.most) {
      for (const [level, tag] of candidates.horizons) if (who.clock(level) > tag) return { admitted: chosen, stopped: true };
      const decision = who.next(left, settings.now);
      if (decision === undefined) break;
      const place = places.get(decision.id) as Place;
      // A later one than customers that were not read may have.
      if (who.isBeyond(place.head, candidates)) return { admitted: chosen, stopped: true };
      chosen.push({ decision, head: place.head, queue: place.queue });
      left = without(left, place.queue.need);
      took.set(place.heads, (took.get(place.heads) ?? 0) + 1);
      // The one behind the next has to be known before the next goes.
      if (!isShort(place.heads, took)) continue;
      if (refills++ === mostRefills) return { admitted: chosen, stopped: true };
      await refill(who, took);
    }
    return { admitted: chosen, stopped: false };
  }

  async function refill(who: Chooser, took: ReadonlyMap<Heads, number>): Promise<void> {
    const wanted = [...customers.values()].flatMap(({ queues }) =>
      [...queues.values()].flatMap((queue) =>
        queue.heads
          .filter((heads) => took.has(heads) && isShort(heads, took, 2))
          .map((heads) => ({ queue, heads, most: Math.min(most, Math.max(16, heads.items.length)) })),
      ),
    );
    const read = await readHeads(sql, settings, wanted);
    const added = read.flatMap(({ queue, priority, head }) => {
      if (places.has(head.agendaId)) return [];
      const customer = customers.get(queue.customerId) as LoadedCustomer;
      note(customer, queue, queue.heads.find((heads) => heads.priority === priority) as Heads, head);
      return [asItem(places.get(head.agendaId) as Place)];
    });
    who.add(added);
  }
}

/** An algorithm at work on what was read. */
interface Chooser {
  next(free: Resources, now: number): (Decision & Partial<PartDecision>) | undefined;
  add(items: readonly PartItem[]): void;
  clock(level: number): number;
  isBeyond(head: Head, candidates: Candidates): boolean;
  changes(taken: ReadonlySet<string>): Changes;
  reservation(): PartReservation;
  pending(): readonly string[];
}

/** Fairness and Priority. */
function shareChooser(
  settings: Settings,
  customers: ReadonlyMap<string, LoadedCustomer>,
  { leaving }: Candidates,
  running: FairShareState['running'],
  places: ReadonlyMap<string, Place>,
  beyond: readonly PartItem[],
): Chooser {
  const { held, bypasses } = settings.reservation;
  const runs = new Set(running.map(({ id }) => id));
  const reservation = {
    held: held !== null && places.has(held) ? held : null,
    bypasses: bypasses
      .filter(({ id }) => places.has(id))
      .map((bypass) => ({ ...bypass, passers: bypass.passers.filter(([id]) => runs.has(id)) })),
  };
  const part: FairSharePart = openPart(settings, customers, { leaving, running, reservation, beyond, inUse: settings.inUseHere });
  return {
    next: (free, now) => part.next(free, now),
    add: (items) => part.add(items),
    clock: (level) => part.clock(level),
    isBeyond: () => false,
    changes: (taken) => changesOf(customers, placedBy(settings, part), { part, leaving, taken }),
    reservation: () => part.reservation(),
    pending: () => [],
  };
}

/** FirstInFirstOut and RoundRobin: no tags, but turns. */
function turnChooser(
  settings: Settings,
  customers: ReadonlyMap<string, LoadedCustomer>,
  known: readonly string[],
  most: number,
  items: readonly PartItem[],
): Chooser {
  const isRoundRobin = settings.algorithm === 'RoundRobin';
  const state = { customers: known.map((id) => ({ id, share: null })), pending: settings.pending, run: null, requested: most };
  const empty = { waiting: [], running: [], arrivals: 0, admissions: settings.admissions, unfitting: null };
  const snapshot: SchedulerSnapshot = { algorithm: settings.algorithm, options: settings.options, state: { ...state, ...empty } as never };
  const scheduler: Scheduler = createAlgorithm(settings.algorithm, settings.options, isRoundRobin ? snapshot : undefined);
  const mayRun = new Map<string, number>();
  for (const { id, paused, mayRun: left } of customers.values()) {
    mayRun.set(id, left);
    scheduler.setCustomer({ id, weight: 1, paused: paused || left === 0, ...(Number.isFinite(left) ? { maximumRunning: left } : {}) });
  }
  const add = (more: readonly PartItem[]) => {
    for (const item of more.toSorted((a, b) => a.readyTime - b.readyTime || (a.id < b.id ? -1 : 1))) scheduler.add(item);
  };
  add(items);
  scheduler.begin(most);
  let number = settings.admissions;
  return {
    next(free, now) {
      const decision = scheduler.next(free, now);
      if (decision === undefined) return undefined;
      mayRun.set(decision.customerId, (mayRun.get(decision.customerId) as number) - 1);
      return { ...decision, number: ++number };
    },
    add,
    clock: () => Number.NEGATIVE_INFINITY,
    isBeyond: ({ readyTime }, { horizons }) => !isRoundRobin && readyTime > (horizons.get(0) ?? Number.POSITIVE_INFINITY),
    changes(taken) {
      const now = new Map([...customers].map(([id, customer]) => [id, { ...customer, mayRun: mayRun.get(id) as number }]));
      return changesOf(now, placedByTime, { taken });
    },
    reservation: () => ({ held: null, bypasses: [] }),
    pending: () => (isRoundRobin ? (scheduler.snapshot().state as unknown as { pending: string[] }).pending : []),
  };
}

/** Whether others follow that were not read, and no more than `least` are known that were not taken. */
const isShort = (heads: Heads, took: ReadonlyMap<Heads, number>, least = 1): boolean =>
  heads.more && heads.items.length - (took.get(heads) ?? 0) <= least;

/** As many heads of each queue as its customer is likely to take, and some more. */
function firstHeads(customers: ReadonlyMap<string, LoadedCustomer>, most: number) {
  let weights = 0;
  for (const { weight } of customers.values()) weights += weight;
  return [...customers.values()].flatMap(({ queues, weight }) =>
    [...queues.values()].flatMap((queue) =>
      queue.heads.map((heads) => ({ queue, heads, most: Math.min(most, Math.ceil((2 * most * weight) / weights)) + 2 })),
    ),
  );
}

function without(free: Resources, key: string): Resources {
  const need = amountsOfKey(key);
  const left: { slots?: number; cpu?: number; memory?: number; gpu?: number } = {};
  for (const name of ['slots', 'cpu', 'memory', 'gpu'] as const) {
    const amount = free[name];
    if (amount !== undefined) left[name] = amount - need[name];
  }
  return left;
}

/** Waiting Agendas that units which did not fit are remembered by: wherever they stand in their queues. */
async function readSpecial(sql: Statements, { insightId, reservation }: Settings) {
  const ids = [...new Set([...(reservation.held === null ? [] : [reservation.held]), ...reservation.bypasses.map(({ id }) => id)])];
  if (ids.length === 0) return [];
  const rows = await sql<(Head & { customerId: string; promoted: number; need: string; priority: number })[]>`
    /* admitBatch: units */
    select r.agenda_id as "agendaId", r.attempt, r.customer_id as "customerId", r.promoted, r.need, r.priority,
      extract(epoch from r.ready_time)::float8 as "readyTime", r.ready_time::text as "readyAt", extract(epoch from r.moved_time)::float8 as "movedTime",
      r.agenda_type as "agendaType", r.expected_seconds as "declaredSeconds", own.seconds as "ofCustomer", alike.seconds as "ofType"
    from ready_agenda r
      left join learned_duration own on own.insight_id = ${insightId} and own.agenda_type = r.agenda_type and own.customer_id = r.customer_id
      left join learned_duration alike on alike.insight_id = ${insightId} and alike.agenda_type = r.agenda_type and alike.customer_id = ''
    where r.agenda_id = any(${ids}) and r.is_due and r.insight_id = ${insightId}`;
  return rows.map(({ customerId, promoted, need, priority, ...head }) => ({ customerId, promoted, need, priority, head }));
}

/** What runs through the Insight, for when it is expected to end. */
async function readRunning(sql: Statements, { insightId }: Settings): Promise<FairShareState['running']> {
  const rows = await sql<
    Record<'slots' | 'cpu' | 'memory' | 'gpu' | 'start' | 'cost' | 'weight' | 'total' | 'level' | 'seconds', number>[]
  >`
    /* admitBatch: running */
    select r.agenda_id as id, r.customer_id as "customerId", r.slots, r.cpu, r.memory, r.gpu, extract(epoch from r.admitted_time)::float8 as start,
      coalesce(a.cost, 1) as cost, coalesce(a.weight, 1) as weight, coalesce(a.total, 1) as total, coalesce(a.level, 0) as level,
      case when a.duration_known then a.expected_seconds end as seconds
    from running_agenda r left join admission a on a.agenda_id = r.agenda_id and a.attempt = r.attempt
    where r.insight_id = ${insightId} order by r.admitted_time, r.agenda_id`;
  return rows.map((row) => {
    const { id, customerId } = row as unknown as { id: string; customerId: string };
    const { slots, cpu, memory, gpu, seconds } = row;
    return {
      ...{ id, customerId, readyTime: 0, cost: row.cost, need: amountsOfKey(keyOfNeed({ slots, cpu, memory, gpu })), band: row.level },
      ...{ weightThen: row.weight, totalThen: row.total, startTime: row.start },
      ...(seconds === null ? {} : { expectedSeconds: seconds }),
    };
  });
}

/** All customers of the pool in the order in which they were added: whose turns RoundRobin counts. */
async function readPoolCustomers(sql: Statements, { resourcePoolId }: Settings): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    /* admitBatch: pool customers */
    select id from customer where resource_pool_id = ${resourcePoolId} order by added_time, id`;
  return rows.map(({ id }) => id);
}
