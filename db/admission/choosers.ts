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
import { keyOfNeed } from '../../scheduling/need.ts';
import type { LoadedCustomer, StoredLane } from './customers.ts';
import type { InHand, Taken } from './in-hand.ts';
import { type Changes, changesOf, entitle, everFits, openPart, placedBy, placedByTime, writtenShare } from './part-of.ts';
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
        customers: [...joining.map(writtenShare), ...more.map(({ customerId: id, weight, band }) => ({ id, weight, band }))],
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
  const mayRun = new Map<string, number>();
  const scheduler = takeTurns(settings, known, most, settings.options);
  const add = (more: readonly PartItem[]) => {
    // What the pool could never take stops nobody.
    const possible = more.filter(({ need }) => everFits(settings, keyOfNeed(need)));
    for (const item of possible.toSorted((a, b) => a.readyTime - b.readyTime || (a.id < b.id ? -1 : 1))) scheduler.add(item);
  };
  const join = (taken: Taken) => {
    for (const { id, paused, mayRun: left } of taken.customers.values()) {
      mayRun.set(id, left);
      scheduler.setCustomer({ id, weight: 1, paused: paused || left === 0, ...(Number.isFinite(left) ? { maximumRunning: left } : {}) });
    }
    add(taken.items);
  };
  join({ customers, items });
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
    join,
    bands: () => [],
    changes(taken) {
      const now = new Map<string, LoadedCustomer>();
      for (const [id, customer] of hand.customers) now.set(id, { ...customer, mayRun: mayRun.get(id) as number });
      return changesOf(now, placedByTime(settings), { taken });
    },
    reservation: () => ({ held: null, bypasses: [] }),
    pending: () => (settings.algorithm === 'RoundRobin' ? pendingOf(scheduler) : []),
  };
}

/** An algorithm without tags, as it was left by the batch before. */
export function takeTurns(settings: Settings, known: readonly string[], requested: number, options: SchedulerOptions): Scheduler {
  if (settings.algorithm !== 'RoundRobin') return createAlgorithm(settings.algorithm, options);
  const turns = { customers: known.map((id) => ({ id, share: null })), pending: settings.pending, run: null, requested };
  const empty = { waiting: [], running: [], arrivals: 0, admissions: settings.admissions, unfitting: null };
  const snapshot: SchedulerSnapshot = { algorithm: settings.algorithm, options, state: { ...turns, ...empty } as never };
  return createAlgorithm(settings.algorithm, options, snapshot);
}

const pendingOf = (scheduler: Scheduler): string[] => (scheduler.snapshot().state as unknown as { pending: string[] }).pending;
