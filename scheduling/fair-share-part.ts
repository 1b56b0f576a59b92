/**
 * The rules of choose-next.ts over a part of the customers: those that can be next, or of whom something changed. The others count in a band's
 * weights only. So who keeps the whole state elsewhere can decide a few hundred admissions without reading it all, and decides as the whole would
 * as long as the part holds, of each need in each band,
 * - more lanes that the clock has reached, in the order of their finish tags, than there are decisions,
 * - the lanes that the clock comes to on the way, and the leaving ones it passes,
 * - of each lane the Agendas that it takes and the one after them.
 * Whoever fills it sees to that: `clock` says how far a band's clock has come.
 */
import { ChooseNext } from './choose-next.ts';
import { type FairShareAlgorithm, reasons, rulesOf } from './fair-share.ts';
import {
  type FairShareState,
  type Pair,
  placeWaiting,
  reservationOf,
  restoreFairShare,
} from './fair-share-snapshot.ts';
import type { Lane, Queue } from './lane.ts';
import { amountsOf } from './need.ts';
import type { CustomerShare, Decision, Resources, SchedulerOptions } from './scheduler.ts';

/** A customer in a band. */
export interface PartLane {
  readonly customerId: string;
  readonly level: number;
  /** S */
  readonly tag: Pair;
  readonly state: Lane['state'];
}

/** A band with its clock. */
export interface PartBand {
  readonly level: number;
  /** V */
  readonly clock: Pair;
  /** W, of all lanes that are active or leaving, in the part or not. */
  readonly total: Pair;
  readonly members: number;
  readonly sinceLower: number;
}

/** An Agenda that waits, in the band it has come to. */
export type PartItem = FairShareState['waiting'][number];

/** What is remembered of units that do not fit. */
export type PartReservation = Pick<FairShareState, 'held' | 'bypasses'>;

/** What is known of the part, as it was written last. */
export interface Part {
  readonly bands: readonly PartBand[];
  /** Weight as it was when the state was written, band as it is now; limits do not matter here. */
  readonly customers: readonly { readonly id: string; readonly weight: number; readonly band: number }[];
  readonly lanes: readonly PartLane[];
  readonly waiting: readonly PartItem[];
  readonly running: FairShareState['running'];
  /** What all that runs holds. */
  readonly inUse: Required<Resources>;
  readonly reservation: PartReservation;
}

/** An admission with what decided it. */
export interface PartDecision extends Decision {
  readonly level: number;
  readonly weight: number;
  /** W */
  readonly total: number;
  /** V before. */
  readonly clock: number;
  /** S before. */
  readonly start: number;
  /** F before, which is S afterwards. */
  readonly finish: number;
}

/** A customer's waiting Agendas of one need in one band. */
export interface PartQueue {
  readonly customerId: string;
  readonly level: number;
  /** As `keyOfNeed` writes it. */
  readonly need: string;
  /** Its lane is active, and the pool could ever take its Agendas. */
  readonly active: boolean;
  readonly start: number;
  readonly finish: number;
}

/** Decides one Agenda after the other, and says what is to be written then. */
export class FairSharePart {
  readonly #core: ChooseNext;
  #admissions: number;

  constructor(
    algorithm: FairShareAlgorithm,
    options: SchedulerOptions,
    part: Part,
    { now, admissions }: { now: number; admissions: number },
  ) {
    this.#core = new ChooseNext(rulesOf(algorithm, options), options);
    const whole = (name: keyof Resources) => options.capacity?.[name] ?? null;
    const state: FairShareState = {
      now,
      admissions,
      customers: part.customers.map(({ id, weight, band }) => ({ id, share: { id, weight, band } })),
      bands: part.bands.map((band) => ({ ...band, lanes: part.lanes.filter(({ level }) => level === band.level) })),
      waiting: part.waiting,
      running: part.running,
      held: part.reservation.held,
      bypasses: part.reservation.bypasses,
      inUse: {
        slots: [part.inUse.slots, 0],
        cpu: [part.inUse.cpu, 0],
        memory: [part.inUse.memory, 0],
        gpu: [part.inUse.gpu, 0],
      },
      memory: {
        capacity: { slots: whole('slots'), cpu: whole('cpu'), memory: whole('memory'), gpu: whole('gpu') },
        earliest: null,
      },
    };
    this.#admissions = restoreFairShare(this.#core, state);
    this.#departReached();
    const { reservations, items } = this.#core;
    // The pool may have shrunk since: nothing is held for what never fits.
    if (
      reservations.held !== undefined &&
      reservations.neverFits((items.queues[reservations.held] as Queue).needClass.need)
    )
      reservations.release();
  }

