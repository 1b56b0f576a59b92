/**
 * What becomes of a run whose activity is interrupted, or which ended while no activity followed it. The rule: a run is
 * stopped only by who is certain that nobody else is its owner now.
 *
 *   the service said  over          stop, forget
 *                     ended         it may come to its own end; its log is kept
 *                     cancelled     stop, report
 *   Temporal said     shutdown      let go: the next worker adopts it; what ends with this process is asked to end
 *                     pause         let go
 *                     gone, late    let go, and forget it if the service says that it is over
 *                     reset         stop, forget; an end that was reached is the next attempt's to report
 *                     cancel        stop, report
 */
import type { Ending, FollowEvents } from '../../launchers/launcher.ts';
import { fenceOf } from '../../messages/resource-pool.ts';
import type { OperationKey } from '../../workflows/activities.ts';
import { type OperationActivity, type PoolWorker, runsOf } from './parts.ts';
import { forget, type HeldLaunch, reportEnd } from './report-end.ts';
import { type RunningOperation, ToldByService } from './running-operations.ts';
import { stopOperation } from './stop-operation.ts';
import { letGo } from './temporal-failures.ts';

/** The process itself is forced to end soon after. */
const mostShutdownGraceSeconds = 10;

/** Of a run that is followed for what it left. */
export const silent: FollowEvents = { progress: () => undefined, started: () => undefined };

/** Everything one activity knows of what it does. */
export interface Work {
  readonly pool: PoolWorker;
  readonly activity: OperationActivity;
  readonly key: OperationKey;
  readonly running: RunningOperation;
  /** The launch it is responsible for. */
  launch?: HeldLaunch;
}

/** What becomes of the run when the activity is interrupted, by the reason of the interruption. */
export async function interrupted(work: Work): Promise<void> {
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
export async function concludeLeft(work: Work): Promise<void> {
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
