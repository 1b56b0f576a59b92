/**
 * The walker: one run of this workflow carries one attempt of an Agenda from its first Operation to its end.
 *
 *   claim (loadPlan, and loadPlanPiece for the rest of a large plan) ──over──▶ nothing is touched
 *     │
 *     ▼
 *   walk: start whatever is ready, wait for ends, take each ending from the record ──▶ nothing in flight ──▶ finish
 *     │ cancel (from the api, the sweep or the Web UI)
 *     ▼
 *   stop: nothing new; cancel what runs; its pool stops what did not confirm, at most `cancelSeconds` ──▶ finish
 *
 * Everything is shielded from cancellation: giving back the place must happen also when the workflow was cancelled.
 */
import {
  ActivityCancellationType,
  CancellationScope,
  condition,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { whyFailed } from '../agenda/end-words.ts';
import type { OperationOutcome } from '../agenda/outcomes.ts';
import { residentTypes } from '../agenda/residents.ts';
import { endOperation, outcomeOf, running, stopNew, takeReady, type Walk } from '../agenda/walk.ts';
import type { ControlActivities, PoolActivities } from './activities.ts';
import { agendaDetails, viewOf } from './agenda-details.ts';
import { inTurn } from './in-turn.ts';
import { type AgendaWalkView, type AgendaWorkflowInput, type AgendaWorkflowResult, progressQuery } from './messages.ts';
import { plainNames } from './names.ts';
import { searchAttributes } from './search-attributes.ts';
import { type WalkPlan, wholePlan } from './whole-plan.ts';

/**
 * Control steps: idempotent and short, so local. After 5 s of failing they wait on timers instead of holding the task.
 */
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

/** Walks an attempt of an Agenda: starts what is ready, waits for ends, and ends the Agenda when all have ended. */
export async function agendaWorkflow({ agendaId, attempt }: AgendaWorkflowInput): Promise<AgendaWorkflowResult> {
  const control = inTurn<ControlActivities>(controlSteps);
  let cancelled = false;
  let view = (): AgendaWalkView => ({ counts: {}, operations: [], more: 0 });
  setHandler(progressQuery, () => view());
  CancellationScope.current().cancelRequested.catch(() => {
    cancelled = true;
  });
  return CancellationScope.nonCancellable(async () => {
    const { runId, workflowId, firstExecutionRunId: firstRunId } = workflowInfo();
    const run = { agendaId, attempt, runId, workflowId, firstRunId };
    const loaded = await control.loadPlan(run);
    if (loaded.verdict === 'over') return { outcome: 'over', reason: loaded.reason };
    if (loaded.verdict === 'cancelled') cancelled = true;
    else if (cancelled) await control.requestCancel({ agendaId, attempt });

    const whole = await wholePlan(control, { agendaId, attempt }, loaded);
    if (whole === undefined) return supersededResult;
    const { plan, walk } = whole;
    view = () => viewOf(plan, walk);
    const flight = new Flight(control, plan, { agendaId, attempt });

    for (;;) {
      if (cancelled) stopNew(walk);
      for (let ready = takeReady(walk); ready.length > 0; ready = takeReady(walk))
        for (const index of ready) flight.launch(index);
      setCurrentDetails(agendaDetails(plan, walk));
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
    await control.finishAgenda({ ...run, outcome, ...whyFailed(outcome, plan.names, walk.statuses) });
    setCurrentDetails(agendaDetails(plan, walk));
    upsertSearchAttributes([{ key: searchAttributes.agendaState, value: outcome }]);
    return { outcome };
  });
}

/** Times that an Operation is begun again that is executing in the record when its activity closes. */
const mostAgain = 3;
/** Longest wait before that. Waits double from 1 s. */
const longestAgainSeconds = 300;
/** Of what an activity says of its fault. */
const longestFault = 1_000;

/**
 * Takes the endings of the closed Operations from the record into the walk; false when this attempt is no longer the
 * running one. One whose activity closed well and that has no ending is begun again after a while. Either Temporal's
 * server was put back to an older state, and what closed was an activity it had forgotten; or the pool worker asks a
 * service that knows nothing of this Agenda. What such a worker leaves is waiting in the record: that is tried on
 * without end, for the Operation has done nothing wrong. (Histories of version 0.1.0 have endings only, so no
 * `patched`.)
 */
async function settle(walk: Walk, flight: Flight): Promise<boolean> {
  const closed = flight.closed.splice(0);
  const settled = await flight.control.settleOperations({
    ...flight.key,
    operations: closed.map(({ index, fault }) => (fault === undefined ? { index } : failedBy(index, fault))),
  });
  if (settled === undefined) return false;
  const silent: number[] = [];
  for (const { index, outcome } of settled) {
    if (outcome !== 'waiting' && outcome !== 'executing') endOperation(walk, index, outcome);
    else if (outcome === 'executing' && flight.timesLaunched(index) > mostAgain) silent.push(index);
    else flight.launch(index, Math.min(longestAgainSeconds, 2 ** (flight.timesLaunched(index) - 1)));
  }
  if (silent.length === 0) return true;
  const failed = await flight.control.settleOperations({
    ...flight.key,
    operations: silent.map((index) => failedBy(index, 'No progress was reported.')),
  });
  for (const { index, outcome } of failed ?? []) endOperation(walk, index, outcome as OperationOutcome);
  return failed !== undefined;
}

const failedBy = (index: number, fault: string) => ({ index, without: 'failed', fault }) as const;

/** Ends everything in flight after a cancel; false when this attempt is no longer the running one. */
async function stopAll(walk: Walk, flight: Flight): Promise<boolean> {
  flight.cancelAll();
  const deadline = Date.now() + flight.plan.cancelSeconds * 1000;
  const secondsLeft = () => Math.max(1, Math.ceil((deadline - Date.now()) / 1000));
  const inFlight = running(walk);
  // Activities answer once their handlers are gone. One whose worker is dead closes by its heartbeat timeout, or not in
  // time.
  await condition(() => flight.closed.length >= inFlight.length, `${secondsLeft()} s`);
  const read = await flight.control.settleOperations({
    ...flight.key,
    operations: inFlight.map((index) => ({ index })),
  });
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
  readonly plan: WalkPlan;
  readonly key: AgendaWorkflowInput;
  readonly closed: Closed[] = [];
  readonly #scopes = new Map<number, CancellationScope>();
  readonly #launches = new Map<number, number>();
  /** Whether any Operation has ended: from then on the Agenda is under way. */
  #underWay = false;

  constructor(control: ControlActivities, plan: WalkPlan, key: AgendaWorkflowInput) {
    this.control = control;
    this.plan = plan;
    this.key = key;
  }

  launch(index: number, afterSeconds = 0): void {
    const scope = new CancellationScope();
    this.#scopes.set(index, scope);
    this.#launches.set(index, this.timesLaunched(index) + 1);
    const close = (fault?: string) => {
      this.#scopes.delete(index);
      this.#underWay = true;
      this.closed.push({ index, ...(fault === undefined ? {} : { fault }) });
    };
    scope
      .run(async () => {
        if (afterSeconds > 0) await sleep(`${afterSeconds} s`);
        await this.#run(index);
      })
      .then(
        () => close(),
        (error: unknown) => close(isCancellation(error) ? 'cancelled' : faultOf(error)),
      );
  }

  timesLaunched(index: number): number {
    return this.#launches.get(index) ?? 0;
  }

  cancelAll(): void {
    for (const scope of this.#scopes.values()) scope.cancel();
  }

  /** Has the pool stop what may still run of an Operation; false when nobody confirmed in time. */
  async stop(index: number, seconds: number): Promise<boolean> {
    const pool = proxyActivities<PoolActivities>({
      taskQueue: poolQueueOf(this.plan),
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
      taskQueue: poolQueueOf(this.plan),
      startToCloseTimeout: `${this.plan.startToCloseSeconds[index] ?? 60} s`,
      heartbeatTimeout: `${this.plan.heartbeatSeconds} s`,
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      // Infrastructure only: a handler that failed is a result. A worker's shutdown uses up an attempt, so there is no
      // maximum.
      retry: { initialInterval: '1 s', backoffCoefficient: 1 },
      // Operations of Agendas under way go before the first ones of new Agendas: a picked Agenda keeps its resources.
      priority: { priorityKey: this.#underWay ? 3 : 4, ...this.#fairness() },
      // Replays compare ids, not arguments: with the name in it, no Operation can be given the end of another.
      activityId: `run:${this.#name(index)}`,
      summary: this.#name(index),
    });
    const type = this.plan.types[index];
    return pool.runOperation({ ...operation, ...(type !== undefined && { type }) });
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

/** The plan says it; those that version 0.1.0 loaded do not. */
const poolQueueOf = ({ poolQueue, resourcePoolId }: WalkPlan): string =>
  poolQueue ?? plainNames.poolQueue(resourcePoolId);

function faultOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return (cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)).slice(0, longestFault);
}
