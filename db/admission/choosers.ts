/** The algorithms at work on what a batch has in hand. */

import type { PartDecision, PartItem, PartReservation } from '../../scheduling/fair-share-part.ts';
import type { FairShareState } from '../../scheduling/fair-share-snapshot.ts';
import {
  createAlgorithm,
  type Decision,
  type Resources,
  type Scheduler,
  type SchedulerOptions,
  type SchedulerSnapshot,
} from '../../scheduling/index.ts';
import { amountsOf, amountsOfKey, keyOfNeed, someOfEach } from '../../scheduling/need.ts';
import type { LoadedCustomer, StoredLane } from './customers.ts';
import type { InHand, Place, Taken } from './loaded-queues.ts';
import {
  type Changes,
  changesOf,
  entitle,
  everFits,
  openPart,
  placedBy,
  placedByTime,
  writtenShare,
} from './rules-view.ts';
import type { Settings } from './settings.ts';

/** An algorithm that decides one Agenda after the other. */
export interface Chooser {
  next(free: Resources, now: number): (Decision & Partial<PartDecision>) | undefined;
  /** More Agendas of customers that are there. */
  add(items: readonly PartItem[]): void;
  /** More customers, with more leaving lanes. */
  join(taken: Taken, leaving: readonly StoredLane[]): void;
  bands(): Settings['bands'];
  changes(taken: ReadonlySet<string>): Changes;
  reservation(): PartReservation;
  pending(): readonly string[];
}

/** Fairness and Priority. */
export function shareChooser(
  settings: Settings,
  hand: InHand,
  { items }: Taken,
  given: { readonly leaving: readonly StoredLane[]; readonly running: FairShareState['running'] },
): Chooser {
  const { held, bypasses } = settings.reservation;
  const runs = new Set(given.running.map(({ id }) => id));
  const reservation = {
    held: held !== null && hand.places.has(held) ? held : null,
    bypasses: bypasses
      .filter(({ id }) => hand.places.has(id))
      .map((bypass) => ({ ...bypass, passers: bypass.passers.filter(([id]) => runs.has(id)) })),
  };
  const { running } = given;
  const leaving = [...given.leaving];
  const part = openPart(settings, hand.customers, items, { leaving, running, reservation, inUse: settings.inUseHere });
  return {
    next: (free, now) => part.next(free, now),
    add: (more) => part.add(more),
    join(taken, more) {
      leaving.push(...more);
      const joining = [...taken.customers.values()];
      part.join({
        customers: [
          ...joining.map(writtenShare),
          ...more.map(({ customerId: id, weight, band }) => ({ id, weight, band })),
        ],
        lanes: [...joining.flatMap(({ lanes }) => lanes), ...more],
        waiting: taken.items,
      });
      entitle(part, taken.customers, running);
    },
    bands: () => part.bands(),
    changes: (taken) => changesOf(hand.customers, placedBy(settings, part), { part, leaving, taken }),
    reservation: () => part.reservation(),
    pending: () => [],
  };
}

/** FirstInFirstOut and RoundRobin: no tags, but turns. `known`: all customers of the pool, in the order of their turns. */
export function turnChooser(
  settings: Settings,
  hand: InHand,
  { customers, items }: Taken,
  known: readonly string[],
  most: number,
): Chooser {
  const scheduler = takeTurns(settings, known, most, settings.options);
  const add = (more: readonly PartItem[]) => {
    // What the pool could never take stops nobody.
    const possible = more.filter(({ need }) => everFits(settings, keyOfNeed(need)));
    for (const item of possible.toSorted((a, b) => a.readyTime - b.readyTime || (a.id < b.id ? -1 : 1)))
      scheduler.add(item);
  };
  const join = (taken: Taken) => {
    for (const { id, paused, mayRun: left } of taken.customers.values()) {
      scheduler.setCustomer({
        id,
        weight: 1,
        paused: paused || left === 0,
        ...(Number.isFinite(left) ? { maximumRunning: left } : {}),
      });
    }
    add(taken.items);
  };
  join({ customers, items });
  scheduler.begin(most);
  let number = settings.admissions;
  let unfitting: string | undefined;
  return {
    next(free, now) {
      const decision = scheduler.next(free, now);
      if (decision !== undefined) return { ...decision, number: ++number };
      unfitting = unfittingOf(scheduler, free, hand);
      return undefined;
    },
    add,
    join,
    bands: () => [],
    changes(taken) {
      const now = new Map<string, LoadedCustomer>(hand.customers);
      for (const id of taken) {
        const { customer } = hand.places.get(id) as Place;
        now.set(customer.id, { ...customer, mayRun: (now.get(customer.id) as LoadedCustomer).mayRun - 1 });
      }
      return changesOf(now, placedByTime(settings), { taken });
    },
    // Nothing goes past the one whose turn it is; other Insights are not to take what it waits for either.
    reservation() {
      if (unfitting === undefined) return { held: null, bypasses: [] };
      const since = settings.reservation.bypasses.find(({ id }) => id === unfitting)?.since ?? settings.now;
      return { held: unfitting, bypasses: [{ id: unfitting, count: 0, since, passers: [] }] };
    },
    pending() {
      if (settings.algorithm !== 'RoundRobin') return [];
      // A run that something unfitting broke off has had its turns.
      scheduler.begin(0);
      return pendingOf(scheduler);
    },
  };
}

/** An algorithm without tags, as it was left by the batch before. */
export function takeTurns(
  settings: Settings,
  known: readonly string[],
  requested: number,
  options: SchedulerOptions,
): Scheduler {
  if (settings.algorithm !== 'RoundRobin') return createAlgorithm(settings.algorithm, options);
  const turns = {
    customers: known.map((id) => ({ id, share: null })),
    pending: settings.pending,
    run: null,
    requested,
  };
  const empty = { waiting: [], running: [], arrivals: 0, admissions: settings.admissions, unfitting: null };
  const snapshot: SchedulerSnapshot = {
    algorithm: settings.algorithm,
    options,
    state: { ...turns, ...empty } as never,
  };
  return createAlgorithm(settings.algorithm, options, snapshot);
}

/** The Agenda whose turn it is, when something of all it needs is free and not enough. In a pool that is simply full there is nothing to hold yet. */
function unfittingOf(scheduler: Scheduler, free: Resources, { places }: InHand): string | undefined {
  const { unfitting } = scheduler.snapshot().state as unknown as { unfitting: string | null };
  const place = unfitting === null ? undefined : places.get(unfitting);
  return place !== undefined && someOfEach(amountsOfKey(place.queue.need), amountsOf(free))
    ? place.head.agendaId
    : undefined;
}

const pendingOf = (scheduler: Scheduler): string[] =>
  (scheduler.snapshot().state as unknown as { pending: string[] }).pending;
