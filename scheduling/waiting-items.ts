/**
 * All Agendas that a fair-share scheduler knows, waiting or running, as columns of numbers. A million of them take some
 * 100 bytes each, and the order inside a queue is found without touching objects. An Agenda is a row number; the row of
 * an Agenda that ended is used again.
 */
import type { Queue } from './lane.ts';

/** State of a row whose Agenda waits. */
export const isWaiting = 1;
/** State of a row whose Agenda runs. */
export const isRunning = 2;

const columns = ['key', 'readyTime', 'priority', 'cost', 'seconds', 'movedTime'] as const;
type Column = (typeof columns)[number];

/** The columns, by row. Times are seconds. */
export class WaitingItems implements Record<Column, Float64Array> {
  readonly #rows = new Map<string, number>();
  readonly #unused: number[] = [];
  #size = 0;
  readonly ids: string[] = [];
  /** The queue in which it waits, or waited before it was admitted. */
  readonly queues: (Queue | undefined)[] = [];
  states = new Uint8Array(16);
  /** Position in its queue while it waits, in `running` while it runs. */
  positions = new Int32Array(16);
  /** Order inside its customer: smallest first. */
  key = new Float64Array(16);
  readyTime = new Float64Array(16);
  priority = new Float64Array(16);
  cost = new Float64Array(16);
  /** NaN: unknown. */
  seconds = new Float64Array(16);
  /** Time at which it came to its band. */
  movedTime = new Float64Array(16);
  // A running Agenda reuses the columns that only a waiting one needs.

  /** Weight of its customer when it was admitted. */
  get weightThen(): Float64Array {
    return this.key;
  }

  /** Weights of all active customers when it was admitted. */
  get totalThen(): Float64Array {
    return this.priority;
  }

  /** Time at which it was admitted. */
  get startTime(): Float64Array {
    return this.movedTime;
  }

  readonly running: number[] = [];

  rowOf(id: string): number | undefined {
    return this.#rows.get(id);
  }

  get waitingCount(): number {
    return this.#rows.size - this.running.length;
  }

  rows(): IterableIterator<number> {
    return this.#rows.values();
  }

  create(id: string): number {
    const row = this.#unused.pop() ?? this.#size++;
    if (row === this.states.length) this.#grow();
    this.#rows.set(id, row);
    this.ids[row] = id;
    this.states[row] = isWaiting;
    return row;
  }

  /** Forgets an Agenda that neither waits nor runs any more. */
  delete(row: number): void {
    this.#rows.delete(this.ids[row] as string);
    this.ids[row] = '';
    this.queues[row] = undefined;
    this.states[row] = 0;
    this.#unused.push(row);
  }

  setRunning(row: number): void {
    this.states[row] = isRunning;
    this.positions[row] = this.running.length;
    this.running.push(row);
  }

  endRunning(row: number): void {
    const position = this.positions[row] as number;
    const last = this.running.pop() as number;
    if (last === row) return;
    this.running[position] = last;
    this.positions[last] = position;
  }

  /** True when `a` goes before `b` inside their customer: by key, then ready time, then id. */
  isBefore(a: number, b: number): boolean {
    const [aKey, bKey] = [this.key[a] as number, this.key[b] as number];
    if (aKey !== bKey) return aKey < bKey;
    const [aReady, bReady] = [this.readyTime[a] as number, this.readyTime[b] as number];
    return aReady !== bReady ? aReady < bReady : (this.ids[a] as string) < (this.ids[b] as string);
  }

  enqueue(queue: Queue, row: number): void {
    this.queues[row] = queue;
    queue.rows.push(row);
    queue.keys.push(this.key[row] as number);
    this.#rise(queue, queue.rows.length - 1, row);
  }

  dequeue(row: number): void {
    const queue = this.queues[row] as Queue;
    const position = this.positions[row] as number;
    const last = queue.rows.pop() as number;
    queue.keys.pop();
    if (last === row) return;
    this.#rise(queue, position, last);
    this.#sink(queue, this.positions[last] as number, last);
  }

  /** Finds the new position of a row whose key changed. */
  reorder(row: number): void {
    const queue = this.queues[row] as Queue;
    this.#rise(queue, this.positions[row] as number, row);
    this.#sink(queue, this.positions[row] as number, row);
  }

  /** The first row of a queue, in order, that `accepts` takes. It looks at no more than `most` rows. */
  firstThat(queue: Queue, accepts: (row: number) => boolean, most: number): number | undefined {
    const { rows } = queue;
    const frontier = rows.length === 0 ? [] : [0];
    for (let looks = 0; looks < most && frontier.length > 0; looks++) {
      let best = 0;
      for (let i = 1; i < frontier.length; i++) {
        if (this.isBefore(rows[frontier[i] as number] as number, rows[frontier[best] as number] as number)) best = i;
      }
      const position = frontier[best] as number;
      frontier[best] = frontier[frontier.length - 1] as number;
      frontier.pop();
      const row = rows[position] as number;
      if (accepts(row)) return row;
      for (const child of [position * 2 + 1, position * 2 + 2]) if (child < rows.length) frontier.push(child);
    }
    return undefined;
  }

  #rise({ rows, keys }: Queue, from: number, row: number): void {
    const key = this.key[row] as number;
    let position = from;
    while (position > 0) {
      const parent = (position - 1) >> 1;
      const parentKey = keys[parent] as number;
      const other = rows[parent] as number;
      if (key > parentKey || (key === parentKey && !this.isBefore(row, other))) break;
      rows[position] = other;
      keys[position] = parentKey;
      this.positions[other] = position;
      position = parent;
    }
    rows[position] = row;
    keys[position] = key;
    this.positions[row] = position;
  }

  #sink({ rows, keys }: Queue, from: number, row: number): void {
    const key = this.key[row] as number;
    const size = rows.length;
    let position = from;
    for (;;) {
      let child = position * 2 + 1;
      if (child >= size) break;
      let childKey = keys[child] as number;
      if (child + 1 < size) {
        const otherKey = keys[child + 1] as number;
        if (
          otherKey < childKey ||
          (otherKey === childKey && this.isBefore(rows[child + 1] as number, rows[child] as number))
        ) {
          child += 1;
          childKey = otherKey;
        }
      }
      const other = rows[child] as number;
      if (childKey > key || (childKey === key && !this.isBefore(other, row))) break;
      rows[position] = other;
      keys[position] = childKey;
      this.positions[other] = position;
      position = child;
    }
    rows[position] = row;
    keys[position] = key;
    this.positions[row] = position;
  }

  #grow(): void {
    const size = this.states.length * 2;
    for (const name of columns) this[name] = grown(this[name], new Float64Array(size));
    this.states = grown(this.states, new Uint8Array(size));
    this.positions = grown(this.positions, new Int32Array(size));
  }
}

function grown<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}
