/** Ends runs: SIGTERM to the handler's process group, some grace, SIGKILL, until nothing of it is left. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { claimHolder } from './claim.ts';
import { isAlive, isGroupAlive, signalGroup } from './process-identity.ts';
import {
  errorCode,
  fileNames,
  isMissing,
  readRecord,
  type StartedRecord,
  type StopRecord,
  writeOnce,
} from './run-files.ts';
import { Watcher } from './watcher.ts';

type Reason = StopRecord extends infer Each
  ? Each extends StopRecord
    ? Omit<Each, 'stoppedTime' | 'graceSeconds'>
    : never
  : never;

/** The reason of a stop, and the seconds that the handler may take. */
export type StopOrder = Reason & { readonly graceSeconds: number };

/** Resolves when the handler and its group are gone; at once when there is no such run or it is over. */
export async function stopRun(directory: string, order: StopOrder, watcher: Watcher): Promise<void> {
  if (!existsSync(directory)) return;
  const running = readRecord<StartedRecord>(directory, fileNames.started);
  // A handler that wrote its own ending and goes on is stopped all the same.
  if (existsSync(join(directory, fileNames.exit)) && (running === undefined || !isGroupAlive(running))) return;
  const stoppedTime = Date.now();
  // First the reason, then the signal: whoever sees the handler die can tell why.
  const isFirst = recordStop(directory, { ...order, stoppedTime });
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

/** Directories of all runs under the root. */
export function runDirectories(root: string): string[] {
  try {
    return readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => join(root, entry.name));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** False when a reason was there already, or the run was forgotten meanwhile. */
function recordStop(directory: string, record: StopRecord): boolean {
  try {
    return writeOnce(join(directory, fileNames.stop), JSON.stringify(record));
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
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
