/**
 * The state of walking an Agenda: which Operation may start now. Plain JSON, so that it crosses continue-as-new.
 *
 * An Operation is `waiting` → `running` → one of the outcomes, and never goes back. It may start as soon as its own
 * dependencies all succeeded: there are no levels. Nothing is counted: what an Operation still waits for follows from
 * the statuses alone. Each watches one dependency at a time, the first that has not succeeded yet, and goes on to the
 * next when that one succeeds; a repeated or early report does no harm. The whole walk costs O(Operations +
 * dependencies), with a factor log(ready) for their order; dependencies are forgotten once they have all succeeded.
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
  /** Per Operation, what it waits for; empty once it is ready. */
  readonly dependencies: (readonly number[])[];
  readonly statuses: WalkStatus[];
  /** Per Operation, the position of the dependency that it watches: the first not known to have succeeded. */
  readonly watching: number[];
  /** By the index of an Operation that has not succeeded, those that watch it. */
  readonly watchers: Record<number, number[]>;
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
  const dependencies = [...plan.dependencies];
  dependencies.forEach((list, index) => {
    for (const dependency of list)
      if (dependencies[dependency] === undefined)
        throw new RangeError(`Operation ${index} depends on ${dependency}, which is not an Operation`);
  });
  const walk: Walk = {
    parallelism: Math.max(1, Math.min(plan.parallelism, mostInFlight)),
    dependencies,
    statuses: dependencies.map(() => 'waiting'),
    watching: dependencies.map(() => 0),
    watchers: {},
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
  const watchers = walk.watchers[index] ?? [];
  delete walk.watchers[index];
  for (const watcher of watchers) advance(walk, watcher);
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

/** Moves past dependencies that succeeded and watches the next; after the last one the Operation is ready. */
function advance(walk: Walk, index: number): void {
  if (walk.statuses[index] !== 'waiting') return;
  const dependencies = walk.dependencies[index] ?? [];
  for (let position = walk.watching[index] ?? 0; position < dependencies.length; position++) {
    const dependency = dependencies[position] as number;
    if (walk.statuses[dependency] === 'succeeded') continue;
    walk.watching[index] = position;
    const watchers = walk.watchers[dependency] ?? [];
    watchers.push(index);
    walk.watchers[dependency] = watchers;
    return;
  }
  walk.dependencies[index] = [];
  walk.watching[index] = 0;
  pushIndex(walk.ready, index);
}
