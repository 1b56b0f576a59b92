/** Ends runs: SIGTERM to the handler's process group, some grace, SIGKILL, until nothing of it is left. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { StopOrder, StopRecord } from '../run-directory/records.ts';
import { readRecord } from '../run-directory/regular-file.ts';
import { recordOnce, runDirectories } from '../run-directory/run-directories.ts';
import { errorCode } from '../run-directory/system-errors.ts';
import { Watcher } from '../run-directory/watcher.ts';
import { claimHolder } from './claim.ts';
import { isAlive, isGroupAlive, signalGroup } from './process-identity.ts';
import { fileNames, type StartedRecord } from './run-files.ts';

/** Resolves when the handler and its group are gone; at once when there is no such run or it is over. */
export async function stopRun(directory: string, order: StopOrder, watcher: Watcher): Promise<void> {
  if (!existsSync(directory)) return;
  const running = readRecord<StartedRecord>(directory, fileNames.started);
  // A handler that wrote its own ending and goes on is stopped all the same.
  if (existsSync(join(directory, fileNames.exit)) && (running === undefined || !isGroupAlive(running))) return;
  const stoppedTime = Date.now();
  // First the reason, then the signal: whoever sees the handler die can tell why.
  const isFirst = recordOnce(directory, fileNames.stop, { ...order, stoppedTime });
  const recorded = readRecord<StopRecord>(directory, fileNames.stop);
  const killTime = Math.min(
    stoppedTime + order.graceSeconds * 1_000,
    recorded === undefined ? stoppedTime : recorded.stoppedTime + recorded.graceSeconds * 1_000,
  );
  let isAsked = !isFirst;
  await watcher.until(directory, () => {
    const started = readRecord<StartedRecord>(directory, fileNames.started);
    if (started === undefined) return isUnstartedGone(directory);
    if (!isGroupAlive(started)) return existsSync(join(directory, fileNames.exit)) || !isAlive(started.shim);
    if (!isAsked) {
      isAsked = true;
      signalGroup(started, 'SIGTERM');
    }
    if (Date.now() >= killTime) signalGroup(started, 'SIGKILL');
    return false;
  });
}

/**
 * Stops every run under the root, for an orderly end of its place: each is `lost` and runs again when its place is
 * back.
 */
export async function stopAll(root: string, graceSeconds = 10): Promise<void> {
  const watcher = new Watcher();
  const runs = runDirectories(root);
  await Promise.all(runs.map((directory) => stopRun(directory, { reason: 'shutdown', graceSeconds }, watcher)));
}

/**
 * The shim that holds the run has not opened the gate, so ending this shim ends everything. Later shims see the reason
 * and start nothing.
 */
function isUnstartedGone(directory: string): boolean {
  const holder = claimHolder(directory);
  if (holder === undefined || !isAlive(holder)) return !existsSync(join(directory, fileNames.started));
  try {
    process.kill(holder.pid, 'SIGKILL');
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
  return false;
}
