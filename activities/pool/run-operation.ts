/**
 * One Operation, from the question what to run to the acknowledged report of its end:
 *
 *   ask ──ended, over──▶ return                          (nothing to do, or not ours)
 *    │ ──cancelled─────▶ stop what runs here, return
 *    │ ──later─────────▶ let Temporal call again then      (this slot is free meanwhile)
 *    │ ──elsewhere─────▶ the same: others serve its type
 *    ▼ run
 *   start or adopt ─▶ follow ─▶ report the end ─▶ forget, return
 *    │                             │
 *    │ cannot be started now       │ again                 (the launch was lost: the service says when another begins)
 *    ▼                             ▼
 *   say so, let Temporal call again then
 *
 * It can be interrupted everywhere, by Temporal or by the ResourcePool service's answer to a beat; interrupted.ts
 * says what becomes of the run then.
 */
import type { ApplicationFailure } from '@temporalio/common';
import { cut } from '../../agenda/cut.ts';
import { waitWhileBlocked } from '../../agenda/infrastructure-budget.ts';
import { launchKey } from '../../launchers/launch-key.ts';
import { type Ending, type HandlerRun, LaunchError, type Launcher } from '../../launchers/launcher.ts';
import { failedWith } from '../../launchers/outcome.ts';
import { withLimits } from '../../launchers/registry.ts';
import { elsewhere, fenceOf, type StartOperationItem, type StartVerdict } from '../../messages/resource-pool.ts';
import type { OperationKey } from '../../workflows/activities.ts';
import { concludeLeft, interrupted, silent, type Work } from './interrupted.ts';
import { launcherAt, type OperationActivity, type PoolWorker, placesOf } from './parts.ts';
import { abandon, type HeldLaunch, reportEnd } from './report-end.ts';
import { stopOperation, unknownGraceSeconds } from './stop-operation.ts';
import { callAgain, forTemporal } from './temporal-failures.ts';

/** Verdicts of the service that this worker knows beyond those of version 0.1.0. */
const understands = ['later', elsewhere];
/** Longest reason for which something cannot be started. */
const mostReasonCharacters = 2_000;

/** Runs an Operation to its recorded end. Rejects only when Temporal is to try again, or was told to cancel. */
export async function runOperation(pool: PoolWorker, activity: OperationActivity, key: OperationKey): Promise<void> {
  const work: Work = { pool, activity, key, running: pool.running.enter(activity) };
  try {
    await untilEnded(work);
  } catch (error) {
    if (!work.running.signal.aborted) throw forTemporal(error, activity.info.attempt);
    await interrupted(work);
  } finally {
    pool.running.leave(work.running);
  }
}

async function untilEnded(work: Work): Promise<void> {
  const { pool, activity, key } = work;
  const verdict = await ask(work);
  if (verdict.verdict === 'later') throw callAgain('later', 'Its time has not come.', verdict.inMilliseconds);
  if (verdict.verdict === 'elsewhere') throw callAgain('elsewhere', verdict.reason, verdict.inMilliseconds);
  if (verdict.verdict === 'cancelled') await stopOperation(pool, activity, key);
  if (verdict.verdict === 'ended') await concludeLeft(work);
  if (verdict.verdict !== 'run') return;

  const run = handlerRunOf(pool, key, verdict);
  const settings = pool.registry.settingsFor(verdict.type);
  if (settings === undefined) {
    const types = [...pool.registry.current.types.keys()].join(', ') || 'none';
    const where = `in resource pool ${pool.resourcePoolId} (registered: ${types})`;
    const message = `No handler is registered for operation type "${verdict.type}" ${where}.`;
    const unregistered = { run, graceSeconds: 0, askedTime: Date.now() };
    await reportEnd(pool, activity, unregistered, failedWith('unknownOperationType', message));
    return;
  }
  const launcher = pool.launchers[settings.launch];
  if (launcher === undefined) throw new Error(`This pool worker has no launcher for "launch": "${settings.launch}".`);
  const launch: HeldLaunch = { run, launcher, graceSeconds: settings.graceSeconds, askedTime: Date.now() };
  work.launch = launch;
  const ending = await launchAndFollow(work, launch, launcher, {
    ...run,
    settings: withLimits(settings, verdict.timeout),
  });
  work.running.ended();
  pool.metrics?.ended(settings.launch, ending);
  launch.ending = ending;
  const reported = await reportEnd(pool, activity, launch, ending);
  if (reported.verdict !== 'again') return;
  // Its run is forgotten: whatever interrupts now finds nothing to stop.
  delete work.launch;
  throw callAgain('lost', `Launch ${run.launch} was lost; another one follows.`, reported.inMilliseconds);
}

/** Asks what to run, and where this worker launches it. */
async function ask({ pool, activity, running, key }: Work): Promise<StartVerdict> {
  const item: StartOperationItem = {
    ...typedAsk(pool, key),
    ...placesOf(pool),
    worker: pool.name,
    understands,
    scheduledTime: Math.round(activity.info.scheduledTimestampMs),
    pulledTime: Date.now(),
  };
  const verdict = await pool.client.startOperation(item, running.signal);
  if (verdict.verdict !== 'run' || verdict.place === undefined) return verdict;
  const home = launcherAt(pool, verdict.place);
  const settings = pool.registry.settingsFor(verdict.type);
  if (home === undefined || settings === undefined || home === pool.launchers[settings.launch]) return verdict;
  // The registry was edited while it ran, so it begins anew at its type's own place.
  const again = await pool.client.startOperation({ ...item, lostLaunch: verdict.launch }, running.signal);
  // Only now that it counts no more for anybody.
  const { key: name } = handlerRunOf(pool, key, verdict);
  await home.stop(name, unknownGraceSeconds);
  await home.forget(name);
  return again;
}

