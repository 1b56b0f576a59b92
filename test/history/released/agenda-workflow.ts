/**
 * The agenda workflow as version 0.1.0 had it, with the walk along its plan, for `test/faults/upgrade.test.ts`: runs that began with it
 * go on with the one of today. Without its page for the Web UI, which no history has.
 * Never edited; it goes when no run of that version can be open any more.
 */
import type { QueryDefinition } from '@temporalio/common';
import { defineSearchAttributeKey } from '@temporalio/common';
import {
  ActivityCancellationType,
  CancellationScope,
  condition,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';

type AgendaOutcome = 'succeeded' | 'failed' | 'cancelled';
type OperationOutcome = 'succeeded' | 'failed' | 'cancelled' | 'abandoned';
const mostInFlight = 200;
const poolTaskQueue = (resourcePoolId: string): string => `pool-${resourcePoolId}`;
const progressQuery = { type: 'query', name: 'progress' } as QueryDefinition<AgendaWalkView>;
const residentTypes: readonly string[] = ['logMessages'];
const searchAttributes = { agendaState: defineSearchAttributeKey('AgendaState', 'KEYWORD') };

interface AgendaWorkflowInput {
  readonly agendaId: string;
  readonly attempt: number;
}

interface AgendaWorkflowResult {
  readonly outcome: AgendaOutcome | 'over';
  readonly reason?: string;
}

interface AgendaWalkView {
  readonly operations: readonly { readonly name: string; readonly state: string }[];
}

interface Plan {
  readonly resourcePoolId: string;
  readonly customerId: string;
  /** The customer among others on the pool's queue, in Temporal's bounds. Absent in what version 0.1.0 loaded. */
  readonly fairness?: { readonly key: string; readonly weight: number };
  readonly names: readonly string[];
  readonly types: readonly string[];
  /** Per Operation, the indexes it waits for. */
  readonly dependencies: readonly (readonly number[])[];
  /** Indexes that have ended already, with their outcome. */
  readonly ended: readonly { readonly index: number; readonly outcome: OperationOutcome }[];
  readonly parallelism: number;
  readonly heartbeatSeconds: number;
  /** Longest time one Operation's activity may take, per Operation. */
  readonly startToCloseSeconds: readonly number[];
  /** Longest wait for stops to be confirmed after a cancel. */
  readonly cancelSeconds: number;
}

interface OperationKey {
  readonly agendaId: string;
  readonly attempt: number;
  readonly operation: string;
}

interface PoolActivities {
  runOperation(input: OperationKey): Promise<void>;
  /** Stops what may still run of this Operation; resolves when it is gone. */
  stopOperation(input: OperationKey): Promise<{ stopped: boolean }>;
}

type LoadPlanAnswer =
  | { readonly verdict: 'run'; readonly plan: Plan }
  | { readonly verdict: 'cancelled'; readonly plan: Plan }
  | { readonly verdict: 'over'; readonly reason: string };


interface ControlActivities {
  loadPlan(input: { agendaId: string; attempt: number; runId: string }): Promise<LoadPlanAnswer>;
  /**
   * How these Operations ended, from the record. One without an ending there is given `without`, if that is there; else the
   * answer is `executing`, or `waiting` when it was never started. Undefined when the attempt is no longer the running one.
   */
  settleOperations(input: {
    agendaId: string;
    attempt: number;
    operations: readonly { index: number; without?: OperationOutcome; fault?: string }[];
  }): Promise<readonly { index: number; outcome: OperationOutcome | 'waiting' | 'executing' }[] | undefined>;
  runResident(input: OperationKey): Promise<void>;
  requestCancel(input: { agendaId: string; attempt: number }): Promise<void>;
  finishAgenda(input: {
    agendaId: string;
    attempt: number;
    runId: string;
    outcome: AgendaOutcome;
    message?: string;
  }): Promise<{ outcome: AgendaOutcome | 'over' }>;
}

function pushIndex(heap: number[], value: number): void {
  let position = heap.length;
  heap.push(value);
  while (position > 0) {
    const parent = (position - 1) >> 1;
    const above = heap[parent] as number;
    if (above <= value) break;
    heap[position] = above;
    position = parent;
  }
  heap[position] = value;
}

/** Takes the smallest value, or undefined when there is none. */
function popSmallest(heap: number[]): number | undefined {
  const smallest = heap[0];
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return smallest;
  let position = 0;
  for (;;) {
    let child = position * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child += 1;
    const below = heap[child] as number;
    if (below >= last) break;
    heap[position] = below;
    position = child;
  }
  heap[position] = last;
  return smallest;
}

/** Most Operations handed out by one `takeReady`, so that one workflow task stays short. */
const mostPerTake = 100;

type WalkStatus = 'waiting' | 'running' | OperationOutcome;

/** Change it only through the functions of this file. */
interface Walk {
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

/** Begins a walk, or takes it up where an earlier run left it: `ended` are Operations that have their outcome already. */
function beginWalk(plan: {
  readonly dependencies: readonly (readonly number[])[];
  readonly ended: readonly { readonly index: number; readonly outcome: OperationOutcome }[];
  readonly parallelism: number;
}): Walk {
  const dependencies = plan.dependencies.map((list) => [...list]);
  const successors: number[][] = dependencies.map(() => []);
  dependencies.forEach((list, index) => {
    for (const dependency of list) {
      const followers = successors[dependency];
      if (followers === undefined) throw new RangeError(`Operation ${index} depends on ${dependency}, which is not an Operation`);
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

/** Takes what may start now, in declaration order, at most `mostPerTake` and as `parallelism` allows, and marks it running. */
function takeReady(walk: Walk): number[] {
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
function endOperation(walk: Walk, index: number, outcome: OperationOutcome): void {
  if (!setOutcome(walk, index, outcome) || outcome !== 'succeeded') return;
  for (const successor of walk.successors[index] ?? []) advance(walk, successor);
}

/** Nothing new starts from now on: a cancel. What runs goes on until its end is recorded. */
function stopNew(walk: Walk): void {
  if (walk.stopped === 'no') walk.stopped = 'cancel';
}

/** Indexes in flight, ascending. */
function running(walk: Walk): number[] {
  return [...walk.inFlight].sort((a, b) => a - b);
}

/** Nothing runs and nothing more will start. */
function isOver(walk: Walk): boolean {
  return walk.inFlight.length === 0 && (walk.stopped !== 'no' || !walk.ready.some((index) => walk.statuses[index] === 'waiting'));
}

/**
 * How the Agenda ends. `succeeded` only when every Operation succeeded. Otherwise the first cause decides: `cancelled`
 * when `stopNew` was called (or an Operation came back cancelled) before any failed, else `failed`; also while
 * something still waits that nothing will start, which a plan without circles cannot reach.
 */
function outcomeOf(walk: Walk): AgendaOutcome {
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

type Steps = { readonly [name: string]: (...input: never[]) => Promise<unknown> };

/** As `activities`, each call beginning when the one before it has ended. Make it inside a workflow: it is the state of one run. */
function inTurn<T>(activities: T & Steps): T {
  let last: Promise<unknown> = Promise.resolve();
  const inOrder =
    (step: (...input: never[]) => Promise<unknown>) =>
    (...input: never[]) => {
      const turn = last.then(() => step(...input));
      last = turn.catch(() => undefined);
      return turn;
    };
  return new Proxy(activities, { get: (steps, name) => inOrder(steps[name as string] as Steps[string]) });
}

/** Control steps: idempotent and short, so local. After 5 s of failing they wait on timers instead of holding the task. */
const controlSteps = proxyLocalActivities<ControlActivities>({
  startToCloseTimeout: '30 s',
  localRetryThreshold: '5 s',
  retry: { initialInterval: '200 ms', backoffCoefficient: 2, maximumInterval: '10 s' },
});

/** An Operation whose activity has closed: normally, or with a fault. */
interface Closed {
  readonly index: number;
  readonly fault?: string;
}

const supersededResult: AgendaWorkflowResult = { outcome: 'over', reason: 'this attempt is no longer the running one' };

export async function agendaWorkflow({ agendaId, attempt }: AgendaWorkflowInput): Promise<AgendaWorkflowResult> {
  const control = inTurn<ControlActivities>(controlSteps);
  let cancelled = false;
  let view = (): AgendaWalkView => ({ operations: [] });
  setHandler(progressQuery, () => view());
  CancellationScope.current().cancelRequested.catch(() => {
    cancelled = true;
  });
  return CancellationScope.nonCancellable(async () => {
    const { runId } = workflowInfo();
    const loaded = await control.loadPlan({ agendaId, attempt, runId });
    if (loaded.verdict === 'over') return { outcome: 'over', reason: loaded.reason };
    if (loaded.verdict === 'cancelled') cancelled = true;
    else if (cancelled) await control.requestCancel({ agendaId, attempt });

    const { plan } = loaded;
    const walk = beginWalk(plan);
    view = () => ({ operations: plan.names.map((name, index) => ({ name, state: walk.statuses[index] ?? 'waiting' })) });
    const flight = new Flight(control, plan, { agendaId, attempt });

    for (;;) {
      if (cancelled) stopNew(walk);
      for (let ready = takeReady(walk); ready.length > 0; ready = takeReady(walk)) for (const index of ready) flight.launch(index);
      if (running(walk).length === 0) break;
      await condition(() => flight.closed.length > 0 || cancelled);
      if (cancelled) {
        stopNew(walk);
        await control.requestCancel({ agendaId, attempt });
        if (!(await stopAll(walk, flight))) return supersededResult;
        break;
      }
      if (!(await settle(walk, flight))) return supersededResult;
    }

    // A cancel that came when all had succeeded cancelled nothing.
    const reached = outcomeOf(walk);
    const outcome = cancelled && reached !== 'succeeded' ? 'cancelled' : reached;
    await control.finishAgenda({ agendaId, attempt, runId, outcome, ...whyFailed(plan, walk, outcome) });
    upsertSearchAttributes([{ key: searchAttributes.agendaState, value: outcome }]);
    return { outcome };
  });
}

/** Takes the endings of the closed Operations from the record into the walk; false when this attempt is no longer the running one. */
async function settle(walk: Walk, flight: Flight): Promise<boolean> {
  const closed = flight.closed.splice(0);
  const settled = await flight.control.settleOperations({
    ...flight.key,
    operations: closed.map(({ index, fault }) => ({ index, without: 'failed', fault: fault ?? 'No progress was reported.' })),
  });
  if (settled === undefined) return false;
  for (const { index, outcome } of settled) endOperation(walk, index, outcome as OperationOutcome);
  return true;
}

/** Ends everything in flight after a cancel; false when this attempt is no longer the running one. */
async function stopAll(walk: Walk, flight: Flight): Promise<boolean> {
  flight.cancelAll();
  const deadline = Date.now() + flight.plan.cancelSeconds * 1000;
  const secondsLeft = () => Math.max(1, Math.ceil((deadline - Date.now()) / 1000));
  const inFlight = running(walk);
  // Activities answer once their handlers are gone. One whose worker is dead closes by its heartbeat timeout, or not in time.
  await condition(() => flight.closed.length >= inFlight.length, `${secondsLeft()} s`);
  const read = await flight.control.settleOperations({ ...flight.key, operations: inFlight.map((index) => ({ index })) });
  if (read === undefined) return false;

  const unconfirmed = read.filter(({ outcome }) => outcome === 'executing').map(({ index }) => index);
  const stopped = await Promise.all(unconfirmed.map((index) => flight.stop(index, secondsLeft())));
  const settled = await flight.control.settleOperations({
    ...flight.key,
    operations: inFlight.map((index) => {
      const which = unconfirmed.indexOf(index);
      return which < 0 ? { index } : { index, without: stopped[which] === true ? 'cancelled' : 'abandoned' };
    }),
  });
  if (settled === undefined) return false;
  // One that was never started has nothing to stop: its row stays waiting.
  for (const { index, outcome } of settled)
    endOperation(walk, index, outcome === 'waiting' || outcome === 'executing' ? 'cancelled' : outcome);
  return true;
}

/** The Operations in flight: one activity each, with a scope of its own. */
class Flight {
  readonly control: ControlActivities;
  readonly plan: Plan;
  readonly key: AgendaWorkflowInput;
  readonly closed: Closed[] = [];
  readonly #scopes = new Map<number, CancellationScope>();
  /** Whether any Operation has ended: from then on the Agenda is under way. */
  #underWay = false;

  constructor(control: ControlActivities, plan: Plan, key: AgendaWorkflowInput) {
    this.control = control;
    this.plan = plan;
    this.key = key;
  }

  launch(index: number): void {
    const scope = new CancellationScope();
    this.#scopes.set(index, scope);
    const close = (fault?: string) => {
      this.#scopes.delete(index);
      this.#underWay = true;
      this.closed.push({ index, ...(fault === undefined ? {} : { fault }) });
    };
    scope
      .run(() => this.#run(index))
      .then(
        () => close(),
        (error: unknown) => close(isCancellation(error) ? 'cancelled' : faultOf(error)),
      );
  }

  cancelAll(): void {
    for (const scope of this.#scopes.values()) scope.cancel();
  }

  /** Has the pool stop what may still run of an Operation; false when nobody confirmed in time. */
  async stop(index: number, seconds: number): Promise<boolean> {
    const pool = proxyActivities<PoolActivities>({
      taskQueue: poolTaskQueue(this.plan.resourcePoolId),
      scheduleToCloseTimeout: `${seconds} s`,
      startToCloseTimeout: `${seconds} s`,
      heartbeatTimeout: `${this.plan.heartbeatSeconds} s`,
      retry: { initialInterval: '1 s', backoffCoefficient: 1 },
      // Before everything that only begins: what it stops still holds resources.
      priority: { priorityKey: 1 },
      activityId: `stop:${this.#name(index)}`,
      summary: `stop ${this.#name(index)}`,
    });
    return pool.stopOperation({ ...this.key, operation: this.#name(index) }).then(
      ({ stopped }) => stopped,
      () => false,
    );
  }

  #run(index: number): Promise<void> {
    const operation = { ...this.key, operation: this.#name(index) };
    if (residentTypes.includes(this.plan.types[index] ?? '')) return this.control.runResident(operation);
    const pool = proxyActivities<PoolActivities>({
      taskQueue: poolTaskQueue(this.plan.resourcePoolId),
      startToCloseTimeout: `${this.plan.startToCloseSeconds[index] ?? 60} s`,
      heartbeatTimeout: `${this.plan.heartbeatSeconds} s`,
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      // Infrastructure only: a handler that failed is a result. A worker's shutdown uses up an attempt, so there is no maximum.
      retry: { initialInterval: '1 s', backoffCoefficient: 1 },
      // Operations of Agendas under way go before the first ones of new Agendas: a picked Agenda keeps its resources.
      priority: { priorityKey: this.#underWay ? 3 : 4, ...this.#fairness() },
      // Replays compare ids, not arguments: with the name in it, no Operation can be given the end of another.
      activityId: `run:${this.#name(index)}`,
      summary: this.#name(index),
    });
    return pool.runOperation(operation);
  }

  /** Among Operations that are equally urgent, customers take turns by weight. */
  #fairness(): { fairnessKey?: string; fairnessWeight?: number } {
    const { fairness } = this.plan;
    return fairness === undefined ? {} : { fairnessKey: fairness.key, fairnessWeight: fairness.weight };
  }

  #name(index: number): string {
    return this.plan.names[index] ?? '';
  }
}

function faultOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
}

/** Names the Operations that ended an Agenda, in POP's words. */
function whyFailed(plan: Plan, walk: Walk, outcome: string): { message?: string } {
  if (outcome !== 'failed') return {};
  const failed = plan.names.filter((_, index) => walk.statuses[index] === 'failed');
  return {
    message: `Failed to complete operation: ${failed.slice(0, 10).join(', ')}${failed.length > 10 ? `, and ${failed.length - 10} more` : ''}`,
  };
}
