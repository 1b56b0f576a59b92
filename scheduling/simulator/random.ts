/**
 * A small random source for simulations and property tests, the same on every machine (mulberry32). The schedulers
 * themselves use none.
 */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** At least 0 and below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number from `least` to `most`, both included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  chance(part: number): boolean {
    return this.next() < part;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.whole(0, list.length - 1)] as T;
  }

  /**
   * A number from `least` to `most`, as often below as above their geometric mean. It comes from repeated doubling,
   * without logarithms.
   */
  spread(least: number, most: number): number {
    let doublings = 0;
    for (let top = least; top * 2 <= most; top *= 2) doublings += 1;
    let value = least * (1 + this.next());
    for (let left = this.whole(0, doublings); left > 0; left--) value *= 2;
    return Math.min(value, most);
  }
}
