/** Runs one handler on this machine as a pool worker would, for its author to try it. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finishItem } from '../activities/pool/report-end.ts';
import { type ReportedEnd, reportedEnd } from '../db/operation/reported-end.ts';
import { InProcessLauncher } from '../launchers/in-process/in-process-launcher.ts';
import { launchKey } from '../launchers/launch-key.ts';
import {
  type Ending,
  type HandlerProgress,
  type HandlerRun,
  LaunchError,
  type Launcher,
} from '../launchers/launcher.ts';
import { LocalLauncher } from '../launchers/local/local-launcher.ts';
import { fileNames } from '../launchers/local/run-files.ts';
import type { HandlerSettings } from '../launchers/registry.ts';
import { compileCache } from '../process/cache-folder.ts';
import { followOutput } from './follow-output.ts';

/** What is run, and who hears of it. */
export interface HandlerTrial {
  readonly type: string;
  readonly settings: HandlerSettings;
  /** JSON text. */
  readonly payload: string;
  /** The OperationProgress of an earlier run, JSON text. */
  readonly lastProgress?: string;
  /** Aborts: the handler is asked to end. */
  readonly cancel: AbortSignal;
  /** Aborts: it is killed. */
  readonly kill: AbortSignal;
  readonly progress: (progress: HandlerProgress) => void;
  /** A line of its output. */
  readonly output: (line: string) => void;
}

/** Output is told as it comes, so as much as possible is kept until it was. */
const mostLogBytes = 16 * 1024 * 1024;

/**
 * Runs it to its end, and tells what the record of a server would say of that.
 * @throws when it cannot be started now, such as without memory
 */
export async function tryHandler(trial: HandlerTrial): Promise<ReportedEnd> {
  const root = mkdtempSync(join(tmpdir(), 'pop-run-'));
  try {
    const run = runOf(trial);
    const launcher =
      run.settings.launch === 'inProcess'
        ? new InProcessLauncher({ worker: `local ${process.pid}` })
        : new LocalLauncher({ root, compileCache });
    const output = followOutput(join(root, run.key, fileNames.log), trial.output);
    const ending = await launchToEnd(launcher, run, trial).finally(() => output.stop());
    return reportedEnd(finishItem({ run }, ending, Date.now()), trial.cancel.aborted);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function runOf({ type, settings, payload, lastProgress }: HandlerTrial): HandlerRun {
  const fence = { agendaId: randomUUID(), attempt: 1, operation: type, operationAttempt: 1, launch: 1 };
  return {
    ...fence,
    key: launchKey(fence),
    ...{
      type,
      cid: randomUUID(),
      customerId: 'local',
      operationId: type,
      progressId: `${randomUUID()}-${type}`,
      payload,
    },
    ...(lastProgress === undefined ? {} : { lastProgress }),
    settings: settings.launch === 'local' ? { ...settings, logBytes: mostLogBytes } : settings,
  };
}

async function launchToEnd(launcher: Launcher, run: HandlerRun, trial: HandlerTrial): Promise<Ending> {
  const { cancel, kill } = trial;
  const failures = new AbortController();
  const stopWith = (graceSeconds: number) => () =>
    void launcher.stop(run.key, graceSeconds).catch((error: unknown) => failures.abort(error));
  const [onCancel, onKill] = [stopWith(run.settings.graceSeconds), stopWith(0)];
  try {
    await launcher.start(run);
    cancel.addEventListener('abort', onCancel, { once: true });
    kill.addEventListener('abort', onKill, { once: true });
    if (cancel.aborted) onCancel();
    return await launcher.follow(run, { progress: trial.progress, started: () => undefined }, failures.signal);
  } catch (error) {
    if (!(error instanceof LaunchError)) throw error;
    const time = Date.now();
    const { code, message } = error;
    return { kind: 'failed', code, diagnosticEvents: [{ code, message, time }], endedTime: time };
  } finally {
    cancel.removeEventListener('abort', onCancel);
    kill.removeEventListener('abort', onKill);
  }
}
