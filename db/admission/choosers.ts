/** The algorithms at work on what a batch has loaded. */

import type { Json } from '../../agenda/types.ts';
import { ArrivalOrder, type ArrivalState } from '../../scheduling/arrival-order.ts';
import type { PartDecision, PartItem, PartReservation } from '../../scheduling/fair-share-part.ts';
import type { FairShareState } from '../../scheduling/fair-share-snapshot.ts';
import { createAlgorithm, type Decision, type Scheduler } from '../../scheduling/index.ts';
import { type Amounts, amountsOfKey, keyOfNeed, someOfEach } from '../../scheduling/need.ts';
import { RoundRobin, type RoundRobinState } from '../../scheduling/round-robin.ts';
import type { LoadedCustomer, StoredLane } from './customers.ts';
import type { LoadedAgenda, LoadedQueues, Taken } from './loaded-queues.ts';
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

/** What a chooser looks at; it reads nothing on its own. */
type Loaded = Pick<LoadedQueues, 'customers' | 'agendas'>;

/** An algorithm that decides one Agenda after the other. */
export interface Chooser {
  next(free: Amounts, now: number): (Decision & Partial<PartDecision>) | undefined;
  /** More Agendas of customers that are there. */
  add(items: readonly PartItem[]): void;
  /** More customers, with more leaving lanes. */
  join(taken: Taken, leaving: readonly StoredLane[]): void;
  /** How far the clock of a band has come. */
  clock(level: number): number;
  bands(): Settings['bands'];
  changes(taken: ReadonlySet<string>): Changes;
  reservation(): PartReservation;
  pending(): readonly string[];
}

/** Fairness and Priority. */
export function shareChooser(
  settings: Settings,
  loaded: Loaded,
  { items }: Taken,
  given: { readonly leaving: readonly StoredLane[]; readonly running: FairShareState['running'] },
): Chooser {
  const { held, bypasses } = settings.reservation;
  const runs = new Set(given.running.map(({ id }) => id));
  const reservation = {
    held: held !== null && loaded.agendas.has(held) ? held : null,
    bypasses: bypasses
      .filter(({ id }) => loaded.agendas.has(id))
      .map((bypass) => ({ ...bypass, passers: bypass.passers.filter(([id]) => runs.has(id)) })),
  };
  const { running } = given;
  const leaving = [...given.leaving];
  const part = openPart(settings, loaded.customers, items, {
    leaving,
    running,
    reservation,
    inUse: settings.inUseHere,
  });
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
    clock: (level) => part.clock(level),
    bands: () => part.bands(),
    changes: (taken) => changesOf(loaded.customers, placedBy(settings, part), { part, leaving, taken }),
    reservation: () => part.reservation(),
    pending: () => [],
  };
}

/**
 * FirstInFirstOut and RoundRobin: no tags, but turns. `known`: all customers of the pool, in the order of their turns.
 */
export function turnChooser(
  settings: Settings,
  loaded: Loaded,
  { customers, items }: Taken,
  known: readonly string[],
  most: number,
): Chooser {
  const scheduler = takeTurns(settings, known, most);
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
      unfitting = unfittingOf(scheduler, free, loaded);
      return undefined;
    },
    add,
    join,
    clock: () => Number.NEGATIVE_INFINITY,
    bands: () => [],
    changes(taken) {
      const now = new Map<string, LoadedCustomer>(loaded.customers);
      for (const id of taken) {
        const { customer } = loaded.agendas.get(id) as LoadedAgenda;
        now.set(customer.id, { ...customer, mayRun: (now.get(customer.id) as LoadedCustomer).mayRun - 1 });
      }
      return changesOf(now, placedByTime(settings), { taken });
    },
    // Nothing goes past the one whose turn it is. Other Insights are not to take what it waits for either.
    reservation() {
      if (unfitting === undefined) return { held: null, bypasses: [] };
      const since = settings.reservation.bypasses.find(({ id }) => id === unfitting)?.since ?? settings.now;
      return { held: unfitting, bypasses: [{ id: unfitting, count: 0, since, passers: [] }] };
    },
    pending() {
      if (!(scheduler instanceof RoundRobin)) return [];
      // A run that something unfitting broke off has had its turns.
      scheduler.begin(0);
      return scheduler.pending;
    },
  };
}

/** An algorithm without tags, as the batch before left it. */
export function takeTurns(
  { algorithm, options, pending, admissions }: Pick<Settings, 'algorithm' | 'options' | 'pending' | 'admissions'>,
  known: readonly string[],
  requested: number,
): Scheduler {
  if (algorithm !== 'RoundRobin') return createAlgorithm(algorithm, options);
  const state: ArrivalState & RoundRobinState = {
    customers: known.map((id) => ({ id, share: null })),
    waiting: [],
    running: [],
    arrivals: 0,
    admissions,
    unfitting: null,
    pending,
    run: null,
    requested,
  };
  return new RoundRobin(options, { algorithm, options, state: state as unknown as Json });
}

/**
 * The Agenda whose turn it is, when something of all it needs is free and not enough of it. In a pool that is simply
 * full there is nothing to hold yet.
 */
function unfittingOf(scheduler: Scheduler, free: Amounts, { agendas }: Loaded): string | undefined {
  const id = scheduler instanceof ArrivalOrder ? scheduler.unfitting : undefined;
  const agenda = id === undefined ? undefined : agendas.get(id);
  return agenda !== undefined && someOfEach(amountsOfKey(agenda.queue.need), free) ? id : undefined;
}
