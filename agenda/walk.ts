/**
 * The state of walking an Agenda: which Operation may start now. Plain JSON, so that it crosses continue-as-new.
 *
 * An Operation is `waiting` → `running` → one of the outcomes, and never goes back. It may start as soon as its own
 * dependencies all succeeded: there are no levels. Nothing is counted: what an Operation still waits for follows from
 * the statuses alone (`watching` only remembers how far down its dependencies have succeeded), so a repeated or early
 * report does no harm. The whole walk costs O(Operations + dependencies), with a factor log(ready) for their order.
 *
 * Policy `stopNew`: after the first Operation that does not succeed nothing new starts; what runs may end.
 */
import { popSmallest, pushIndex } from './index-heap.ts';
import type { AgendaOutcome, OperationOutcome } from './outcomes.ts';
import { mostInFlight } from './types.ts';

/** Most Operations handed out by one `takeReady`, so that one workflow task stays short. */
export const mostPerTake = 100;

/** The status of an Operation in a walk: it waits, it runs, or it has its outcome. */
export type WalkStatus = 'waiting' | 'running' | OperationOutcome;

/** Change it only through the functions of this file. */
export interface Walk {
  readonly parallelism: number;
  readonly dependencies: readonly (readonly number[])[];
  /** Per Operation, those that wait for it, ascending. */
  readonly successors: readonly (readonly number[])[];
  readonly statuses: WalkStatus[];
  /** Per Operation, the position of the first dependency not known to have succeeded. */
  readonly watching: number[];
  /** Heap of waiting Operations whose dependencies all succeeded. */
  readonly ready: number[];
  /** Indexes in flight, in the order they were started. */
  readonly inFlight: number[];
  /** Why nothing new starts; the first cause stays. */
  stopped: 'no' | 'failure' | 'cancel';
}

/**
 * Begins a walk, or continues it where an earlier run left it: `ended` are the Operations that have their outcome
 * already.
 */
export function beginWalk(plan: {
  readonly dependencies: readonly (readonly number[])[];
  readonly ended: readonly { readonly index: number; readonly outcome: OperationOutcome }[];
  readonly parallelism: number;
}): Walk {
  const dependencies = plan.dependencies.map((list) => [...list]);
  const successors: number[][] = dependencies.map(() => []);
  dependencies.forEach((list, index) => {
    for (const dependency of list) {
      const followers = successors[dependency];
      if (followers === undefined)
        throw new RangeError(`Operation ${index} depends on ${dependency}, which is not an Operation`);
      if (followers.at(-1) !== index) followers.push(index);
    }
  });
  const walk: Walk = {
    parallelism: Math.max(1, Math.min(plan.parallelism, mostInFlight)),
    dependencies,
    successors,
    statuses: dependencies.map(() => 'waiting'),
    watching: dependencies.map(() => 0),
    ready: [],
    inFlight: [],
    stopped: 'no',
  };
  for (const { index, outcome } of plan.ended) setOutcome(walk, index, outcome);
  dependencies.forEach((_, index) => {
    advance(walk, index);
  });
  return walk;
}

/**
 * Takes the Operations that may start now, in declaration order, at most `mostPerTake` and as `parallelism` allows, and
 * marks them running.
 */
export function takeReady(walk: Walk): number[] {
  const taken: number[] = [];
  while (walk.stopped === 'no' && taken.length < mostPerTake && walk.inFlight.length < walk.parallelism) {
    const index = popSmallest(walk.ready);
    if (index === undefined) break;
    // It may have been ended without this walk starting it.
    if (walk.statuses[index] !== 'waiting') continue;
    walk.statuses[index] = 'running';
    walk.inFlight.push(index);
    taken.push(index);
  }
  return taken;
}

/** Records how an Operation ended, started by this walk or not. A second ending changes nothing. */
export function endOperation(walk: Walk, index: number, outcome: OperationOutcome): void {
  if (!setOutcome(walk, index, outcome) || outcome !== 'succeeded') return;
  for (const successor of walk.successors[index] ?? []) advance(walk, successor);
}

/** Nothing new starts from now on: a cancel. What runs goes on until its end is recorded. */
export function stopNew(walk: Walk): void {
  if (walk.stopped === 'no') walk.stopped = 'cancel';
}

/** Indexes in flight, ascending. */
export function running(walk: Walk): number[] {
  return [...walk.inFlight].sort((a, b) => a - b);
}

/**
 * How the Agenda ends. `succeeded` only when every Operation succeeded. Otherwise the first cause decides: `cancelled`
 * when `stopNew` was called (or an Operation came back cancelled) before any failed, else `failed`; also while
 * something still waits that nothing will start, which a plan without circles cannot reach.
 */
export function outcomeOf(walk: Walk): AgendaOutcome {
  if (walk.statuses.every((status) => status === 'succeeded')) return 'succeeded';
  return walk.stopped === 'cancel' ? 'cancelled' : 'failed';
}

/** False when the Operation had ended before. */
function setOutcome(walk: Walk, index: number, outcome: OperationOutcome): boolean {
  const status = walk.statuses[index];
  if (status === undefined) throw new RangeError(`there is no Operation ${index}`);
  if (status !== 'waiting' && status !== 'running') return false;
  walk.statuses[index] = outcome;
  const position = walk.inFlight.indexOf(index);
  if (position !== -1) walk.inFlight.splice(position, 1);
  if (outcome !== 'succeeded' && walk.stopped === 'no') walk.stopped = outcome === 'cancelled' ? 'cancel' : 'failure';
  return true;
}

/** Moves past dependencies that succeeded; after the last one the Operation is ready. */
function advance(walk: Walk, index: number): void {
  const dependencies = walk.dependencies[index] ?? [];
  const before = walk.watching[index] ?? 0;
  let position = before;
  while (position < dependencies.length && walk.statuses[dependencies[position] as number] === 'succeeded') position++;
  walk.watching[index] = position;
  const becameReady = position === dependencies.length && (before < position || dependencies.length === 0);
  if (becameReady && walk.statuses[index] === 'waiting') pushIndex(walk.ready, index);
}
