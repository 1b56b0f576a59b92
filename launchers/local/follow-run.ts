/** Looks at a run: finds what is new, which limit is broken, and whether the run is over. */
import { existsSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { lastReportTime } from '../last-report.ts';
import type { Ending, FollowEvents } from '../launcher.ts';
import { ProgressFile } from '../run-directory/progress-file.ts';
import type { StopRecord } from '../run-directory/records.ts';
import { readRecord } from '../run-directory/regular-file.ts';
import { claimHolder } from './claim.ts';
import { endingOf } from './ending.ts';
import type { LocalRun } from './local-run.ts';
import { LogCutter } from './log-cutter.ts';
import { isAlive, isGroupAlive, signalGroup } from './process-identity.ts';
import { type ExitRecord, fileNames, type StartedRecord } from './run-files.ts';

/** The limit that was broken, to be recorded as the reason of the stop. */
export type Breach = { reason: 'timedOut'; limit: 'quiet' | 'run'; seconds: number } | { reason: 'complete' };

/** A run that is followed, look by look. It keeps what it has seen, so that each look tells only what is new. */
export class FollowedRun {
  readonly #run: LocalRun;
  readonly #directory: string;
  readonly #events: FollowEvents;
  readonly #progress: ProgressFile;
  readonly #cutter: LogCutter;
  #started: StartedRecord | undefined;
  #reportTime = 0;

  constructor(run: LocalRun, directory: string, events: FollowEvents) {
    this.#run = run;
    this.#directory = directory;
    this.#events = events;
    this.#progress = new ProgressFile(join(directory, fileNames.progress));
    this.#cutter = new LogCutter(join(directory, fileNames.log), run.settings.logBytes);
  }

  /** Looks once, and tells `events` what is new. It returns the ending once the run is over. */
  look(): Ending | undefined {
    if (!existsSync(this.#directory)) return { kind: 'lost', code: 'lost', message: 'The run directory is gone.' };
    // Read this before looking at the processes: a process that is found dead afterwards had its last word already.
    const exit = readRecord<ExitRecord>(this.#directory, fileNames.exit);
    if (this.#started === undefined) {
      this.#started = readRecord<StartedRecord>(this.#directory, fileNames.started);
      if (this.#started !== undefined) this.#events.started(this.#started.startedTime);
    }
    const news = this.#progress.look();
    if (news !== undefined) this.#events.progress(news);
    // The shim writes `exit.json` last of all. Such a file is the handler's own while the handler lives.
    if (exit !== undefined && (this.#started === undefined || !isGroupAlive(this.#started))) return this.#end(exit);
    return this.#started === undefined ? this.#lookUnstarted() : this.#lookRunning(this.#started);
  }

  /** Asks for the signs of life that are not in the run directory. */
  async listen(): Promise<void> {
    this.#reportTime = Math.max(this.#reportTime, await lastReportTime(this.#events));
  }

  /**
   * The limit that is broken at this moment. Limits count from stored times, so a follower that restarts gives no new
   * time.
   */
  breach(now: number): Breach | undefined {
    const started = this.#started;
    if (started === undefined) return undefined;
    const { runSeconds, quietSeconds, contract } = this.#run.settings;
    if (runSeconds !== undefined && now - started.startedTime > runSeconds * 1_000)
      return { reason: 'timedOut', limit: 'run', seconds: runSeconds };
    if (quietSeconds === undefined) return undefined;
    const log = lstatSync(join(this.#directory, fileNames.log), { throwIfNoEntry: false });
    const lastSign = Math.max(
      started.startedTime,
      this.#progress.changedTime,
      this.#reportTime,
      log !== undefined && log.size > 0 ? log.mtimeMs : 0,
    );
    if (now - lastSign <= quietSeconds * 1_000) return undefined;
    // POP tolerates a handler that reported its end and then does not exit.
    if (contract === 'pop1' && this.#progress.report?.outcome !== undefined) return { reason: 'complete' };
    return { reason: 'timedOut', limit: 'quiet', seconds: quietSeconds };
  }

  #lookUnstarted(): Ending | undefined {
    const holder = claimHolder(this.#directory);
    if (holder !== undefined && isAlive(holder)) return undefined;
    // The holder may have started it just before it died.
    if (existsSync(join(this.#directory, fileNames.started))) return undefined;
    return this.#end(undefined);
  }

  #lookRunning(started: StartedRecord): Ending | undefined {
    const isShimAlive = isAlive(started.shim);
    if (isAlive(started)) {
      if (!isShimAlive) this.#cutter.cutIfDue();
      return undefined;
    }
    // The shim is about to write the ending.
    if (isShimAlive) return undefined;
    const exit = readRecord<ExitRecord>(this.#directory, fileNames.exit);
    if (exit !== undefined) return this.#end(exit);
    if (isGroupAlive(started)) {
      signalGroup(started, 'SIGKILL');
      return undefined;
    }
    return this.#end(undefined);
  }

  #end(exit: ExitRecord | undefined): Ending {
    const news = this.#progress.look();
    if (news !== undefined) this.#events.progress(news);
    const stop = readRecord<StopRecord>(this.#directory, fileNames.stop);
    return endingOf({
      run: this.#run,
      directory: this.#directory,
      progress: this.#progress,
      started: this.#started,
      exit,
      stop,
    });
  }
}
