import type { Tag } from './compensated-sum.ts';

/** What a `TagHeap` holds. */
export interface Tagged {
  /** Its place in the heap's registry. */
  readonly index: number;
  /** Decides between equal numbers. */
  readonly id: string;
}

/** Elements by number, so that heaps move numbers only. An element is in one heap of its registry at a time. */
export class Registry<T extends Tagged> {
  readonly elements: T[] = [];
  /** Where an element is in its heap. */
  positions = new Int32Array(16);
  // What decides where the first number is the same, in this order, and last the id.
  lows = new Float64Array(16);
  seconds = new Float64Array(16);
  prefixes = new Float64Array(16);
  readonly #unused: number[] = [];

  add(id: string, make: (index: number) => T): T {
    const index = this.#unused.pop() ?? this.elements.length;
    if (index === this.positions.length) {
      this.positions = longer(this.positions, new Int32Array(index * 2));
      this.lows = longer(this.lows, new Float64Array(index * 2));
      this.seconds = longer(this.seconds, new Float64Array(index * 2));
      this.prefixes = longer(this.prefixes, new Float64Array(index * 2));
    }
    const element = make(index);
    this.elements[index] = element;
    this.prefixes[index] = prefixOf(id);
    return element;
  }

  delete({ index }: T): void {
    this.#unused.push(index);
  }

  /** Whether `a` goes before `b` where their first numbers are the same. */
  breaksTie(a: number, b: number): boolean {
    if (this.lows[a] !== this.lows[b]) return (this.lows[a] as number) < (this.lows[b] as number);
    if (this.seconds[a] !== this.seconds[b]) return (this.seconds[a] as number) < (this.seconds[b] as number);
    if (this.prefixes[a] !== this.prefixes[b]) return (this.prefixes[a] as number) < (this.prefixes[b] as number);
    return (this.elements[a] as T).id < (this.elements[b] as T).id;
  }
}

/** Children of an element: four lie side by side in memory and make the heap half as deep as two. */
const arity = 4;

/**
 * A heap ordered by a Tag, then a second number, then id. Finding a place moves numbers and does not touch objects, of which there may be a
 * hundred thousand. The order is total: the first element never depends on how others came.
 */
export class TagHeap<T extends Tagged> {
  /** The high part of the tag of each element. */
  #keys = new Float64Array(8);
  #indexes = new Int32Array(8);
  #size = 0;
  readonly #registry: Registry<T>;

  constructor(registry: Registry<T>) {
    this.#registry = registry;
  }

  get first(): T | undefined {
    return this.#size === 0 ? undefined : this.#registry.elements[this.#indexes[0] as number];
  }

  /** Whether the first element's tag is at or below `tag`. */
  firstReached(tag: Tag): boolean {
    if (this.#size === 0) return false;
    const high = this.#keys[0] as number;
    return high !== tag.high ? high < tag.high : (this.#registry.lows[this.#indexes[0] as number] as number) <= tag.low;
  }

  add({ index }: T, { high, low }: Tag, second = 0): void {
    if (this.#size === this.#indexes.length) this.#grow();
    this.#size += 1;
    this.#registry.lows[index] = low;
    this.#registry.seconds[index] = second;
    this.#rise(this.#size - 1, index, high);
  }

  /** Finds the new place of an element whose numbers changed. */
  move({ index }: T, { high, low }: Tag, second = 0): void {
    const position = this.#registry.positions[index] as number;
    this.#registry.lows[index] = low;
    this.#registry.seconds[index] = second;
    if (!this.#rise(position, index, high)) this.#sink(position, index, high);
  }

  remove({ index }: T): void {
    const position = this.#registry.positions[index] as number;
    this.#size -= 1;
    const end = this.#size;
    if (position === end) return;
    const last = this.#indexes[end] as number;
    const high = this.#keys[end] as number;
    if (!this.#rise(position, last, high)) this.#sink(position, last, high);
  }

  /** The elements in order, each at the cost of a look at those next to it; the heap must not change meanwhile. */
  *inOrder(): Generator<T> {
    const frontier = this.#size === 0 ? [] : [0];
    while (frontier.length > 0) {
      let best = 0;
      for (let i = 1; i < frontier.length; i++) if (this.#isBefore(frontier[i] as number, frontier[best] as number)) best = i;
      const position = frontier[best] as number;
      frontier[best] = frontier[frontier.length - 1] as number;
      frontier.pop();
      yield this.#registry.elements[this.#indexes[position] as number] as T;
      for (let child = position * arity + 1; child <= position * arity + arity && child < this.#size; child++) frontier.push(child);
    }
  }

  #isBefore(a: number, b: number): boolean {
    const [aHigh, bHigh] = [this.#keys[a] as number, this.#keys[b] as number];
    return aHigh !== bHigh ? aHigh < bHigh : this.#registry.breaksTie(this.#indexes[a] as number, this.#indexes[b] as number);
  }

  /** Returns whether it rose. */
  #rise(from: number, index: number, high: number): boolean {
    const keys = this.#keys;
    const indexes = this.#indexes;
    const { positions } = this.#registry;
    let position = from;
    while (position > 0) {
      const parent = (position - 1) >> 2;
      const parentHigh = keys[parent] as number;
      const other = indexes[parent] as number;
      if (high > parentHigh || (high === parentHigh && this.#registry.breaksTie(other, index))) break;
      keys[position] = parentHigh;
      indexes[position] = other;
      positions[other] = position;
      position = parent;
    }
    keys[position] = high;
    indexes[position] = index;
    positions[index] = position;
    return position !== from;
  }

  #sink(from: number, index: number, high: number): void {
    const keys = this.#keys;
    const indexes = this.#indexes;
    const { positions } = this.#registry;
    const size = this.#size;
    let position = from;
    for (;;) {
      const child = position * arity + 1;
      if (child >= size) break;
      const end = Math.min(child + arity, size);
      let best = child;
      let bestHigh = keys[child] as number;
      for (let other = child + 1; other < end; other++) {
        const otherHigh = keys[other] as number;
        if (otherHigh > bestHigh) continue;
        if (otherHigh === bestHigh && !this.#registry.breaksTie(indexes[other] as number, indexes[best] as number)) continue;
        best = other;
        bestHigh = otherHigh;
      }
      const lower = indexes[best] as number;
      if (bestHigh > high || (bestHigh === high && !this.#registry.breaksTie(lower, index))) break;
      keys[position] = bestHigh;
      indexes[position] = lower;
      positions[lower] = position;
      position = best;
    }
    keys[position] = high;
    indexes[position] = index;
    positions[index] = position;
  }

  #grow(): void {
    this.#keys = longer(this.#keys, new Float64Array(this.#keys.length * 2));
    this.#indexes = longer(this.#indexes, new Int32Array(this.#indexes.length * 2));
  }
}

function longer<T extends Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** The beginning of an id as a number: smaller for ids that sort before by code units, equal where seven characters do not tell. */
function prefixOf(id: string): number {
  let prefix = 0;
  let tells = true;
  for (let i = 0; i < 7; i++) {
    const code = id.charCodeAt(i);
    prefix = prefix * 128 + (tells && i < id.length ? Math.min(code, 126) + 1 : 0);
    // Beyond ASCII characters look the same, and what follows them must not decide.
    if (code >= 126) tells = false;
  }
  return prefix;
}
