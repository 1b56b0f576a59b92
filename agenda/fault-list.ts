import { cut } from './cut.ts';
import type { Fault } from './types.ts';

/** Most faults told in one answer; the rest is counted. */
export const mostFaults = 10;

/**
 * The first faults that were found, and how many there are. A fault beyond the first ones is counted and never made, so
 * it costs neither memory nor the building of its pointer, whatever was sent.
 */
export class FaultList {
  readonly #most: number;
  readonly #first: Fault[] = [];
  #total = 0;

  /** `most` is for tests and for who must see all. */
  constructor(most: number = mostFaults) {
    this.#most = most;
  }

  /** In the order they were found. */
  get first(): readonly Fault[] {
    return this.#first;
  }

  get total(): number {
    return this.#total;
  }

  /** Nothing more that is found will be told. */
  get isFull(): boolean {
    return this.#first.length >= this.#most;
  }

  /** Counts one fault. `make` is called while there is room; its pointer is cut here. */
  add(make: () => Fault): void {
    this.#total += 1;
    if (this.isFull) return;
    const fault = make();
    this.#first.push({ ...fault, pointer: cut(fault.pointer) });
  }

  /** Counts faults that were made already: for checks that find a few at most. */
  addAll(faults: readonly Fault[]): void {
    for (const fault of faults) this.add(() => fault);
  }

  /** Counts what another list found. */
  addList(other: FaultList): void {
    this.addAll(other.first);
    this.count(other.total - other.first.length);
  }

  /** Counts this many that nobody will be told of. Only for a list that is full. */
  count(more: number): void {
    this.#total += more;
  }
}
