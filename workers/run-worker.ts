/** Runs Workers of Temporal for as long as their process is to go on. */
import type { Worker } from '@temporalio/worker';
import { DrainTimeoutError, type Shutdown } from '../process/shutdown.ts';

/**
 * Resolves when the Worker has ended in order, after the shutdown began. @throws DrainTimeoutError when what was under
 * way did not end in its time: Temporal has it done elsewhere; else what ends the Worker
 */
export async function runWorker(worker: Worker, shutdown: Shutdown, drainSeconds: number): Promise<void> {
  let lateFrom = Number.POSITIVE_INFINITY;
  const shutDown = () => {
    lateFrom = performance.now() + drainSeconds * 1_000;
    if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  const ended = worker.run();
  shutdown.signal.addEventListener('abort', shutDown);
  // Asked to end while it was being made.
  if (shutdown.signal.aborted) shutDown();
  try {
    await ended;
  } catch (error) {
    // A Worker that was made to end falls apart in whatever way.
    throw performance.now() < lateFrom ? error : new DrainTimeoutError(drainSeconds, { cause: error });
  } finally {
    shutdown.signal.removeEventListener('abort', shutDown);
  }
}
