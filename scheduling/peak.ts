/**
 * What an Agenda may hold at once, from what each of its Operations needs. Operations that run at one moment do not
 * wait for each other, and no more than `parallelism` run. The exact answer, the heaviest set of such Operations, is
 * expensive. The answer here is never less, and in most graphs the same.
 *
 * It is found with strands: amounts of a resource that are handed on from an Operation to others that wait for it, at
 * first or second hand. Each Operation takes what it needs from strands that it may take, and only what is missing is
 * new. At one moment a strand is in use once, so all together are enough.
 */
import { mostInFlight } from '../agenda/types.ts';
import { type Amounts, needOf, resourceNames } from './need.ts';

/** The Operations of an Agenda without a cycle. */
export interface PeakInput {
  /** Per Operation. */
  readonly needs: readonly Amounts[];
  /** Per Operation, the indexes of those it waits for. */
  readonly dependencies: readonly (readonly number[])[];
  /** Most that run at once; absent: as many as any Agenda may have in flight. */
  readonly parallelism?: number | undefined;
}

/** The smallest amounts that are told apart, so that sums are exact and equal Agendas have equal needs. */
const parts: Readonly<Record<keyof Amounts, number>> = { slots: 1, cpu: 1_000, memory: 1, gpu: 1_000 };

/** At least what it holds at any moment, each resource by itself; never less than its largest Operation needs. */
export function peakOf({ needs, dependencies, parallelism = mostInFlight }: PeakInput): Amounts {
  const graph = new Ancestry(dependencies);
  const peak = needOf({});
  for (const name of resourceNames) {
    const amounts = needs.map((need) => Math.ceil(need[name] * parts[name] - 1e-6));
    const largest = [...amounts].sort((a, b) => b - a).slice(0, parallelism);
    peak[name] = Math.min(sumOf(largest), heldAtOnce(amounts, graph)) / parts[name];
  }
  return peak;
}

const sumOf = (amounts: readonly number[]): number => amounts.reduce((sum, amount) => sum + amount, 0);

/** An amount that Operation `last` had last. */
interface Strand {
  readonly last: number;
  amount: number;
}

function heldAtOnce(amounts: readonly number[], graph: Ancestry): number {
  const strands: Strand[] = [];
  let held = 0;
  for (const index of graph.order) {
    const needed = amounts[index] ?? 0;
    if (needed <= 0) continue;
    let missing = needed;
    // What was in use last is taken first: what was free for longer may serve those that wait for less.
    const open = strands.filter((strand) => strand.amount > 0 && graph.waitsFor(index, strand.last));
    for (const strand of open.sort((a, b) => graph.levelOf(b.last) - graph.levelOf(a.last))) {
      const taken = Math.min(strand.amount, missing);
      strand.amount -= taken;
      missing -= taken;
      if (missing === 0) break;
    }
    held += missing;
    strands.push({ last: index, amount: needed });
  }
  return held;
}

/** Who waits for whom, at first or second hand. */
class Ancestry {
  /** Each Operation after those it waits for, those of one level together. */
  readonly order: readonly number[];
  readonly #levels: Uint32Array;
  readonly #words: number;
  /** Per Operation one bit for each that it waits for. */
  readonly #before: Uint32Array;

  /** @throws RangeError when some wait for each other */
  constructor(dependencies: readonly (readonly number[])[]) {
    this.#words = Math.ceil(dependencies.length / 32);
    this.#before = new Uint32Array(this.#words * dependencies.length);
    this.#levels = new Uint32Array(dependencies.length);
    const order = inOrder(dependencies);
    for (const index of order) for (const other of dependencies[index] ?? []) this.#addAfter(index, other);
    this.order = order.sort((a, b) => this.levelOf(a) - this.levelOf(b));
  }

  waitsFor(index: number, other: number): boolean {
    return ((this.#before[index * this.#words + (other >>> 5)] ?? 0) & (1 << (other & 31))) !== 0;
  }

  levelOf(index: number): number {
    return this.#levels[index] ?? 0;
  }

  #addAfter(index: number, other: number): void {
    const [own, others] = [index * this.#words, other * this.#words];
    const before = this.#before;
    for (let word = 0; word < this.#words; word++)
      before[own + word] = (before[own + word] ?? 0) | (before[others + word] ?? 0);
    before[own + (other >>> 5)] = (before[own + (other >>> 5)] ?? 0) | (1 << (other & 31));
    this.#levels[index] = Math.max(this.levelOf(index), this.levelOf(other) + 1);
  }
}

function inOrder(dependencies: readonly (readonly number[])[]): number[] {
  const left = dependencies.map((on) => on.length);
  const followers: number[][] = dependencies.map(() => []);
  dependencies.forEach((on, index) => {
    for (const other of on) followers[other]?.push(index);
  });
  const order = [...left.keys()].filter((index) => left[index] === 0);
  // It grows while it is read.
  for (const index of order) {
    for (const follower of followers[index] ?? []) {
      left[follower] = (left[follower] ?? 0) - 1;
      if (left[follower] === 0) order.push(follower);
    }
  }
  if (order.length < dependencies.length) throw new RangeError('some Operations wait for each other');
  return order;
}
