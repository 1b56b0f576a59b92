/**
 * The whole state of the fair-share rules as plain data. A scheduler restored from it decides exactly as the original.
 */
import type { ChooseNext } from './choose-next.ts';
import type { Tag } from './compensated-sum.ts';
import type { Lane, Queue } from './lane.ts';
import { amountsOfKey, keyOfNeed, needOf, resourceNames } from './need.ts';
import type { PassedBy, ReservationMemory } from './reservations.ts';
import type { CustomerShare, ReadyItem } from './scheduler.ts';

/** `high` and `low` of a compensated sum. */
export type Pair = readonly [high: number, low: number];

/**
 * The `state` of a snapshot of Fairness or Priority. A caller that builds a state by hand may leave out the optional
 * parts.
 */
export interface FairShareState {
  readonly now: number;
  readonly admissions: number;
  readonly customers: readonly { readonly id: string; readonly share?: CustomerShare }[];
  readonly bands: readonly {
    readonly level: number;
    /** V, the virtual clock. */
    readonly clock: Pair;
    /** W, the weights of the lanes that are active or leaving. */
    readonly total: Pair;
    /** Number of lanes that `total` sums up; absent: those listed that are not dormant. */
    readonly members?: number;
    readonly sinceLower: number;
    readonly lanes: readonly { readonly customerId: string; readonly tag: Pair; readonly state: Lane['state'] }[];
  }[];
  readonly waiting: readonly (ReadyItem & { readonly band: number; readonly movedTime: number })[];
  readonly running: readonly (ReadyItem & {
    readonly band: number;
    readonly weightThen: number;
    readonly totalThen: number;
    readonly startTime: number;
  })[];
  readonly held: string | null;
  readonly bypasses: readonly {
    readonly id: string;
    readonly count: number;
    readonly since: number;
    readonly passers: readonly (readonly [id: string, by: PassedBy])[];
  }[];
  /** The resources that running Agendas hold. */
  readonly inUse: { readonly slots: Pair; readonly cpu: Pair; readonly memory: Pair; readonly gpu: Pair };
  readonly memory: ReservationMemory;
}

const pair = ({ high, low }: Tag): Pair => [high, low];
const tag = ([high, low]: Pair): Tag => ({ high, low });

/** The state of `core`; `admissions` is the number of admissions so far. */
export function snapshotFairShare(core: ChooseNext, admissions: number): FairShareState {
  const { items, reservations } = core;
  const itemOf = (row: number) => {
    const { lane, needClass } = items.queues[row] as Queue;
    const seconds = items.seconds[row] as number;
    return {
      id: items.ids[row] as string,
      customerId: lane.customer.id,
      readyTime: items.readyTime[row] as number,
      cost: items.cost[row] as number,
      need: amountsOfKey(needClass.key),
      ...(Number.isNaN(seconds) ? {} : { expectedSeconds: seconds }),
      band: lane.band.level,
    };
  };
  const rows = [...items.rows()];
  const { slots, cpu, memory, gpu } = reservations.running;
  return {
    now: core.now,
    admissions,
    customers: [...core.customers.values()].map(({ id, share }) => (share === undefined ? { id } : { id, share })),
    bands: core.bands.map((band) => ({
      level: band.level,
      clock: pair(band.clock),
      total: pair(band.total),
      sinceLower: band.sinceLower,
      lanes: [...core.customers.values()].flatMap(({ id, lanes }) =>
        lanes
          .filter((lane) => lane.band === band)
          .map((lane) => ({ customerId: id, tag: pair(lane.tag), state: lane.state })),
      ),
    })),
    waiting: rows
      .filter((row) => core.isWaitingRow(row))
      .map((row) => ({
        ...itemOf(row),
        priority: items.priority[row] as number,
        movedTime: items.movedTime[row] as number,
      })),
    running: rows
      .filter((row) => !core.isWaitingRow(row))
      .map((row) => ({
        ...itemOf(row),
        weightThen: items.weightThen[row] as number,
        totalThen: items.totalThen[row] as number,
        startTime: items.startTime[row] as number,
      })),
    ...reservationOf(core),
    inUse: { slots: pair(slots), cpu: pair(cpu), memory: pair(memory), gpu: pair(gpu) },
    memory: reservations.memory(),
  };
}

/** The unit that capacity is held for, and the passers of every unit that did not fit. */
export function reservationOf({ items, reservations }: ChooseNext): Pick<FairShareState, 'held' | 'bypasses'> {
  const idOf = (row: number): string => items.ids[row] as string;
  return {
    held: reservations.held === undefined ? null : idOf(reservations.held),
    bypasses: [...reservations.bypasses].map(([row, { count, since, passers }]) => ({
      id: idOf(row),
      count,
      since,
      passers: [...passers].map(([passer, by]) => [idOf(passer), by] as const),
    })),
  };
}

type Placed = ReadyItem & { readonly band: number };

function createRow(core: ChooseNext, item: Placed): { row: number; queue: Queue } {
  const row = core.items.create(item.id);
  core.describe(row, item);
  const lane = core.laneOf(core.customerOf(item.customerId), item.band);
  return { row, queue: core.queueOf(lane, keyOfNeed(item.need), needOf(item.need)) };
}

/** Puts a waiting Agenda into the band that it was in. The caller settles its lane. */
export function restoreWaiting(core: ChooseNext, item: Placed & { readonly movedTime: number }): void {
  const { row, queue } = createRow(core, item);
  core.items.movedTime[row] = item.movedTime;
  core.items.enqueue(queue, row);
  queue.lane.waiting += 1;
  core.promotions.watch(row, item.band);
}

/** Fills an empty core; returns the number of admissions so far. */
export function restoreFairShare(core: ChooseNext, state: FairShareState): number {
  const { items, reservations } = core;
  core.now = state.now;
  reservations.remember(state.memory);
  for (const { id, share } of state.customers) {
    const customer = core.customerOf(id);
    if (share === undefined) continue;
    customer.share = share;
    customer.weight = share.weight;
  }
  for (const saved of state.bands) {
    const band = core.bandOf(saved.level);
    band.clock.set(tag(saved.clock));
    band.total.set(tag(saved.total));
    band.sinceLower = saved.sinceLower;
    for (const lane of saved.lanes) {
      const restored = core.laneOf(core.customerOf(lane.customerId), saved.level);
      restored.tag.set(tag(lane.tag));
      restored.state = lane.state;
      if (lane.state !== 'dormant') band.members += 1;
    }
    if (saved.members !== undefined) band.members = saved.members;
  }
  for (const item of state.running) {
    const { row, queue } = createRow(core, item);
    items.queues[row] = queue;
    items.weightThen[row] = item.weightThen;
    items.totalThen[row] = item.totalThen;
    items.startTime[row] = item.startTime;
    items.setRunning(row);
    queue.lane.customer.running += 1;
  }
  for (const item of state.waiting) restoreWaiting(core, item);
  for (const { lanes } of core.customers.values()) for (const lane of lanes) core.replace(lane);
  const rowOf = (id: string): number => items.rowOf(id) as number;
  for (const { id, count, since, passers } of state.bypasses) {
    reservations.bypasses.set(rowOf(id), {
      count,
      since,
      passers: new Map(passers.map(([passer, by]) => [rowOf(passer), by])),
    });
  }
  if (state.held !== null) reservations.held = rowOf(state.held);
  for (const name of resourceNames) reservations.running[name].set(tag(state.inUse[name]));
  return state.admissions;
}
