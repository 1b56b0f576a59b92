/**
 * Holds capacity for one unit that does not fit, and tells who may pass it meanwhile. The memory of a unit (how many
 * may have delayed it, since when it waits) stays with it when its customer is blocked for a while and capacity is held
 * for another.
 */
import { CompensatedSum } from './compensated-sum.ts';
import type { Queue } from './lane.ts';
import { type Amounts, amountsOf, fitsSum, minus, plus, resourceNames } from './need.ts';
import type { Resources } from './scheduler.ts';
import type { WaitingItems } from './waiting-items.ts';

/** The Agendas that have passed one unit. */
export interface Bypass {
  /** Number of passers that may have delayed it. */
  count: number;
  /** Time at which it first did not fit, in seconds. */
  readonly since: number;
  /** Rows of passers that run still, in the order of their admission. */
  readonly passers: Map<number, PassedBy>;
}

/**
 * The ground on which an Agenda passes: it ends in `time`; it uses only what is `spare`, which the unit will not need;
 * or neither, and the unit's `patience` pays for it.
 */
export type PassedBy = 'time' | 'spare' | 'patience';

/** Who may pass at this moment. */
export interface Passage {
  /** Patience is left, so every Agenda that fits may pass. */
  readonly anyMayPass: boolean;
  /** Amounts that the unit will not need, less what passers will still hold then. */
  readonly spare: Amounts;
  /** An Agenda that ends within so many seconds may pass; 0 when nobody can tell. */
  readonly withinSeconds: number;
}

/** null: unlimited. */
type FiniteAmounts = Readonly<Record<keyof Amounts, number | null>>;

/** The findings of `Reservations` as plain data. Times are seconds. */
export interface ReservationMemory {
  /** The pool at the last look. */
  readonly capacity: FiniteAmounts;
  readonly earliest: { readonly total: FiniteAmounts; readonly time: number | null } | null;
}

const nothing: Amounts = { slots: 0, cpu: 0, memory: 0, gpu: 0 };

/** Knows the unit that capacity is held for, and the passers of every unit that did not fit. */
export class Reservations {
  readonly #items: WaitingItems;
  readonly #given: Amounts | undefined;
  /**
   * The amounts that running Agendas hold. Together with what is free they make up the pool as it is seen from here.
   */
  readonly running = {
    slots: new CompensatedSum(),
    cpu: new CompensatedSum(),
    memory: new CompensatedSum(),
    gpu: new CompensatedSum(),
  };
  readonly bypasses = new Map<number, Bypass>();
  /** The row that capacity is held for. */
  held: number | undefined;
  #capacity: Amounts = amountsOf(undefined);
  /** The earliest time the unit can fit, with what it was computed for. */
  #earliest: { readonly total: Amounts; readonly time: number | undefined } | undefined;

  constructor(items: WaitingItems, capacity: Resources | undefined) {
    this.#items = items;
    this.#given = capacity === undefined ? undefined : amountsOf(capacity);
  }

  hold(row: number, now: number): void {
    this.held = row;
    this.#earliest = undefined;
    if (!this.bypasses.has(row)) this.bypasses.set(row, { count: 0, since: now, passers: new Map() });
  }

  release(): void {
    this.held = undefined;
    this.#earliest = undefined;
  }

  /** True when the pool has changed since the last look. */
  capacityChanged(room: Amounts): boolean {
    const capacity = this.#given ?? this.#totalOf(room);
    const { slots, cpu, memory, gpu } = this.#capacity;
    this.#capacity = capacity;
    return capacity.slots !== slots || capacity.cpu !== cpu || capacity.memory !== memory || capacity.gpu !== gpu;
  }

