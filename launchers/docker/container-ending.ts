/** Makes the Ending of a run out of its container, once that has ended, and of its run directory. */
import { join } from 'node:path';
import type { DiagnosticEvent } from '../../agenda/types.ts';
import { signalOf } from '../exit-signal.ts';
import type { Ending } from '../launcher.ts';
import { lastLines, outcomeOf } from '../outcome.ts';
import type { ProgressFile } from '../run-directory/progress-file.ts';
import { handlerFileNames, type StopRecord } from '../run-directory/records.ts';
import { resultOfFile } from '../run-directory/result-file.ts';
import { stopped } from '../run-directory/stopped.ts';
import type { ContainerLog } from './container-log.ts';
import type { DockerRun } from './docker-run.ts';
import type { ContainerFacts } from './engine.ts';

/** What is left of a container that was started and runs no more. */
export interface Remains {
  readonly run: DockerRun;
  readonly container: ContainerFacts;
  readonly log: ContainerLog;
  readonly progress: ProgressFile;
  readonly box: string;
  readonly stop: StopRecord | undefined;
  /** Its engine or its host went down about when it ended. */
  readonly isTaken: boolean;
}

/**
 * Decides how the run ended. A recorded stop decides before the exit does: a handler that heeds SIGTERM and exits 0 has
 * not done its work.
 */
export function endingOf({ run, container, log: read, progress, box, stop, isTaken }: Remains): Ending {
  const log = { output: read.output, totalBytes: read.totalBytes };
  // Podman reads two clocks, of which that of the end is behind by some milliseconds.
  const endedTime = Math.max(container.endedTime ?? Date.now(), container.startedTime ?? 0);
  const common = {
    ...(container.startedTime !== undefined && { startedTime: container.startedTime }),
    endedTime,
    log,
    ...(progress.report !== undefined && { progress: progress.report.progress }),
  };
  if (stop !== undefined && stop.reason !== 'complete')
    return { ...stopped(stop, log, endedTime, progress), ...common };
  const signal = signalOf(container.exitCode);
  if (isTaken && stop === undefined) {
    const message = 'The container ended with its engine or its host, without an end of its own.';
    return { kind: 'lost', code: 'lost', message, ...common };
  }
  const outcome = outcomeOf({
    settings: run.settings,
    exitCode: container.exitCode,
    ...(signal !== undefined && { signal }),
    time: endedTime,
    log,
    standardOutput: read.standardOutput,
    reported: progress,
    resultFile: () => resultOfFile(join(box, handlerFileNames.result)),
  });
  if (outcome.kind === 'succeeded') return { ...outcome, ...common };
  const cause = causeOf(run, container, log, endedTime);
  return cause === undefined
    ? { ...outcome, ...common }
    : { ...outcome, code: cause.code, diagnosticEvents: [cause.event, ...outcome.diagnosticEvents], ...common };
}

/** Whether a container may not have ended by itself: it was killed, or nothing saw how it ended. */
export const isOfNoEnd = ({ exitCode, endedTime, isOutOfMemory }: ContainerFacts): boolean =>
  !isOutOfMemory &&
  (endedTime === undefined || exitCode < 0 || exitCode === codeOfUnseen || signalOf(exitCode) !== undefined);

/** Docker's, for a container that was gone when the engine came back. */
const codeOfUnseen = 255;

/** What the exit code alone does not tell. */
function causeOf(
  { settings }: DockerRun,
  container: ContainerFacts,
  log: { output: string; totalBytes: number },
  time: number,
): { code: 'outOfMemory' | 'containerNotStarted' | 'signal'; event: DiagnosticEvent } | undefined {
  const { memory } = settings.resources;
  const payload = lastLines(log);
  if (container.isOutOfMemory) {
    const limit = memory === undefined ? 'the memory of its host' : `its memory limit of ${memory}`;
    const message = `The handler was killed because it used more than ${limit}.`;
    return { code: 'outOfMemory', event: { code: 'outOfMemory', message, time, payload } };
  }
  // The init process was started, and there was nothing that it could start in turn.
  if ((container.exitCode === 127 || container.exitCode === 126) && initFault.test(log.output)) {
    const message = 'The program of the container could not be started.';
    return { code: 'containerNotStarted', event: { code: 'containerNotStarted', message, time, payload } };
  }
  if (memory !== undefined && signalOf(container.exitCode) === 'SIGKILL') {
    const message = `The engine does not say who killed it; so ends a handler that uses more than ${memory}, too.`;
    return { code: 'signal', event: { code: 'signal', message, time } };
  }
  return undefined;
}

const initFault = /^(\[FATAL +tini|catatonit.*exec)/m;
