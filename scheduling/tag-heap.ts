import type { Positioned } from './position-heap.ts';
import type { Tag } from './compensated-sum.ts';

/**
 * A binary heap ordered by a Tag that is kept beside the element, so that finding a place seldom looks at elements. `goesBefore` decides
 * between equal tags and must be a total order: then the first element never depends on the order in which others came.
 */
export class TagHeap<T extends Positioned> {
  #high = new Float64Array(8);
  #low = new Float64Array(8);
  readonly #elements: T[] = [];
  readonly #goesBefore: (a: T, b: T) => boolean;

  constructor(goesBefore: (a: T, b: T) => boolean) {
    this.#goesBefore = goesBefore;
  }

  get size(): number {
    return this.#elements.length;
  }

  get first(): T | undefined {
    return this.#elements[0];
  }

  /** Whether the first element's tag is at or below `tag`. */
  firstReached(tag: Tag): boolean {
    if (this.#elements.length === 0) return false;
    const high = this.#high[0] as number;
    return high !== tag.high ? high < tag.high : (this.#low[0] as number) <= tag.low;
  }

  add(element: T, tag: Tag): void {
    const position = this.#elements.length;
    if (position === this.#high.length) this.#grow();
    this.#elements.push(element);
    this.#rise(position, element, tag.high, tag.low);
  }

  /** Finds the new place of an element whose tag, or place among equal tags, changed. */
  move(element: T, tag: Tag): void {
    this.#rise(element.position, element, tag.high, tag.low);
    this.#sink(element.position, element, tag.high, tag.low);
  }

  remove(element: T): void {
    const { position } = element;
    const end = this.#elements.length - 1;
    const last = this.#elements.pop() as T;
    element.position = -1;
    if (last === element) return;
    const high = this.#high[end] as number;
    const low = this.#low[end] as number;
    this.#rise(position, last, high, low);
    this.#sink(last.position, last, high, low);
  }

  /** The elements in order, at the cost of O(log n) each; the heap must not change meanwhile. */
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
    const [aHigh, bHigh] = [this.#high[a] as number, this.#high[b] as number];
    if (aHigh !== bHigh) return aHigh < bHigh;
    const [aLow, bLow] = [this.#low[a] as number, this.#low[b] as number];
    return aLow !== bLow ? aLow < bLow : this.#goesBefore(this.#elements[a] as T, this.#elements[b] as T);
  }

  #rise(from: number, element: T, high: number, low: number): void {
    let position = from;
    while (position > 0) {
      const parent = (position - 1) >> 1;
      const parentHigh = this.#high[parent] as number;
      if (high > parentHigh) break;
      const other = this.#elements[parent] as T;
      if (high === parentHigh) {
        const parentLow = this.#low[parent] as number;
        if (low > parentLow || (low === parentLow && !this.#goesBefore(element, other))) break;
      }
      this.#put(position, other, parentHigh, this.#low[parent] as number);
      position = parent;
    }
    this.#put(position, element, high, low);
  }

  #sink(from: number, element: T, high: number, low: number): void {
    const size = this.#elements.length;
    let position = from;
    for (;;) {
      let child = position * 2 + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#isBefore(child + 1, child)) child += 1;
      const childHigh = this.#high[child] as number;
      if (childHigh > high) break;
      const childLow = this.#low[child] as number;
      const other = this.#elements[child] as T;
      if (childHigh === high && (childLow > low || (childLow === low && !this.#goesBefore(other, element)))) break;
      this.#put(position, other, childHigh, childLow);
      position = child;
    }
    this.#put(position, element, high, low);
  }

  #put(position: number, element: T, high: number, low: number): void {
    this.#elements[position] = element;
    this.#high[position] = high;
    this.#low[position] = low;
    element.position = position;
  }

  #grow(): void {
    const [high, low] = [this.#high, this.#low];
    this.#high = new Float64Array(high.length * 2);
    this.#low = new Float64Array(low.length * 2);
    this.#high.set(high);
    this.#low.set(low);
  }
}
