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
  prefixes = new Float64Array(16);
  readonly #unused: number[] = [];

  add(id: string, make: (index: number) => T): T {
    const index = this.#unused.pop() ?? this.elements.length;
    if (index === this.positions.length) {
      const { positions, prefixes } = this;
      this.positions = new Int32Array(index * 2);
      this.positions.set(positions);
      this.prefixes = new Float64Array(index * 2);
      this.prefixes.set(prefixes);
    }
    const element = make(index);
    this.elements[index] = element;
    this.prefixes[index] = prefixOf(id);
    return element;
  }

  delete({ index }: T): void {
    this.#unused.push(index);
  }
}

const stride = 4;
/** Children of an element: four lie side by side in memory and make the heap half as deep as two. */
const arity = 4;

/**
 * A heap ordered by a Tag, then a second number, then id. All but the end of long ids is kept as numbers in one block, so finding a
 * place does not touch objects, of which there may be a hundred thousand. The order is total: the first element never depends on how others came.
 */
export class TagHeap<T extends Tagged> {
  /** high, low, second, prefix of each element. */
  #keys = new Float64Array(8 * stride);
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
    return high !== tag.high ? high < tag.high : (this.#keys[1] as number) <= tag.low;
  }

  add({ index }: T, tag: Tag, second = 0): void {
    if (this.#size === this.#indexes.length) this.#grow();
    this.#size += 1;
    this.#rise(this.#size - 1, index, tag.high, tag.low, second, this.#registry.prefixes[index] as number);
  }

  /** Finds the new place of an element whose numbers changed. */
  move({ index }: T, tag: Tag, second = 0): void {
    const prefix = this.#registry.prefixes[index] as number;
    if (!this.#rise(this.#positionOf(index), index, tag.high, tag.low, second, prefix)) {
      this.#sink(this.#positionOf(index), index, tag.high, tag.low, second, prefix);
    }
  }

  remove({ index }: T): void {
    const position = this.#positionOf(index);
    this.#size -= 1;
    const end = this.#size;
    if (position === end) return;
    const keys = this.#keys;
    const from = end * stride;
    const last = this.#indexes[end] as number;
    const [high, low, second, prefix] = [
      keys[from] as number,
      keys[from + 1] as number,
      keys[from + 2] as number,
      keys[from + 3] as number,
    ];
    if (!this.#rise(position, last, high, low, second, prefix)) this.#sink(position, last, high, low, second, prefix);
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

  #positionOf(index: number): number {
    return this.#registry.positions[index] as number;
  }

  #isBefore(a: number, b: number): boolean {
    const keys = this.#keys;
    const i = a * stride;
    const j = b * stride;
    const aHigh = keys[i] as number;
    const bHigh = keys[j] as number;
    if (aHigh !== bHigh) return aHigh < bHigh;
    return this.#breaksTie(a, keys[j + 1] as number, keys[j + 2] as number, keys[j + 3] as number, this.#indexes[b] as number);
  }

  /** Whether the element at `place` goes before another one whose `high` is the same. */
  #breaksTie(place: number, low: number, second: number, prefix: number, index: number): boolean {
    const keys = this.#keys;
    const i = place * stride;
    if (keys[i + 1] !== low) return (keys[i + 1] as number) < low;
    if (keys[i + 2] !== second) return (keys[i + 2] as number) < second;
    if (keys[i + 3] !== prefix) return (keys[i + 3] as number) < prefix;
    const { elements } = this.#registry;
    return (elements[this.#indexes[place] as number] as T).id < (elements[index] as T).id;
  }

  /** Returns whether it rose. */
  #rise(from: number, index: number, high: number, low: number, second: number, prefix: number): boolean {
    const keys = this.#keys;
    let position = from;
    while (position > 0) {
      const parent = (position - 1) >> 2;
      const parentHigh = keys[parent * stride] as number;
      if (high > parentHigh) break;
      if (high === parentHigh && this.#breaksTie(parent, low, second, prefix, index)) break;
      this.#copy(parent, position);
      position = parent;
    }
    this.#put(position, index, high, low, second, prefix);
    return position !== from;
  }

  #sink(from: number, index: number, high: number, low: number, second: number, prefix: number): void {
    const keys = this.#keys;
    const size = this.#size;
    let position = from;
    for (;;) {
      const child = position * arity + 1;
      if (child >= size) break;
      const end = Math.min(child + arity, size);
      let best = child;
      let bestHigh = keys[child * stride] as number;
      for (let other = child + 1; other < end; other++) {
        const otherHigh = keys[other * stride] as number;
        if (otherHigh > bestHigh || (otherHigh === bestHigh && !this.#isBefore(other, best))) continue;
        best = other;
        bestHigh = otherHigh;
      }
      if (bestHigh > high || (bestHigh === high && !this.#breaksTie(best, low, second, prefix, index))) break;
      this.#copy(best, position);
      position = best;
    }
    this.#put(position, index, high, low, second, prefix);
  }

  #copy(from: number, to: number): void {
    const keys = this.#keys;
    const i = from * stride;
    const j = to * stride;
    keys[j] = keys[i] as number;
    keys[j + 1] = keys[i + 1] as number;
    keys[j + 2] = keys[i + 2] as number;
    keys[j + 3] = keys[i + 3] as number;
    const index = this.#indexes[from] as number;
    this.#indexes[to] = index;
    this.#registry.positions[index] = to;
  }

  #put(position: number, index: number, high: number, low: number, second: number, prefix: number): void {
    const keys = this.#keys;
    const i = position * stride;
    keys[i] = high;
    keys[i + 1] = low;
    keys[i + 2] = second;
    keys[i + 3] = prefix;
    this.#indexes[position] = index;
    this.#registry.positions[index] = position;
  }

  #grow(): void {
    const keys = this.#keys;
    this.#keys = new Float64Array(keys.length * 2);
    this.#keys.set(keys);
    const indexes = this.#indexes;
    this.#indexes = new Int32Array(indexes.length * 2);
    this.#indexes.set(indexes);
  }
}

/** The beginning of an id as a number: smaller for ids that sort before by code units, equal where seven characters do not tell. */
function prefixOf(id: string): number {
  let prefix = 0;
  for (let i = 0; i < 7; i++) prefix = prefix * 128 + (i < id.length ? Math.min(id.charCodeAt(i), 126) + 1 : 0);
  return prefix;
}
