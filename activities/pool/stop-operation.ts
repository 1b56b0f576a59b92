import { failureOf } from '../../agenda/failure.ts';
import { fenceOf } from '../../messages/resource-pool.ts';
import type { OperationKey } from '../../workflows/activities.ts';
import { type OperationActivity, type PoolWorker, type ReachableRun, runsOf } from './parts.ts';

/** Runs found by their identity have no registry entry at hand that says how long they may take to end. */
export const unknownGraceSeconds = 10;
/** Longest time a stop waits to have the end acknowledged; what is not is reported by the reaper. */
const reportMilliseconds = 30_000;

/**
 * Stops whatever runs of an Operation in this worker's reach and resolves when it is gone; `stopped` is false when
 * there was nothing. What runs out of reach (another host, another process's functions) hears of a cancel with its next
 * beat.
 */
export async function stopOperation(
  pool: PoolWorker,
  activity: OperationActivity,
  key: OperationKey,
): Promise<{ stopped: boolean }> {
  const runs = await runsOf(pool, key);
  await Promise.all(runs.map((run) => stopReachable(pool, run, activity.cancellationSignal)));
  return { stopped: runs.length > 0 };
}

/**
 * Stops one run, reports it cancelled and forgets it once that is acknowledged. An activity here that follows it does
 * the latter two itself.
 */
export async function stopReachable(
  pool: PoolWorker,
  { launcher, known }: ReachableRun,
  signal?: AbortSignal,
): Promise<void> {
  const followed = pool.running.follows(known.key);
  await launcher.stop(known.key, unknownGraceSeconds);
  if (followed) return;
  const who = { agendaId: known.agendaId, attempt: known.attempt, operation: known.operation, launch: known.launch };
  const limits = [AbortSignal.timeout(reportMilliseconds), pool.shutdown];
  // A stop that is itself cancelled or let go has done its part by now; its report is tried all the same.
  if (signal !== undefined && !signal.aborted) limits.push(signal);
  try {
    const { verdict } = await pool.client.finishOperation(
      {
        ...fenceOf(known),
        outcome: 'cancelled',
        ending: 'cancelled',
        ...failureOf('cancelled'),
        diagnosticEvents: [{ code: 'cancelled', message: 'The run was stopped.', time: Date.now() }],
        noticedTime: Date.now(),
      },
      AbortSignal.any(limits),
    );
    pool.log.info({ ...who, verdict }, 'run stopped');
  } catch (error) {
    pool.log.warn({ ...who, err: error }, 'a run was stopped, but its end could not be reported yet');
    return;
  }
  await launcher.forget(known.key);
}
