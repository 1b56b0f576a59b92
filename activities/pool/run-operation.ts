/**
 * One Operation, from the question what to run to the acknowledged report of its end:
 *
 *   ask ──ended, over──▶ return                          (nothing to do, or not ours)
 *    │ ──cancelled─────▶ stop what runs here, return
 *    ▼ run
 *   start or adopt ─▶ follow ─▶ report the end ─▶ forget, return
 *    ▲                  │
 *    └── lost ──────────┘                                (a new launch, at most five times in a row)
 *
 * It can be interrupted everywhere, by Temporal or by the ResourcePool service's answer to a beat; `interrupted` says
 * what becomes of the run then. The rule: a run is stopped only by who is certain that nobody else is its owner now.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Context } from '@temporalio/activity';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { launchKey } from '../../launchers/launch-key.ts';
import { type Ending, type HandlerRun, LaunchError, type Launcher } from '../../launchers/launcher.ts';
import { withLimits } from '../../launchers/registry.ts';
import { fenceOf, type StartVerdict } from '../../messages/resource-pool.ts';
import type { OperationKey } from '../../workflows/activities.ts';
import type { PoolWorker } from './parts.ts';
import { forget, type HeldLaunch, reportEnd } from './report-end.ts';
import { type RunningOperation, ToldByService } from './running-operations.ts';
import { ServiceRefused } from './service-errors.ts';
import { stopOperation } from './stop-operation.ts';

/** After so many launches lost one after the other the fault is not the hosts'. */
const mostLostInRow = 5;

/** Everything one activity knows of what it does. */
interface Work {
  readonly pool: PoolWorker;
  readonly activity: Context;
  readonly key: OperationKey;
  readonly running: RunningOperation;
  /** The launch it is responsible for. */
  launch?: HeldLaunch;
}

/** Runs an Operation to its recorded end. Rejects only when Temporal is to try again, or was told to cancel. */
export async function runOperation(pool: PoolWorker, activity: Context, key: OperationKey): Promise<void> {
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
  const { pool, activity, running, key } = work;
  const { inProcess, local } = pool.launchers;
  const times = { scheduledTime: Math.round(activity.info.scheduledTimestampMs), pulledTime: Date.now() };
  let lostLaunch: number | undefined;
  let lostInRow = 0;
  for (;;) {
    const verdict = await pool.client.startOperation(
      { ...key, place: local.place, worker: pool.name, ...times, ...(lostLaunch === undefined ? {} : { lostLaunch }) },
      running.signal,
    );
    if (verdict.verdict === 'cancelled') await stopOperation(pool, activity, key);
    if (verdict.verdict !== 'run') return;

    const run = handlerRunOf(key, verdict);
    const settings = pool.registry.settingsFor(verdict.type);
    if (settings === undefined) {
      const types = [...pool.registry.current.types.keys()].join(', ') || 'none';
      const where = `in resource pool ${pool.resourcePoolId} (registered: ${types})`;
      const message = `No handler is registered for operation type "${verdict.type}" ${where}.`;
      return reportEnd(
        pool,
        activity,
        { run, graceSeconds: 0, askedTime: Date.now() },
        failedWith('unknownOperationType', message),
      );
    }
    // A function lives in one process only. That this is a retry and the run is not here means: it was in another.
    const isElsewhere =
      settings.launch === 'inProcess' &&
      activity.info.attempt > 1 &&
      lostLaunch === undefined &&
      !inProcess.holds(run.key);
    if (isElsewhere) {
      lostLaunch = run.launch;
      continue;
    }
    const launcher = pool.launchers[settings.launch];
    const launch: HeldLaunch = { run, launcher, graceSeconds: settings.graceSeconds, askedTime: Date.now() };
    work.launch = launch;
    const ending = await launchAndFollow(work, launch, launcher, {
      ...run,
      settings: withLimits(settings, verdict.timeout),
    });
    running.ended();
    if (ending.kind === 'lost' && ++lostInRow < mostLostInRow) {
      const who = { cid: run.cid, agendaId: run.agendaId, operation: run.operation, launch: run.launch };
      pool.log.warn({ ...who, reason: ending.message }, 'launch lost, it is repeated');
      lostLaunch = run.launch;
      delete work.launch;
      await delay(50 * 3 ** (lostInRow - 1), undefined, { signal: running.signal });
      continue;
    }
    launch.ending = ending;
    return reportEnd(pool, activity, launch, ending);
  }
}

async function launchAndFollow(
  { running }: Work,
  launch: HeldLaunch,
  launcher: Launcher,
  run: HandlerRun,
): Promise<Ending> {
  running.launched(run.key, fenceOf(run));
  try {
    launch.adopted = (await launcher.start(run)).adopted;
  } catch (error) {
    if (error instanceof LaunchError) return failedWith(error.code, error.message);
    throw error;
  }
  launch.follow = (signal) => launcher.follow(run, { progress: () => {}, started: () => {} }, signal);
  return launcher.follow(
    run,
    { progress: (progress) => running.reported(progress), started: (startedTime) => running.started(startedTime) },
    running.signal,
  );
}

/** What becomes of the run when the activity is interrupted, by the reason of the interruption. */
async function interrupted(work: Work): Promise<void> {
  const { pool, activity, key, running, launch } = work;
  const { reason } = running.signal;
  running.ended();
  if (reason instanceof ToldByService) {
    if (launch === undefined) return;
    if (reason.verdict === 'over') await drop(pool, launch);
    else await stopAndReport(work, launch);
    return;
  }
  const why = activity.cancellationDetails;
  // The process ends or Temporal's user wants a pause: the run goes on, and whoever comes next adopts it.
  if (why?.workerShutdown || why?.paused) throw letGo(why.paused ? reason : undefined);
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

/** What a stopped run left: its times and its log. */
async function endingOf(pool: PoolWorker, launch: HeldLaunch): Promise<Ending | undefined> {
  try {
    return await launch.follow?.(AbortSignal.timeout(5_000));
  } catch (error) {
    pool.log.warn({ err: error, key: launch.run.key }, 'the log of a cancelled run could not be read');
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
  key: OperationKey,
  verdict: Extract<StartVerdict, { verdict: 'run' }>,
): Omit<HandlerRun, 'settings'> {
  const { agendaId, attempt, operation } = key;
  const { operationAttempt, launch, type, cid, customerId, operationId, progressId, payload, lastProgress } = verdict;
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
    ...(lastProgress === undefined ? {} : { lastProgress }),
  };
}

function failedWith(code: string, message: string): Ending {
  const time = Date.now();
  return { kind: 'failed', diagnosticEvents: [{ code, message, time }], endedTime: time };
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
