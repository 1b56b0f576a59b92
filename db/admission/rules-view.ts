/** Hands customers as they were loaded to the pure rules, and takes back what changed. */

import {
  FairSharePart,
  type Part,
  type PartItem,
  type PartQueue,
  type PartReservation,
} from '../../scheduling/fair-share-part.ts';
import type { FairShareState } from '../../scheduling/fair-share-snapshot.ts';
import { costOf, expectedSeconds, type Resources } from '../../scheduling/index.ts';
import { type Amounts, amountsOf, amountsOfKey, fitsSum } from '../../scheduling/need.ts';
import type { LoadedCustomer, StoredLane, StoredQueue } from './customers.ts';
import type { Head } from './heads.ts';
import type { Settings } from './settings.ts';

/** Seconds that a duration counts which nobody knows. */
const unknownSeconds = 60;
/** A duration counts at least this, so that what really was used can be told as a multiple of it. */
const leastSeconds = 0.001;

/** The band of Agendas that climbed so many from their customer's. */
export const levelOf = ({ algorithm }: Settings, band: number, promoted: number): number =>
  algorithm === 'Priority' ? Math.max(0, band - promoted) : 0;

/** Seconds an Agenda is expected to hold capacity, for its cost. */
export function secondsOf({ declaredSeconds, ofCustomer, ofType }: Head): number {
  const learned = (seconds: number | null) => (seconds === null ? undefined : { seconds, samples: 1 });
  return Math.max(
    leastSeconds,
    expectedSeconds(declaredSeconds ?? undefined, learned(ofCustomer), learned(ofType), unknownSeconds),
  );
}

/** A pool that limits nothing is one slot, so that costs are still by slots and time. */
const sharedPool = (capacity: Resources): Resources => (Object.keys(capacity).length === 0 ? { slots: 1 } : capacity);

/** An Agenda counts at least this part of the pool, also where it needs nothing that the pool limits. */
const leastShare = ({ slots = 0 }: Resources): number => 1 / Math.max(1_000, slots);

function chargeOf({ costModel: model, capacity }: Settings, peak: Amounts, seconds: number): number {
  const cost = costOf({ model, peak, pool: sharedPool(capacity), seconds });
  if (model === 'share') return Math.max(cost, leastShare(capacity));
  return model === 'shareTime' ? Math.max(cost, leastShare(capacity) * seconds) : cost;
}

/** A waiting Agenda with its queue, as far as its item needs them. */
export interface WaitingAgenda {
  readonly queue: Pick<StoredQueue, 'customerId' | 'promoted' | 'need'>;
  readonly heads: { readonly priority: number };
  readonly head: Head;
}

/** A waiting Agenda as the rules take it; `share` is its customer's. */
export function itemOf(
  settings: Settings,
  share: { readonly band: number },
  { queue, heads, head }: WaitingAgenda,
): PartItem {
  const need = amountsOfKey(queue.need);
  const known = head.declaredSeconds ?? head.ofCustomer ?? head.ofType;
  return {
    id: head.agendaId,
    customerId: queue.customerId,
    readyTime: head.readyTime,
    priority: heads.priority,
    need,
    cost: chargeOf(settings, need, secondsOf(head)),
    band: levelOf(settings, share.band, queue.promoted),
    movedTime: head.movedTime,
    // Nobody knows its duration: its end cannot be expected.
    ...(known === null ? {} : { expectedSeconds: known }),
  };
}

/**
 * A customer as the rules take it up: they get the OLD weight, for its tags were computed with it, and the CURRENT
 * band.
 */
export const writtenShare = ({ id, lanes, weight, band }: LoadedCustomer): Part['customers'][number] => ({
  id,
  weight: lanes[0]?.weight ?? weight,
  band,
});

/** Opens the rules over all that is known of these customers, entitled as they are now. */
export function openPart(
  settings: Settings,
  customers: ReadonlyMap<string, LoadedCustomer>,
  waiting: readonly PartItem[],
  given: {
    /** Leaving lanes of customers that are not looked at. */
    readonly leaving?: readonly StoredLane[];
    readonly running?: FairShareState['running'];
    readonly ended?: readonly { readonly id: string; readonly cost: number }[];
    readonly reservation?: PartReservation;
    readonly inUse?: Amounts;
  } = {},
): FairSharePart {
  const {
    leaving = [],
    running = [],
    ended = [],
    reservation = { held: null, bypasses: [] },
    inUse = amountsOfKey(''),
  } = given;
  const all = [...customers.values()];
  const algorithm = settings.algorithm === 'Priority' ? 'Priority' : 'Fairness';
  const part = new FairSharePart(
    algorithm,
    settings.options,
    {
      bands: settings.bands,
      customers: [
        ...all.map(writtenShare),
        ...leaving.map(({ customerId: id, weight, band }) => ({ id, weight, band })),
      ],
      lanes: [...all.flatMap(({ lanes }) => lanes), ...leaving],
      waiting,
      running,
      inUse,
      reservation,
    },
    settings,
  );
  for (const { id, cost } of ended) part.finish(id, cost);
  const endedIds = new Set(ended.map(({ id }) => id));
  entitle(
    part,
    customers,
    running.filter(({ id }) => !endedIds.has(id)),
  );
  return part;
}

/** Tells the rules what these customers are entitled to now, by limits that count what runs and is not listed here. */
export function entitle(
  part: FairSharePart,
  customers: ReadonlyMap<string, LoadedCustomer>,
  running: FairShareState['running'],
): void {
  const listed = new Map<string, number>();
  for (const { customerId } of running) listed.set(customerId, (listed.get(customerId) ?? 0) + 1);
  for (const { id, weight, band, paused, mayRun } of customers.values()) {
    const most = mayRun + (listed.get(id) ?? 0);
    part.setCustomer({ id, weight, band, paused, ...(Number.isFinite(most) ? { maximumRunning: most } : {}) });
  }
}

