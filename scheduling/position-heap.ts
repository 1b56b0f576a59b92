/**
 * An element of a `PositionHeap`. It knows its position, so it can be moved or taken out in O(log n); the position is
 * -1 while it is in no heap. An element is in one heap at a time.
 */
export interface Positioned {
  position: number;
}

/** A binary heap whose first element is one that no other goes before. */
export class PositionHeap<T extends Positioned> {
  readonly #elements: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#elements.length;
  }

  /** The first element, or undefined when there is none. */
  get first(): T | undefined {
    return this.#elements[0];
  }

  /** All elements, in no order. */
  values(): IterableIterator<T> {
    return this.#elements.values();
  }

  add(element: T): void {
    element.position = this.#elements.length;
    this.#elements.push(element);
    this.#rise(element);
  }

  /** Takes `element` out. An element that is in no heap is left alone. */
  remove(element: T): void {
    const { position } = element;
    if (position === -1) return;
    element.position = -1;
    const last = this.#elements.pop();
    if (last === undefined || last === element) return;
    this.#put(last, position);
    this.moved(last);
  }

  /** Finds the new position of an element whose order changed. */
  moved(element: T): void {
    this.#rise(element);
    this.#sink(element);
  }

  #put(element: T, position: number): void {
    this.#elements[position] = element;
    element.position = position;
  }

  #rise(element: T): void {
    let { position } = element;
    while (position > 0) {
      const parentPosition = (position - 1) >> 1;
      const parent = this.#elements[parentPosition] as T;
      if (!this.#before(element, parent)) break;
      this.#put(parent, position);
      position = parentPosition;
    }
    this.#put(element, position);
  }

  #sink(element: T): void {
    let { position } = element;
    for (;;) {
      const left = position * 2 + 1;
      let child = this.#elements[left];
      if (child === undefined) break;
      const right = this.#elements[left + 1];
      if (right !== undefined && this.#before(right, child)) child = right;
      if (!this.#before(child, element)) break;
      const childPosition = child.position;
      this.#put(child, position);
      position = childPosition;
    }
    this.#put(element, position);
  }
}
