import type { Tag } from './compensated-sum.ts';

/** An element of a `TagHeap`. */
export interface Tagged {
  /** Its position in the registry of the heap, and in the heap. */
  readonly index: number;
  /** Decides between equal numbers. */
  readonly id: string;
}

/**
 * Numbers kept for each element. One of them is unused, so that the others lie in one line of the processor's cache.
 */
const stride = 4;

/** Elements by number, so that heaps compare numbers only. An element is in one heap of its registry at a time. */
export class Registry<T extends Tagged> {
  readonly elements: T[] = [];
  /** Number of elements that there is room for. */
  room = 16;
  /**
   * Numbers that decide between equal high parts of tags. Each element has three, side by side: the low part, a second
   * number, and the number of its id.
   */
  #ties = new Float64Array(this.room * stride);
  /** The beginning that all ids share. It does not tell them apart, so it is left out of their numbers. */
  #beginning: string | undefined;
  readonly #unused: number[] = [];

  add(id: string, make: (index: number) => T): T {
    const index = this.#unused.pop() ?? this.elements.length;
    if (index === this.room) {
      this.room *= 2;
      const ties = new Float64Array(this.room * stride);
      ties.set(this.#ties);
      this.#ties = ties;
    }
    const element = make(index);
    this.elements[index] = element;
    const beginning = sharedBeginning(this.#beginning ?? id, id);
    const isShorter = beginning !== this.#beginning;
    this.#beginning = beginning;
    // This happens seldom: at most as often as an id has characters.
    if (isShorter) for (const other of this.elements) this.#number(other);
    else this.#number(element);
    return element;
  }

  delete({ index }: T): void {
    this.#unused.push(index);
  }

  lowOf(index: number): number {
    return this.#ties[index * stride] as number;
  }

  setTies(index: number, low: number, second: number): void {
    this.#ties[index * stride] = low;
    this.#ties[index * stride + 1] = second;
  }

  /** True when `a` goes before `b`; the high parts of their tags are equal. */
  breaksTie(a: number, b: number): boolean {
    const ties = this.#ties;
    const [atA, atB] = [a * stride, b * stride];
    if (ties[atA] !== ties[atB]) return (ties[atA] as number) < (ties[atB] as number);
    if (ties[atA + 1] !== ties[atB + 1]) return (ties[atA + 1] as number) < (ties[atB + 1] as number);
    if (ties[atA + 2] !== ties[atB + 2]) return (ties[atA + 2] as number) < (ties[atB + 2] as number);
    return (this.elements[a] as T).id < (this.elements[b] as T).id;
  }

  #number({ index, id }: T): void {
    this.#ties[index * stride + 2] = numberOf(id, this.#beginning?.length ?? 0);
  }
}

/**
 * log2 of the number of elements in one match. Eight keys lie side by side in memory, and a hundred thousand elements
 * make six rounds.
 */
const shift = 3;
const many = 1 << shift;
const nobody = -1;

/**
 * Finds the first of many elements by a Tag, then by a second number, then by id. It is a tournament: each element has
 * a fixed position at the bottom, groups of eight play, their winners play in groups of eight, and so on up to one. An
 * element that changes plays again on its way up, until the winner of a match stays the same. Nothing is moved about,
 * and the objects, of which there may be a hundred thousand, are not touched. The order is total, so the first element
 * never depends on the order in which others came.
 */
export class TagHeap<T extends Tagged> {
  /**
   * High part of the tag of each winner; infinite where nobody plays. The elements come first, by index, then one round
   * after the other.
   */
  #keys = new Float64Array(0);
  #winners = new Int32Array(0);
  /** Start of each round, the bottom first. The last round is the single position at the top. */
  #rounds: number[] = [];
  #size = 0;
  readonly #registry: Registry<T>;

  constructor(registry: Registry<T>) {
    this.#registry = registry;
  }

  get first(): T | undefined {
    const winner = this.#winners[this.#winners.length - 1] ?? nobody;
    return winner === nobody ? undefined : this.#registry.elements[winner];
  }

  /** Whether the first element's tag is at or below `tag`. */
  firstReached(tag: Tag): boolean {
    const winner = this.#winners[this.#winners.length - 1] ?? nobody;
    if (winner === nobody) return false;
    const high = this.#keys[this.#keys.length - 1] as number;
    return high !== tag.high ? high < tag.high : this.#registry.lowOf(winner) <= tag.low;
  }