/** The heads that were read of these customers, as the rules take them. */
export function itemsOf(settings: Settings, customers: ReadonlyMap<string, LoadedCustomer>): PartItem[] {
  return [...customers.values()].flatMap((customer) => {
    const share = writtenShare(customer);
    return [...customer.queues.values()].flatMap((queue) =>
      queue.heads.flatMap((heads) => heads.items.map((head) => itemOf(settings, share, { queue, heads, head }))),
    );
  });
}

/** What is to be written: bands, lanes and queues that are not what they were. */
export interface Changes {
  readonly bands: Part['bands'];
  readonly lanes: readonly StoredLane[];
  readonly queues: readonly Omit<StoredQueue, 'heads'>[];
  readonly gone: readonly Pick<StoredQueue, 'customerId' | 'promoted' | 'need'>[];
}

/** Where the queues of these customers stand now. `taken`: Agendas that were admitted meanwhile. */
export function changesOf(
  customers: ReadonlyMap<string, LoadedCustomer>,
  place: (
    customer: LoadedCustomer,
    queue: StoredQueue,
    head: Head,
  ) => Pick<PartQueue, 'level' | 'active' | 'start' | 'finish'>,
  {
    part,
    leaving = [],
    taken = new Set(),
  }: { part?: FairSharePart; leaving?: readonly StoredLane[]; taken?: ReadonlySet<string> } = {},
): Changes {
  const queues: Changes['queues'][number][] = [];
  const gone: Changes['gone'][number][] = [];
  for (const customer of customers.values()) {
    for (const queue of customer.queues.values()) {
      const { heads, ...stored } = queue;
      const left = heads
        .map(({ priority, items, more }) => ({
          priority,
          more,
          items: items.filter(({ agendaId }) => !taken.has(agendaId)),
        }))
        .filter(({ items, more }) => items.length > 0 || more);
      const known = left.flatMap(({ items }) => items);
      const [first] = known.sort((a, b) => a.readyTime - b.readyTime);
      if (first === undefined) {
        if (left.length > 0) continue;
        gone.push({ customerId: queue.customerId, promoted: queue.promoted, need: queue.need });
        continue;
      }
      const headMoved = known.reduce((least, { movedTime }) => Math.min(least, movedTime), first.movedTime);
      const now = {
        ...stored,
        ...place(customer, queue, first),
        headMoved,
        priorities: left.map(({ priority }) => priority),
      };
      if (!isSame(now, stored)) queues.push(now);
    }
  }
  return {
    bands: part?.bands() ?? [],
    lanes: part === undefined ? [] : changedLanes(customers, leaving, part),
    queues,
    gone,
  };
}

const isSame = (a: Omit<StoredQueue, 'heads'>, b: Omit<StoredQueue, 'heads'>): boolean =>
  a.level === b.level &&
  a.active === b.active &&
  a.start === b.start &&
  a.finish === b.finish &&
  a.headMoved === b.headMoved &&
  a.priorities.length === b.priorities.length &&
  a.priorities.every((priority, index) => priority === b.priorities[index]);

function changedLanes(
  customers: ReadonlyMap<string, LoadedCustomer>,
  leaving: readonly StoredLane[],
  part: FairSharePart,
): StoredLane[] {
  const before = new Map(
    [...[...customers.values()].flatMap(({ lanes }) => lanes), ...leaving].map((lane) => [laneKey(lane), lane]),
  );
  return part.lanes().flatMap((lane) => {
    const was = before.get(laneKey(lane));
    const share = customers.get(lane.customerId) ?? was;
    // We loaded this lane only for a running Agenda, so its stored state is unknown: do not write it.
    if (share === undefined) return [];
    const now = { ...lane, weight: share.weight, band: share.band };
    const same =
      was !== undefined &&
      was.tag[0] === now.tag[0] &&
      was.tag[1] === now.tag[1] &&
      was.state === now.state &&
      was.weight === now.weight &&
      was.band === now.band;
    return same ? [] : [now];
  });
}

const laneKey = ({ customerId, level }: { readonly customerId: string; readonly level: number }): string =>
  `${level} ${customerId}`;

/** Places queues where the rules put their lanes. */
export function placedBy(settings: Settings, part: FairSharePart) {
  const places = new Map(part.queues().map((queue) => [`${queue.level} ${queue.need} ${queue.customerId}`, queue]));
  return (customer: LoadedCustomer, queue: StoredQueue): Pick<PartQueue, 'level' | 'active' | 'start' | 'finish'> => {
    const level = levelOf(settings, customer.band, queue.promoted);
    const place = places.get(`${level} ${queue.need} ${customer.id}`);
    if (place === undefined)
      throw new Error(`the rules do not know the queue of ${customer.id} in band ${level} for ${queue.need}`);
    return { level, active: place.active, start: place.start, finish: place.finish };
  };
}

/** Whether there is room for it when nothing else runs. */
export const everFits = ({ options }: Settings, need: string): boolean =>
  fitsSum(amountsOfKey(need), amountsOf(options.capacity));

/** Places queues by the ready time of their first Agenda, for algorithms without tags. */
export function placedByTime(settings: Settings) {
  return (
    customer: LoadedCustomer,
    { need }: StoredQueue,
    { readyTime }: Head,
  ): Pick<PartQueue, 'level' | 'active' | 'start' | 'finish'> => ({
    level: 0,
    active: !customer.paused && customer.mayRun > 0 && everFits(settings, need),
    start: readyTime,
    finish: readyTime,
  });
}
