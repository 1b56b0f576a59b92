/**
 * Runs a whole Agenda on this machine, without a server: what `agendaWorkflow` does with Temporal, the api and a pool
 * worker. The walk, the resolution of references and the pool worker's steps are the same; the record is in memory.
 *
 *   walk: start whatever is ready, wait for an end ──▶ nothing in flight ──▶ finish
 *     │ cancel
 *     ▼
 *   stop: nothing new; each Operation in flight ends its handler and reports that ──▶ finish
 */
import { setTimeout as delay } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { residentEnd } from '../activities/control/resident-end.ts';
import type { OperationActivity } from '../activities/pool/parts.ts';
import { runOperation } from '../activities/pool/run-operation.ts';
import { whyFailed } from '../agenda/end-words.ts';
import { residents } from '../agenda/residents.ts';
import type { Operation } from '../agenda/types.ts';
import { beginWalk, endOperation, outcomeOf, stopNew, takeReady, type Walk } from '../agenda/walk.ts';
import type { View } from '../api/agenda/agenda-view.ts';
import type { CheckedAgenda } from '../api/agenda/check-agenda.ts';
import type { Registry } from '../launchers/registry.ts';
import { LocalPool } from './local-pool.ts';
import { type Changed, LocalRecord } from './local-record.ts';
import type { Mocks } from './mocks.ts';

/** How an Agenda is run on this machine. */
export interface LocalAgendaOptions {
  readonly registry: Registry;
  readonly mocks: Mocks;
  /** Most Operations in flight at once, whatever the Agenda says. */
  readonly mostInFlight: number;
  /** Aborts: the Agenda is cancelled. */
  readonly cancel: AbortSignal;
  /** Aborts: handlers are killed, whatever their grace. */
  readonly kill: AbortSignal;
  readonly changed: Changed;
  /** Hears what resident types log. */
  readonly said: (operation: string, message: string) => void;
}

/** Of every Agenda that runs here. */
const attempt = 1;

interface Run extends LocalAgendaOptions {
  readonly record: LocalRecord;
  readonly pool: LocalPool;
  readonly operations: readonly Operation[];
}

/** Runs it to its end, and returns its AgendaProgress as the api answers it. */
export async function runAgenda(checked: CheckedAgenda, options: LocalAgendaOptions): Promise<View> {
  const { agenda, dependencies } = checked;
  const record = new LocalRecord(agenda, options.changed);
  await using pool = new LocalPool({ record, registry: options.registry, mocks: options.mocks });
  const run: Run = { ...options, record, pool, operations: agenda.operations };
  const onCancel = () => record.cancel();
  if (options.cancel.aborted) onCancel();
  options.cancel.addEventListener('abort', onCancel, { once: true });
  const onKill = () => void pool.destroy();
  options.kill.addEventListener('abort', onKill, { once: true });
  try {
    const parallelism = Math.min(agenda.parallelism ?? options.mostInFlight, options.mostInFlight);
    const walk = beginWalk({ dependencies, ended: [], parallelism });
    await walkToEnd(walk, run);
    // A cancel that came when all had succeeded cancelled nothing.
    const reached = outcomeOf(walk);
    const outcome = record.isCancelled && reached !== 'succeeded' ? 'cancelled' : reached;
    const names = agenda.operations.map(({ name }) => name);
    record.finish({ outcome, ...whyFailed(outcome, names, walk.statuses) });
  } finally {
    options.cancel.removeEventListener('abort', onCancel);
    options.kill.removeEventListener('abort', onKill);
  }
  return record.view();
}

async function walkToEnd(walk: Walk, run: Run): Promise<void> {
  const inFlight = new Map<number, Promise<number>>();
  try {
    for (;;) {
      if (run.record.isCancelled) stopNew(walk);
      for (let ready = takeReady(walk); ready.length > 0; ready = takeReady(walk))
        for (const index of ready) inFlight.set(index, untilEnded(run, index));
      if (inFlight.size === 0) return;
      const index = await Promise.race(inFlight.values());
      inFlight.delete(index);
      // One that a cancel kept from starting has no end yet: it is skipped with all that never ran.
      const outcome = run.record.outcomeOf(index) ?? (run.record.isCancelled ? 'cancelled' : undefined);
      if (outcome === undefined) throw new Error(`Operation ${run.operations[index]?.name} came to no end.`);
      endOperation(walk, index, outcome);
    }
  } finally {
    // After a fault of ours: what is in flight has no more say, and its handlers are stopped with the pool.
    for (const promise of inFlight.values()) promise.catch(() => undefined);
  }
}

/** Resolves with its index when the Operation has its end in the record, or a cancel kept it from starting. */
async function untilEnded(run: Run, index: number): Promise<number> {
  const { name, type } = run.operations[index] as Operation;
  const key = { agendaId: run.record.agendaId, attempt, operation: name };
  if (residents.has(type) && !run.mocks.has(type)) {
    await perform(run, key);
    return index;
  }
  for (let tries = 1; run.record.outcomeOf(index) === undefined; tries++) {
    const wait = await tryOnce(run, { ...key, type }, tries);
    if (wait > 0) await delay(wait, undefined, { signal: run.cancel }).catch(() => undefined);
    if (!run.cancel.aborted) continue;
    // Between two launches nothing runs that would report.
    run.record.endUnreported(index, 'cancelled');
    break;
  }
  return index;
}

/** The pool worker's step, as Temporal would begin it; resolves with the wait before the next one. */
async function tryOnce({ pool, cancel }: Run, key: Parameters<typeof runOperation>[2], tries: number): Promise<number> {
  const now = Date.now();
  const activity: OperationActivity = {
    info: { attempt: tries, scheduledTimestampMs: now, currentAttemptScheduledTimestampMs: now },
    cancellationSignal: cancel,
    get cancellationDetails() {
      return cancel.aborted ? { cancelRequested: true } : undefined;
    },
    heartbeat: () => undefined,
  };
  try {
    await runOperation(pool.worker, activity, key);
    return 0;
  } catch (error) {
    if (cancel.aborted) return 0;
    // These three are the ways in which it asks to be begun again; any other fault is one of this program.
    if (!(error instanceof ApplicationFailure && ['later', 'lost', 'blocked'].includes(error.type ?? ''))) throw error;
    return Number(error.nextRetryDelay ?? 1_000);
  }
}

/** What the control worker does with an Operation of a resident type. */
async function perform(
  { record, said }: Run,
  key: { readonly agendaId: string; readonly attempt: number; readonly operation: string },
): Promise<void> {
  const now = Date.now();
  const where = { place: 'control', launcher: 'resident', worker: `control ${process.pid}` };
  const verdict = await record.startOperation({ ...key, ...where, scheduledTime: now, pulledTime: now });
  if (verdict.verdict !== 'run') return;
  await record.finishOperation(residentEnd(key, verdict, (message) => said(key.operation, message)));
}
