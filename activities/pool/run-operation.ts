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
 * It can be interrupted everywhere, by Temporal or by the ResourcePool service's answer to a beat; `interrupted` says
 * what becomes of the run then. The rule: a run is stopped only by who is certain that nobody else is its owner now.
 */
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { cut } from '../../agenda/cut.ts';
import { waitWhileBlocked } from '../../agenda/infrastructure-budget.ts';
import { launchKey } from '../../launchers/launch-key.ts';
import {
  type Ending,
  type FollowEvents,
  type HandlerRun,
  LaunchError,
  type Launcher,
} from '../../launchers/launcher.ts';
import { failedWith } from '../../launchers/outcome.ts';
import { withLimits } from '../../launchers/registry.ts';
import { elsewhere, fenceOf, type StartOperationItem, type StartVerdict } from '../../messages/resource-pool.ts';
import type { OperationKey } from '../../workflows/activities.ts';
import { launcherAt, type OperationActivity, type PoolWorker, placesOf, runsOf } from './parts.ts';
import { abandon, forget, type HeldLaunch, reportEnd } from './report-end.ts';
import { type RunningOperation, ToldByService } from './running-operations.ts';
import { ServiceRefused } from './service-errors.ts';
import { stopOperation, unknownGraceSeconds } from './stop-operation.ts';

/** The process itself is forced to end soon after. */
const mostShutdownGraceSeconds = 10;
/** Verdicts of the service that this worker knows beyond those of version 0.1.0. */
const understands = ['later', elsewhere];
/** Longest reason for which something cannot be started. */
const mostReasonCharacters = 2_000;

const silent: FollowEvents = { progress: () => undefined, started: () => undefined };

/** Everything one activity knows of what it does. */
interface Work {
  readonly pool: PoolWorker;
  readonly activity: OperationActivity;
  readonly key: OperationKey;
  readonly running: RunningOperation;
  /** The launch it is responsible for. */
  launch?: HeldLaunch;
}

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

/** What becomes of the run when the activity is interrupted, by the reason of the interruption. */
async function interrupted(work: Work): Promise<void> {
  const { pool, activity, key, running, launch } = work;
  const { reason } = running.signal;
  running.ended();
  if (reason instanceof ToldByService) {
    if (launch === undefined) return;
    if (reason.verdict === 'over') await drop(pool, launch);
    else if (reason.verdict === 'ended') await concludeEnded(work, launch);
    else await stopAndReport(work, launch);
    return;
  }
  const why = activity.cancellationDetails;
  // The process ends or Temporal's user wants a pause: a run goes on where it can, and whoever comes next adopts it.
  if (why?.workerShutdown) {
    // What ends with this process is asked to end now: whoever comes next begins it anew.
    if (launch?.launcher?.survivesWorker === false)
      await launch.launcher.stop(launch.run.key, Math.min(launch.graceSeconds, mostShutdownGraceSeconds));
    throw letGo();
  }
  if (why?.paused) throw letGo(reason);
  if (why?.notFound || why?.timedOut) {
    // This attempt is no longer the one that counts (the process was frozen, or Temporal was away): the next may own
    // the run by now.
    const over = launch !== undefined && (await isOver(pool, launch));
    if (over) await drop(pool, launch);
    pool.log.warn(
      { agendaId: key.agendaId, operation: key.operation, launch: launch?.run.launch, over },
      'let go of an Operation',
    );
    throw letGo();
  }
  if (why?.reset) {
    // Begin anew means a new run, but an end that was reached and only not acknowledged yet is the next attempt's to
    // report.
    if (launch !== undefined && launch.ending === undefined) await drop(pool, launch);
    throw reason;
  }
  if (launch === undefined) await stopOperation(pool, activity, key);
  else await stopAndReport(work, launch);
  throw reason;
}

/** Ends the run and waits until it is gone; its end goes into the record as cancelled, with what it left. */
async function stopAndReport({ pool, activity }: Work, launch: HeldLaunch): Promise<void> {
  await launch.launcher?.stop(launch.run.key, launch.graceSeconds);
  const { startedTime, endedTime, log, progress } = launch.ending ?? (await endingOf(pool, launch)) ?? {};
  await reportEnd(pool, activity, launch, {
    kind: 'cancelled',
    message: 'The Operation was cancelled.',
    endedTime: endedTime ?? Date.now(),
    ...(startedTime === undefined ? {} : { startedTime }),
    ...(log === undefined ? {} : { log }),
    ...(progress === undefined ? {} : { progress }),
  });
}

/**
 * The handler reported the end of its launch by itself, which stands: its process may come to its own end, and its log
 * is kept.
 */