  /** Adds an element, or finds the new position of one whose numbers changed. */
  put({ index }: T, { high, low }: Tag, second = 0): void {
    if (index >= this.#size) this.#growTo(this.#registry.room);
    this.#registry.setTies(index, low, second);
    this.#play(index, high);
  }

  remove({ index }: T): void {
    this.#play(index, Number.POSITIVE_INFINITY);
  }

  /** The elements in order. The heap must be left alone meanwhile. */
  *inOrder(): Generator<T> {
    const seen: { readonly index: number; readonly high: number }[] = [];
    try {
      for (let element = this.first; element !== undefined; element = this.first) {
        yield element;
        const { index } = element;
        seen.push({ index, high: this.#keys[index] as number });
        this.#play(index, Number.POSITIVE_INFINITY);
      }
    } finally {
      for (const { index, high } of seen) this.#play(index, high);
    }
  }

  /** Lets an element play with a new key, from the bottom up. */
  #play(index: number, high: number): void {
    const keys = this.#keys;
    const winners = this.#winners;
    const rounds = this.#rounds;
    keys[index] = high;
    let winner = high === Number.POSITIVE_INFINITY ? nobody : index;
    let best = high;
    winners[index] = winner;
    let position = index;
    for (let round = 1; round < rounds.length; round++) {
      const group = (rounds[round - 1] as number) + ((position >> shift) << shift);
      const child = position;
      position >>= shift;
      const above = (rounds[round] as number) + position;
      const before = winners[above] as number;
      const beforeBest = keys[above] as number;
      const cameFromHere = before !== nobody && before >> (shift * (round - 1)) === child;
      if (!cameFromHere) {
        // The others of its group have not changed, so it plays against the best of them only.
        if (best > beforeBest || winner === nobody) return;
        if (best === beforeBest && !this.#registry.breaksTie(winner, before)) return;
      } else if (!(best < beforeBest)) {
        winner = nobody;
        best = Number.POSITIVE_INFINITY;
        for (let other = group; other < group + many; other++) {
          const otherBest = keys[other] as number;
          if (otherBest > best) continue;
          const otherWinner = winners[other] as number;
          if (otherBest === best && (otherWinner === nobody || !this.#registry.breaksTie(otherWinner, winner)))
            continue;
          winner = otherWinner;
          best = otherBest;
        }
      }
      winners[above] = winner;
      keys[above] = best;
    }
  }

  #growTo(size: number): void {
    const lengths = [size];
    while ((lengths.at(-1) as number) > 1) {
      const matches = (lengths.at(-1) as number) >> shift;
      // Each round has whole groups; the last has the single position at the top.
      lengths.push(matches <= 1 ? 1 : ((matches + many - 1) >> shift) << shift);
    }
    const rounds: number[] = [];
    let total = 0;
    for (const length of lengths) {
      rounds.push(total);
      total += length;
    }
    const keys = new Float64Array(total).fill(Number.POSITIVE_INFINITY);
    const winners = new Int32Array(total).fill(nobody);
    const old = this.#keys.subarray(0, this.#size);
    const oldWinners = this.#winners.subarray(0, this.#size);
    this.#keys = keys;
    this.#winners = winners;
    this.#rounds = rounds;
    this.#size = size;
    for (const [index, high] of old.entries()) if (oldWinners[index] !== nobody) this.#play(index, high);
  }
}

function sharedBeginning(a: string, b: string): string {
  let length = 0;
  while (length < a.length && a.charCodeAt(length) === b.charCodeAt(length)) length += 1;
  return a.slice(0, length);
}

/**
 * Seven characters of an id as a number. An id that sorts first by code units has the smaller number. Ids that these
 * characters do not tell apart have equal numbers.
 */
function numberOf(id: string, from: number): number {
  let number = 0;
  let tells = true;
  for (let i = from; i < from + 7; i++) {
    const code = id.charCodeAt(i);
    number = number * 128 + (tells && i < id.length ? Math.min(code, 126) + 1 : 0);
    // Characters beyond ASCII look the same here, so what follows them must not decide.
    if (code >= 126) tells = false;
  }
  return number;
}