  /** The findings that stay valid until something changes, as plain data. */
  memory(): ReservationMemory {
    const earliest = this.#earliest;
    return {
      capacity: finite(this.#capacity),
      earliest: earliest === undefined ? null : { total: finite(earliest.total), time: earliest.time ?? null },
    };
  }

  remember({ capacity, earliest }: ReservationMemory): void {
    this.#capacity = infinite(capacity);
    this.#earliest =
      earliest === null ? undefined : { total: infinite(earliest.total), time: earliest.time ?? undefined };
  }

  neverFits(need: Amounts): boolean {
    return !fitsSum(need, this.#capacity);
  }

  admitted(row: number, need: Amounts, { by }: { readonly by?: PassedBy }): void {
    this.#count(need, 1);
    if (row === this.held) this.release();
    if (this.bypasses.size === 0) return;
    this.bypasses.delete(row);
    const bypass = this.held === undefined ? undefined : this.bypasses.get(this.held);
    if (bypass === undefined || by === undefined) return;
    bypass.passers.set(row, by);
    if (by !== 'patience') return;
    bypass.count += 1;
    this.#earliest = undefined;
  }

  finished(row: number, need: Amounts): void {
    if (this.#items.running.length === 0) for (const name of resourceNames) this.running[name].set({ high: 0, low: 0 });
    else this.#count(need, -1);
    if (this.bypasses.size > 0) for (const { passers } of this.bypasses.values()) passers.delete(row);
    this.#earliest = undefined;
  }

  removed(row: number): void {
    this.bypasses.delete(row);
    if (row === this.held) this.release();
  }

  /** Tells who may pass the unit that capacity is held for. */
  passage(
    room: Amounts,
    now: number,
    limits: { readonly bypassLimit: number; readonly bypassSeconds: number },
  ): Passage {
    const row = this.held as number;
    const { count, since, passers } = this.bypasses.get(row) as Bypass;
    const need = this.#needOf(row);
    const total = this.#totalOf(room);
    const time = this.#earliestTime(row, room, total);
    const isKnown = time !== undefined && time > now;
    let held = nothing;
    for (const [passer, by] of passers) {
      // A passer that uses spare capacity counts as holding it for as long as it runs, whatever end is declared.
      // Otherwise two such passers could follow each other for ever.
      if (!isKnown || by === 'spare' || !(this.endOf(passer) <= time)) held = plus(held, this.#needOf(passer));
    }
    return {
      anyMayPass: count < limits.bypassLimit && now - since < limits.bypassSeconds,
      spare: minus(minus(total, need), held),
      withinSeconds: isKnown ? time - now : 0,
    };
  }

  /** Time at which a running Agenda is expected to end, in seconds; NaN when nobody knows. */
  endOf(row: number): number {
    return (this.#items.startTime[row] as number) + (this.#items.seconds[row] as number);
  }

  /** The earliest time at which the unit can fit, by what is declared or learned; undefined when nobody knows. */
  #earliestTime(row: number, room: Amounts, total: Amounts): number | undefined {
    const known = this.#earliest;
    if (known !== undefined && resourceNames.every((name) => known.total[name] === total[name])) return known.time;
    const passers = this.bypasses.get(row)?.passers;
    const ends = this.#items.running.filter(
      (running) => !Number.isNaN(this.endOf(running)) && passers?.get(running) !== 'spare',
    );
    ends.sort(
      (a, b) =>
        this.endOf(a) - this.endOf(b) || ((this.#items.ids[a] as string) < (this.#items.ids[b] as string) ? -1 : 1),
    );
    const need = this.#needOf(row);
    let free = room;
    let time: number | undefined;
    for (const running of ends) {
      free = plus(free, this.#needOf(running));
      if (!fitsSum(need, free)) continue;
      time = this.endOf(running);
      break;
    }
    this.#earliest = { total, time };
    return time;
  }

  #count({ slots, cpu, memory, gpu }: Amounts, sign: 1 | -1): void {
    const { running } = this;
    if (slots !== 0) running.slots.add(sign * slots);
    if (cpu !== 0) running.cpu.add(sign * cpu);
    if (memory !== 0) running.memory.add(sign * memory);
    if (gpu !== 0) running.gpu.add(sign * gpu);
  }

  /** The pool as it is seen from here: what is free and what runs. */
  #totalOf(room: Amounts): Amounts {
    return {
      slots: room.slots + this.running.slots.high,
      cpu: room.cpu + this.running.cpu.high,
      memory: room.memory + this.running.memory.high,
      gpu: room.gpu + this.running.gpu.high,
    };
  }

  #needOf(row: number): Amounts {
    return (this.#items.queues[row] as Queue).needClass.need;
  }
}

function finite({ slots, cpu, memory, gpu }: Amounts): FiniteAmounts {
  const plain = (amount: number) => (Number.isFinite(amount) ? amount : null);
  return { slots: plain(slots), cpu: plain(cpu), memory: plain(memory), gpu: plain(gpu) };
}

function infinite({ slots, cpu, memory, gpu }: FiniteAmounts): Amounts {
  const unlimited = Number.POSITIVE_INFINITY;
  return { slots: slots ?? unlimited, cpu: cpu ?? unlimited, memory: memory ?? unlimited, gpu: gpu ?? unlimited };
}
