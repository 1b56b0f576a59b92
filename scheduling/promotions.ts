import { type Positioned, PositionHeap } from './position-heap.ts';
import type { WaitingItems } from './waiting-items.ts';

interface Watched extends Positioned {
  readonly row: number;
  readonly id: string;
  readonly movedTime: number;
}

/** The waiting Agendas below the top band, by the time they came to their band. */
export class Promotions {
  readonly #items: WaitingItems;
  readonly #after: number | undefined;
  readonly #watched = new Map<number, Watched>();
  readonly #heap = new PositionHeap<Watched>((a, b) =>
    a.movedTime !== b.movedTime ? a.movedTime < b.movedTime : a.id < b.id,
  );

  constructor(items: WaitingItems, promoteAfter: number | undefined) {
    this.#items = items;
    this.#after = promoteAfter;
  }

  watch(row: number, level: number): void {
    if (this.#after === undefined || level === 0) return;
    const watched = {
      row,
      id: this.#items.ids[row] as string,
      movedTime: this.#items.movedTime[row] as number,
      position: -1,
    };
    this.#watched.set(row, watched);
    this.#heap.add(watched);
  }

  forget(row: number): void {
    const watched = this.#watched.get(row);
    if (watched === undefined) return;
    this.#watched.delete(row);
    this.#heap.remove(watched);
  }

  /** Takes out the row of an Agenda that has waited long enough; undefined when there is none. The caller moves it. */
  takeDue(now: number): number | undefined {
    const first = this.#heap.first;
    if (first === undefined || this.#after === undefined || now - first.movedTime < this.#after) return undefined;
    this.forget(first.row);
    return first.row;
  }
}
