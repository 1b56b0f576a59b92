import type { Tag } from './compensated-sum.ts';
import type { Positioned } from './position-heap.ts';

/** What a `TagHeap` holds. */
export interface Tagged extends Positioned {
  /** A number that grows with the element's id as far as it can tell; see `prefixOf`. */
  readonly prefix: number;
}

const stride = 4;

/**
 * A binary heap ordered by a Tag, then a second number, then id. All but the end of long ids is kept as numbers beside the elements, so finding a
 * place does not touch objects, of which there may be a hundred thousand. The order is total: the first element never depends on how others came.
 */
export class TagHeap<T extends Tagged> {
  /** high, low, second, prefix of each element. */
  #keys = new Float64Array(8 * stride);
  readonly #elements: T[] = [];
  readonly #idOf: (element: T) => string;

  constructor(idOf: (element: T) => string) {
    this.#idOf = idOf;
  }

  get first(): T | undefined {
    return this.#elements[0];
  }

  /** Whether the first element's tag is at or below `tag`. */
  firstReached(tag: Tag): boolean {
    if (this.#elements.length === 0) return false;
    const high = this.#keys[0] as number;
    return high !== tag.high ? high < tag.high : (this.#keys[1] as number) <= tag.low;
  }

  add(element: T, tag: Tag, second = 0): void {
    const position = this.#elements.length;
    if (position * stride === this.#keys.length) this.#grow();
    this.#elements.push(element);
    this.#rise(position, element, tag.high, tag.low, second);
  }

  /** Finds the new place of an element whose numbers changed. */
  move(element: T, tag: Tag, second = 0): void {
    this.#rise(element.position, element, tag.high, tag.low, second);
    this.#sink(element.position, element, tag.high, tag.low, second);
  }

  remove(element: T): void {
    const { position } = element;
    const from = (this.#elements.length - 1) * stride;
    const last = this.#elements.pop() as T;
    element.position = -1;
    if (last === element) return;
    const keys = this.#keys;
    const high = keys[from] as number;
    const low = keys[from + 1] as number;
    const second = keys[from + 2] as number;
    this.#rise(position, last, high, low, second);
    this.#sink(last.position, last, high, low, second);
  }

  /** The elements in order, each at the cost of a look at those next to it; the heap must not change meanwhile. */
  *inOrder(): Generator<T> {
    const frontier = this.#elements.length === 0 ? [] : [0];
    while (frontier.length > 0) {
      let best = 0;
      for (let i = 1; i < frontier.length; i++) if (this.#isBefore(frontier[i] as number, frontier[best] as number)) best = i;
      const position = frontier[best] as number;
      frontier[best] = frontier[frontier.length - 1] as number;
      frontier.pop();
      yield this.#elements[position] as T;
      for (const child of [position * 2 + 1, position * 2 + 2]) if (child < this.#elements.length) frontier.push(child);
    }
  }

  #isBefore(a: number, b: number): boolean {
    const keys = this.#keys;
    const [i, j] = [a * stride, b * stride];
    if (keys[i] !== keys[j]) return (keys[i] as number) < (keys[j] as number);
    return this.#breaksTie(a, keys[j + 1] as number, keys[j + 2] as number, this.#elements[b] as T);
  }

  /** Whether the element at `place` goes before `other`, whose `high` is the same. */
  #breaksTie(place: number, low: number, second: number, other: T): boolean {
    const keys = this.#keys;
    const i = place * stride;
    if (keys[i + 1] !== low) return (keys[i + 1] as number) < low;
    if (keys[i + 2] !== second) return (keys[i + 2] as number) < second;
    if (keys[i + 3] !== other.prefix) return (keys[i + 3] as number) < other.prefix;
    return this.#idOf(this.#elements[place] as T) < this.#idOf(other);
  }

  #rise(from: number, element: T, high: number, low: number, second: number): void {
    const keys = this.#keys;
    let position = from;
    while (position > 0) {
      const parent = (position - 1) >> 1;
      const parentHigh = keys[parent * stride] as number;
      if (high > parentHigh) break;
      if (high === parentHigh && this.#breaksTie(parent, low, second, element)) break;
      this.#copy(parent, position);
      position = parent;
    }
    this.#put(position, element, high, low, second);
  }

  #sink(from: number, element: T, high: number, low: number, second: number): void {
    const keys = this.#keys;
    const size = this.#elements.length;
    let position = from;
    for (;;) {
      let child = position * 2 + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#isBefore(child + 1, child)) child += 1;
      const childHigh = keys[child * stride] as number;
      if (childHigh > high) break;
      if (childHigh === high && !this.#breaksTie(child, low, second, element)) break;
      this.#copy(child, position);
      position = child;
    }
    this.#put(position, element, high, low, second);
  }

  #copy(from: number, to: number): void {
    const keys = this.#keys;
    const [i, j] = [from * stride, to * stride];
    keys[j] = keys[i] as number;
    keys[j + 1] = keys[i + 1] as number;
    keys[j + 2] = keys[i + 2] as number;
    keys[j + 3] = keys[i + 3] as number;
    const element = this.#elements[from] as T;
    this.#elements[to] = element;
    element.position = to;
  }

  #put(position: number, element: T, high: number, low: number, second: number): void {
    const keys = this.#keys;
    const i = position * stride;
    keys[i] = high;
    keys[i + 1] = low;
    keys[i + 2] = second;
    keys[i + 3] = element.prefix;
    this.#elements[position] = element;
    element.position = position;
  }

  #grow(): void {
    const keys = this.#keys;
    this.#keys = new Float64Array(keys.length * 2);
    this.#keys.set(keys);
  }
}

/** The beginning of an id as a number: smaller for ids that sort before by code units, equal where seven characters do not tell. */
export function prefixOf(id: string): number {
  let prefix = 0;
  for (let i = 0; i < 7; i++) prefix = prefix * 128 + (i < id.length ? Math.min(id.charCodeAt(i), 126) + 1 : 0);
  return prefix;
}
