/**
 * The rules of choose-next.ts over a part of the customers: those that can be next, and those of whom something
 * changed. All others count only in the weights of a band. So a caller that keeps the whole state elsewhere can decide
 * a few hundred admissions without reading all of it. The decisions are those of the whole as long as the part holds,
 * for each need in each band,
 * - more lanes that the clock has reached than there are decisions, in the order of their finish tags,
 * - the lanes that the clock comes to on the way, and the leaving lanes that it passes,
 * - for each lane the Agendas that it takes, and the one after them.
 *
 * The caller that fills the part has to see to that. `clock` tells how far the clock of a band has come.
 */
import { ChooseNext } from './choose-next.ts';
import { type FairShareAlgorithm, reasons, rulesOf } from './fair-share.ts';
import {
  type FairShareState,
  type Pair,
  reservationOf,
  restoreFairShare,
  restoreWaiting,
} from './fair-share-snapshot.ts';
import type { Lane, Queue } from './lane.ts';
import { amountsOf } from './need.ts';
import type { CustomerShare, Decision, Resources, SchedulerOptions } from './scheduler.ts';

/** The stored lane of a customer in a band. */
export interface PartLane {
  readonly customerId: string;
  readonly level: number;
  /** S, the start tag. */
  readonly tag: Pair;
  readonly state: Lane['state'];
}

/** A band with its clock. */
export interface PartBand {
  readonly level: number;
  /** V, the virtual clock. */
  readonly clock: Pair;
  /** W, the weights of all lanes that are active or leaving, in the part or not. */
  readonly total: Pair;
  readonly members: number;
  readonly sinceLower: number;
}

/** A waiting Agenda, with the band it is in now. */
export type PartItem = FairShareState['waiting'][number];

/** The unit that capacity is held for, and the passers of every unit that did not fit. */
export type PartReservation = Pick<FairShareState, 'held' | 'bypasses'>;

/** The state of a part, as it was written last. */
export interface Part {
  readonly bands: readonly PartBand[];
  /** `weight` is the old one: the tags were computed with it. `band` is the current one. Limits do not matter here. */
  readonly customers: readonly { readonly id: string; readonly weight: number; readonly band: number }[];
  readonly lanes: readonly PartLane[];
  readonly waiting: readonly PartItem[];
  readonly running: FairShareState['running'];
  /** The resources that all running Agendas hold. */
  readonly inUse: Required<Resources>;
  readonly reservation: PartReservation;
}

/** An admission, with the tags that decided it. */
export interface PartDecision extends Decision {
  readonly level: number;
  readonly weight: number;
  /** W, the weights of the band at the admission. */
  readonly total: number;
  /** V before the admission. */
  readonly clock: number;
  /** S before the admission. */
  readonly start: number;
  /** F before the admission, which is S afterwards. */
  readonly finish: number;
}

/** A customer's waiting Agendas of one need in one band. */
export interface PartQueue {
  readonly customerId: string;
  readonly level: number;
  /** As `keyOfNeed` writes it. */
  readonly need: string;
  /** True when its lane is active and the whole pool could take its Agendas. */
  readonly active: boolean;
  readonly start: number;
  readonly finish: number;
}

/** Decides one Agenda after the other, and gives the state that is to be written afterwards. */
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
    // The pool may have shrunk since. Nothing is held for a unit that can never fit.
    if (
      reservations.held !== undefined &&
      reservations.neverFits((items.queues[reservations.held] as Queue).needClass.need)
    )
      reservations.release();
  }

  /**
   * Replaces the charged cost of an Agenda that ran by its true cost. An Agenda that the part does not list is left
   * alone.
   */
  finish(id: string, actualCost: number): void {
    const row = this.#core.items.rowOf(id);
    if (row !== undefined && !this.#core.isWaitingRow(row)) this.#core.finish(row, actualCost);
  }

  /**
   * Sets the current share of a customer. `maximumRunning` is what remains after the running Agendas that the part does
   * not list. The caller sets every customer of the part once.
   */
  setCustomer(share: CustomerShare): void {
    this.#core.setShare({ ...share });
  }

  /**
   * Adds customers, or more of their lanes. Lanes that are here already stay as they are. The caller sets each added
   * customer once, as at the beginning.
   */
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
      // A lane that is here only because of a running Agenda is blank: it takes the stored state now.
      if (known !== undefined && (known.state !== 'dormant' || known.tag.high !== 0)) continue;
      const lane = known ?? core.laneOf(customer, level);
      lane.tag.set({ high: tag[0], low: tag[1] });
      lane.state = state;
    }
    for (const item of waiting) restoreWaiting(core, item);
    for (const { id } of customers) for (const lane of core.customerOf(id).lanes) core.replace(lane);
    this.#departReached();
  }

  /** Takes out the leaving lanes that the clock passed while nobody looked. */
  #departReached(): void {
    for (const band of this.#core.bands) this.#core.departReached(band);
  }

  /** Adds Agendas of customers that are here already. */
  add(items: readonly PartItem[]): void {
    for (const item of items) restoreWaiting(this.#core, item);
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

  /** V of a band: its virtual clock. */
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