async function concludeEnded({ pool, activity }: Work, launch: HeldLaunch): Promise<void> {
  let ending = await withinGrace(launch, activity.cancellationSignal);
  if (ending === undefined && activity.cancellationDetails?.workerShutdown) throw letGo();
  if (ending === undefined) {
    await launch.launcher?.stop(launch.run.key, launch.graceSeconds);
    ending = await endingOf(pool, launch);
  }
  if (ending === undefined) await forget(pool, launch);
  else await reportEnd(pool, activity, launch, ending);
}

/**
 * It ended in the record while no worker followed it, as when its handler reported its end by itself: what it
 * printed is kept. The Operation has ended all the same, so a trouble with this holds nothing up.
 */
async function concludeLeft(work: Work): Promise<void> {
  const { pool, activity, key } = work;
  const settings = key.type === undefined ? undefined : pool.registry.settingsFor(key.type);
  if (settings === undefined) return;
  try {
    for (const { launcher, known } of await runsOf(pool, key)) {
      if (launcher !== pool.launchers[settings.launch]) continue;
      const unknown = { cid: '', customerId: '', operationId: '', progressId: '', payload: '' };
      const run = { ...known, ...unknown, type: key.type ?? '' };
      const { graceSeconds } = settings;
      const follow = (signal: AbortSignal) => launcher.follow({ ...run, settings }, silent, signal);
      // So the reaper leaves it alone.
      work.running.launched(run.key, fenceOf(run));
      await concludeEnded(work, { run, launcher, graceSeconds, askedTime: Date.now(), adopted: true, follow });
    }
  } catch (error) {
    if (activity.cancellationSignal.aborted) throw error;
    pool.log.warn(
      { err: error, agendaId: key.agendaId, operation: key.operation },
      'what an ended run left is not kept',
    );
  }
}

/** The ending, if the run comes to it before its grace is over and the signal aborts. */
async function withinGrace(launch: HeldLaunch, signal: AbortSignal): Promise<Ending | undefined> {
  if (launch.ending !== undefined) return launch.ending;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(Math.max(1, Math.ceil(launch.graceSeconds * 1_000)))]);
  try {
    return await launch.follow?.(limit);
  } catch (error) {
    if (limit.aborted) return undefined;
    throw error;
  }
}

/** What a stopped run left: its times and its log. */
async function endingOf(pool: PoolWorker, launch: HeldLaunch): Promise<Ending | undefined> {
  try {
    return await launch.follow?.(AbortSignal.timeout(5_000));
  } catch (error) {
    pool.log.warn({ err: error, key: launch.run.key }, 'the log of a stopped run could not be read');
    return undefined;
  }
}

async function drop(pool: PoolWorker, launch: HeldLaunch): Promise<void> {
  await launch.launcher?.stop(launch.run.key, launch.graceSeconds);
  await forget(pool, launch);
}

async function isOver(pool: PoolWorker, { run }: HeldLaunch): Promise<boolean> {
  try {
    const [answer] = await pool.client.reportProgress([fenceOf(run)]);
    return answer !== undefined && 'verdict' in answer && answer.verdict.verdict === 'over';
  } catch (error) {
    pool.log.warn(
      { err: error, key: run.key },
      'it could not be asked whether a launch is over; the reaper will ask again',
    );
    return false;
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

/** Ends this attempt so that Temporal begins the next one then, and nothing here is held until then. */
function callAgain(type: string, message: string, inMilliseconds: number): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message,
    category: ApplicationFailureCategory.BENIGN,
    // 0 would mean: as the retry policy says.
    nextRetryDelay: Math.max(1, Math.round(inMilliseconds)),
  });
}

/**
 * Ends this attempt without an opinion on the run. Thrown as a failure: Temporal retries those wherever a worker is.
 */
function letGo(reason?: unknown): unknown {
  return (
    reason ??
    ApplicationFailure.create({
      type: 'letGo',
      message: 'This worker let go of the Operation.',
      category: ApplicationFailureCategory.BENIGN,
    })
  );
}

/**
 * Infrastructure faults are Temporal's to retry: soon, then ever later, and no faster than someone can mend a setting.
 */
function forTemporal(error: unknown, attempt: number): unknown {
  if (error instanceof ApplicationFailure) return error;
  const message = error instanceof Error ? error.message : String(error);
  const cause = error instanceof Error ? { cause: error } : {};
  if (error instanceof ServiceRefused) {
    return ApplicationFailure.create({
      type: error.code,
      message,
      nonRetryable: error.isAboutContent,
      nextRetryDelay: 10_000,
      ...cause,
    });
  }
  return ApplicationFailure.create({
    type: 'infrastructure',
    message,
    nextRetryDelay: Math.min(30_000, 250 * 2 ** Math.min(attempt - 1, 10)),
    ...cause,
  });
}
