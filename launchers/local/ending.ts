/** Makes the Ending of a run out of what its directory says. */
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { Ending } from '../launcher.ts';
import { outcomeOf } from '../outcome.ts';
import type { ProgressFile } from '../run-directory/progress-file.ts';
import type { StopRecord } from '../run-directory/records.ts';
import { resultOfFile } from '../run-directory/result-file.ts';
import { stopped } from '../run-directory/stopped.ts';
import type { LocalRun } from './local-run.ts';
import { readLog } from './read-log.ts';
import { type ExitRecord, fileNames, type StartedRecord } from './run-files.ts';

const fewestFreeBytes = 65_536;

/** The facts of a run of which nothing is alive any more. */
export interface Remains {
  readonly run: LocalRun;
  readonly directory: string;
  readonly progress: ProgressFile;
  readonly started?: StartedRecord | undefined;
  readonly exit?: ExitRecord | undefined;
  readonly stop?: StopRecord | undefined;
}

/**
 * Decides how the run ended. A recorded stop decides before the exit does: a handler that heeds SIGTERM and exits 0 has
 * not done its work.
 */
export function endingOf(remains: Remains): Ending {
  const { run, directory, started, exit, stop, progress } = remains;
  const log = readLog(join(directory, fileNames.log), run.settings.logBytes, exit?.droppedBytes);
  const endedTime = exit?.endedTime ?? (stop !== undefined ? Date.now() : undefined);
  const common = {
    ...(started !== undefined && { startedTime: started.startedTime }),
    ...(endedTime !== undefined && { endedTime }),
    ...(started !== undefined && { log }),
    ...(progress.report !== undefined && { progress: progress.report.progress }),
  };
  if (stop !== undefined && stop.reason !== 'complete')
    return { ...stopped(stop, log, endedTime, progress), ...common };
  if (exit === undefined && stop === undefined) {
    const unseen =
      'The handler is gone and nothing saw how it ended: ' +
      'its host restarted, or it was killed together with its shim';
    return isDiskFull(directory)
      ? { kind: 'lost', code: 'diskFull', message: `${unseen}. The disk of its run directory is full.`, ...common }
      : { kind: 'lost', code: 'lost', message: `${unseen}.`, ...common };
  }
  return {
    ...outcomeOf({
      settings: run.settings,
      exitCode: exit?.exitCode ?? undefined,
      ...(exit?.signal != null && { signal: exit.signal }),
      time: exit?.endedTime ?? Date.now(),
      log,
      reported: progress,
      resultFile: () => resultOfFile(join(directory, fileNames.result)),
    }),
    ...common,
  };
}

/** So little is left that not even an ending could be written there. */
function isDiskFull(directory: string): boolean {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize < fewestFreeBytes;
}