/**
 * The Operation with the launcher of its type; without its type, which workflow code of version 0.1.0 does not tell,
 * with those of all.
 */
function typedAsk(pool: PoolWorker, { agendaId, attempt, operation, type }: OperationKey) {
  const key = { agendaId, attempt, operation };
  if (type === undefined) {
    const launchers = [...pool.registry.current.types].map(([name, { launch }]) => [name, launch] as const);
    return { ...key, launchers: Object.fromEntries(launchers) };
  }
  const launcher = pool.registry.settingsFor(type)?.launch;
  return { ...key, type, ...(launcher === undefined ? {} : { launcher }) };
}

async function launchAndFollow(work: Work, launch: HeldLaunch, launcher: Launcher, run: HandlerRun): Promise<Ending> {
  const { running, activity } = work;
  const { metrics } = work.pool;
  const kind = run.settings.launch;
  running.launched(run.key, fenceOf(run));
  try {
    launch.adopted = (await launcher.start(run)).adopted;
    metrics?.launch(kind, launch.adopted ? 'adopted' : 'started');
  } catch (error) {
    if (error instanceof LaunchError) return failedWith(error.code, error.message);
    if (running.signal.aborted) throw error;
    metrics?.launch(kind, 'blocked');
    throw await blocked(work, launch, error);
  }
  launch.follow = (signal) => launcher.follow(run, silent, signal);
  return launcher.follow(
    run,
    {
      progress: (progress) => running.reported(progress),
      started: (startedTime) => {
        running.started(startedTime);
        if (launch.adopted !== true)
          metrics?.started(kind, startedTime - activity.info.currentAttemptScheduledTimestampMs);
      },
      lastReport: () => lastReport(work.pool, run),
    },
    running.signal,
  );
}

/** When the handler last reported by itself, as the service knows it. @throws when it cannot say */
async function lastReport(pool: PoolWorker, run: HandlerRun): Promise<number | undefined> {
  const [answer] = await pool.client.reportProgress([fenceOf(run)]);
  if (answer === undefined || 'refused' in answer) throw answer?.refused ?? new Error('There was no answer.');
  // The next beat hears the same, and knows what to do.
  if (answer.verdict.verdict !== 'ok') throw new Error(`The launch is ${answer.verdict.verdict}.`);
  return answer.verdict.reportedTime;
}

/**
 * Its place cannot start it now: the record says so, and the same launch is tried again later, after ever longer waits.
 */
async function blocked({ pool, activity }: Work, launch: HeldLaunch, error: unknown): Promise<ApplicationFailure> {
  const { run } = launch;
  const reason = cut((error instanceof Error ? error.message : String(error)).toWellFormed(), mostReasonCharacters);
  pool.log.warn(
    { err: error, cid: run.cid, agendaId: run.agendaId, operation: run.operation, launch: run.launch },
    'a launch cannot be started now, it is tried again',
  );
  if (!(await abandon(pool, launch))) throw error;
  const wait = await tellBlocked(pool, run, reason);
  // Without an answer there is nothing but the number of tries to go by.
  const blind = () => waitWhileBlocked(1_000 * 2 ** Math.min(activity.info.attempt - 1, 10), Math.random());
  return callAgain('blocked', reason, wait ?? blind());
}

/** Until when to wait, as the service says; undefined when it cannot say. */
async function tellBlocked(pool: PoolWorker, run: HeldLaunch['run'], reason: string): Promise<number | undefined> {
  try {
    const fence = fenceOf(run);
    const [answer] = await pool.client.reportProgress([{ ...fence, worker: pool.name, blocked: { reason } }]);
    if (answer === undefined || 'refused' in answer) throw answer?.refused ?? new Error('There was no answer.');
    return answer.verdict.verdict === 'ok' ? answer.verdict.inMilliseconds : 0;
  } catch (error) {
    pool.log.warn({ err: error, key: run.key }, 'that a launch cannot be started could not be reported');
    return undefined;
  }
}

function handlerRunOf(
  pool: PoolWorker,
  key: OperationKey,
  verdict: Extract<StartVerdict, { verdict: 'run' }>,
): Omit<HandlerRun, 'settings'> {
  const { agendaId, attempt, operation } = key;
  const { operationAttempt, launch, type, cid, customerId, operationId, progressId, payload } = verdict;
  const { insightId, namespace, lastProgress, token } = verdict;
  return {
    key: launchKey({ agendaId, attempt, operation, operationAttempt, launch }),
    agendaId,
    attempt,
    operation,
    operationAttempt,
    launch,
    type,
    cid,
    customerId,
    operationId,
    progressId,
    payload,
    ...(insightId === undefined ? {} : { insightId }),
    ...(namespace === undefined ? {} : { customerNamespace: namespace }),
    ...(lastProgress === undefined ? {} : { lastProgress }),
    ...(token === undefined ? {} : { report: { url: pool.url, token } }),
  };
}