  /** The true-up of one that ran and is listed. */
  finish(id: string, actualCost: number): void {
    const row = this.#core.items.rowOf(id);
    if (row !== undefined && !this.#core.isWaitingRow(row)) this.#core.finish(row, actualCost);
  }

  /** Takes over what a customer is entitled to now; `maximumRunning` beyond those that run and are not listed. Every customer of the part is to be set once. */
  setCustomer(share: CustomerShare): void {
    this.#core.setShare({ ...share });
  }

  /** More customers, or more of their lanes; lanes that are here already stay as they are. Each customer is to be set once, as at the beginning. */
  join({ customers, lanes, waiting }: Pick<Part, 'customers' | 'lanes' | 'waiting'>): void {
    const core = this.#core;
    for (const { id, weight, band } of customers) {
      const customer = core.customerOf(id);
      customer.share = { id, weight, band };
      customer.weight = weight;
    }
    for (const { customerId, level, tag, state } of lanes) {
      const customer = core.customerOf(customerId);
      const known = customer.lanes.find((lane) => lane.band.level === level);
      // One that only something that runs brought here is blank.
      if (known !== undefined && (known.state !== 'dormant' || known.tag.high !== 0)) continue;
      const lane = known ?? core.laneOf(customer, level);
      lane.tag.set({ high: tag[0], low: tag[1] });
      lane.state = state;
    }
    for (const item of waiting) placeWaiting(core, item);
    for (const { id } of customers) for (const lane of core.customerOf(id).lanes) core.replace(lane);
    this.#departReached();
  }

  /** The clock may have passed leaving lanes while they were not looked at. */
  #departReached(): void {
    for (const band of this.#core.bands) this.#core.departReached(band);
  }

  /** More Agendas of customers that are here. */
  add(items: readonly PartItem[]): void {
    for (const item of items) placeWaiting(this.#core, item);
    for (const id of new Set(items.map(({ customerId }) => customerId)))
      this.#core.settleCustomer(this.#core.customerOf(id));
  }

  next(free: Resources, now: number): PartDecision | undefined {
    const core = this.#core;
    if (now > core.now) core.now = now;
    const clocks = new Map(core.bands.map((band) => [band, band.clock.high]));
    const choice = core.choose(amountsOf(free));
    if (choice === undefined) return undefined;
    this.#admissions += 1;
    const { items } = core;
    const { lane } = items.queues[choice.row] as Queue;
    const cost = items.cost[choice.row] as number;
    const weight = lane.customer.weight;
    return {
      id: items.ids[choice.row] as string,
      customerId: lane.customer.id,
      number: this.#admissions,
      cost,
      reason: reasons[choice.why],
      level: lane.band.level,
      weight,
      total: items.totalThen[choice.row] as number,
      clock: clocks.get(lane.band) as number,
      start: lane.tag.high - cost / weight,
      finish: lane.tag.high,
    };
  }

  /** V of a band. */
  clock(level: number): number {
    return this.#core.bands.find((band) => band.level === level)?.clock.high ?? 0;
  }

  bands(): PartBand[] {
    return this.#core.bands.map(({ level, clock, total, members, sinceLower }) => ({
      level,
      clock: [clock.high, clock.low],
      total: [total.high, total.low],
      members,
      sinceLower,
    }));
  }

  lanes(): PartLane[] {
    return [...this.#core.customers.values()].flatMap(({ id, lanes }) =>
      lanes.map(({ band, tag, state }) => ({
        customerId: id,
        level: band.level,
        tag: [tag.high, tag.low] as const,
        state,
      })),
    );
  }

  queues(): PartQueue[] {
    return [...this.#core.customers.values()].flatMap(({ id, lanes }) =>
      lanes.flatMap(({ band, tag, finish, queues }) =>
        queues.map(({ needClass, heap }) => ({
          customerId: id,
          level: band.level,
          need: needClass.key,
          active: heap !== undefined,
          start: tag.high,
          finish: finish.high,
        })),
      ),
    );
  }

  reservation(): PartReservation {
    return reservationOf(this.#core);
  }
}
