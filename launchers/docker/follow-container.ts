/**
 * Follows one run from wanted to ended:
 *
 *   wanted ──image here──▶ created ──▶ running ──▶ ended: its ending
 *     │  ▲                    │           │
 *     │  └── nobody starts it ┘           └──removed by somebody──▶ lost
 *     ├── the image is not here: pulled, again and again, until scheduledSeconds are over
 *     └── stopped, or refused by the engine: that is its ending
 *
 * The engine and the run directory hold all of it, so any worker can follow from any point, and several may at once.
 * A container is started only by who created it, by its id and once; one that nobody started is removed and made anew.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cut } from '../../agenda/cut.ts';
import { mostMessageCharacters } from '../../messages/limits.ts';
import { lastReportTime } from '../last-report.ts';
import { type Ending, type FollowEvents, LaunchError } from '../launcher.ts';
import { failedWith } from '../outcome.ts';
import { ProgressFile } from '../run-directory/progress-file.ts';
import { handlerFileNames, type RefusedRecord, recordNames, type StopOrder } from '../run-directory/records.ts';
import { readRecord } from '../run-directory/regular-file.ts';
import { recordOnce } from '../run-directory/run-directories.ts';
import { stopped } from '../run-directory/stopped.ts';
import type { Watcher } from '../run-directory/watcher.ts';
import { endingOf, isOfNoEnd } from './container-ending.ts';
import { lastLineTime, readContainerLog } from './container-log.ts';
import type { DockerRun } from './docker-run.ts';
import { type ContainerFacts, type Engine, EngineAway, EngineRefused } from './engine.ts';
import type { Images } from './images.ts';
import { placeLabel } from './labels.ts';
import { type LaunchParts, launchContainer } from './launch-container.ts';
import { Outages } from './outages.ts';
import { patiently, pause } from './patience.ts';
import { bootId, boxOf, readStop, type StartedRecord, type WantedRecord } from './run-directory.ts';
import { stopContainer } from './stop-container.ts';

/** Longer than a worker that goes on living takes from creating a container to starting it. */
const startPatienceMilliseconds = 15_000;
/** Between two looks at a running container; its end is told at once by an engine that is well. */
const slowLookMilliseconds = 60_000;
/** An engine that is about to go down ends its containers first. */
const settleMilliseconds = 2_000;
const longestRetryMilliseconds = 15_000;
const noLog = { output: '', totalBytes: 0 };

/** What all that follow on one launcher share. */
export interface FollowParts extends LaunchParts {
  readonly images: Images;
  readonly watcher: Watcher;
}

/** A run that is followed. It keeps what it has seen, so that it tells only what is new. */
export class FollowedContainer {
  readonly #parts: FollowParts;
  readonly #engine: Engine;
  readonly #run: DockerRun;
  readonly #directory: string;
  readonly #events: FollowEvents;
  readonly #signal: AbortSignal;
  readonly #failure = new AbortController();
  readonly #progress: ProgressFile;
  readonly #outages = new Outages();
  #isPulled = false;
  #tries = 0;
  #trouble: string | undefined;
  #toldStart: number | undefined;
  #isStopping = false;
  #lastSign = 0;
  #isListening = false;

  constructor(parts: FollowParts, run: DockerRun, directory: string, events: FollowEvents, signal: AbortSignal) {
    this.#parts = parts;
    this.#engine = parts.engine;
    this.#run = run;
    this.#directory = directory;
    this.#events = events;
    this.#signal = AbortSignal.any([signal, this.#failure.signal]);
    this.#progress = new ProgressFile(join(boxOf(directory), handlerFileNames.progress));
  }

  async untilEnded(): Promise<Ending> {
    for (;;) {
      const container = await this.#ask(() => this.#engine.inspect(this.#run.key));
      // Another's with the same name, made meanwhile, is neither ended nor removed.
      if (container !== undefined && container.labels[placeLabel] !== this.#parts.place)
        return failedWith('nameTaken', `A container of something else has the name ${this.#run.key}.`);
      const ending = container === undefined ? await this.#absent() : await this.#present(container);
      if (ending !== undefined) return ending;
    }
  }

  async #present(container: ContainerFacts): Promise<Ending | undefined> {
    if (container.state === 'ended') return this.#end(container);
    if (container.state === 'running') await this.#untilChanged(container);
    else if (readStop(this.#directory) !== undefined || Date.now() > container.createdTime + startPatienceMilliseconds)
      await this.#ask(() => this.#engine.remove(container.id));
    else await pause(100, this.#signal);
    return undefined;
  }

  /** Nothing of it is in the engine: it was not created yet, must not be, or was removed. */
  async #absent(): Promise<Ending | undefined> {
    const wanted = readRecord<WantedRecord>(this.#directory, recordNames.run);
    if (wanted === undefined) return { kind: 'lost', code: 'lost', message: 'The run is not here.' };
    const refused = readRecord<RefusedRecord>(this.#directory, recordNames.refused);
    if (refused !== undefined) return failedWith(refused.code, refused.message);
    const stop = readStop(this.#directory);
    const started = readRecord<StartedRecord>(this.#directory, recordNames.started);
    if (stop !== undefined) return { ...stopped(stop, noLog, stop.stoppedTime), endedTime: stop.stoppedTime };
    if (started !== undefined) {
      const progress = this.#look();
      const message = 'The container was removed before its end was seen.';
      return { kind: 'lost', code: 'deleted', message, ...(progress !== undefined && { progress }) };
    }
    const deadline = wanted.wantedTime + this.#run.settings.scheduledSeconds * 1_000;
    if (Date.now() > deadline) this.#giveUp();
    else if (await this.#hasImage(deadline)) await this.#launch();
    return undefined;
  }

  async #launch(): Promise<void> {
    try {
      if (!(await launchContainer(this.#parts, this.#run, this.#directory))) await pause(100, this.#signal);
    } catch (error) {
      // The reason is in the run directory, or in the engine when that is back: the next look finds it.
      if (!(error instanceof LaunchError) && !(error instanceof EngineAway)) throw error;
    }
  }

  /** Durable, so that all who follow tell the same. */
  #giveUp(): void {
    const { image, scheduledSeconds } = this.#run.settings;
    if (this.#trouble !== undefined) {
      const message = `The image ${image} could not be had within scheduledSeconds = ${scheduledSeconds}`;
      recordOnce(this.#directory, recordNames.refused, {
        code: 'imageUnavailable',
        message: `${message}: ${this.#trouble}`,
      });
      return;
    }
    recordOnce(this.#directory, recordNames.stop, {
      reason: 'timedOut',
      limit: 'scheduled',
      seconds: scheduledSeconds,
      stoppedTime: Date.now(),
      graceSeconds: 0,
    });
  }

  /** False when it has to be tried again, or must not be any more. */
  async #hasImage(deadline: number): Promise<boolean> {
    const { image, pullAlways } = this.#run.settings;
    if (!pullAlways || this.#isPulled) if (await this.#ask(() => this.#parts.images.isHere(image))) return true;
    const isDue = () => Date.now() > deadline || readStop(this.#directory) !== undefined;
    const { watcher } = this.#parts;
    const done = new AbortController();
    const signal = AbortSignal.any([this.#signal, done.signal]);
    const due = watcher.until(this.#directory, isDue, signal).catch((error: unknown) => {
      if (!done.signal.aborted) throw error;
    });
    try {
      const pull = this.#parts.images.pull(image, (words) => this.#say(`The image ${image} is being pulled: ${words}`));
      await Promise.race([pull, due]);
      if (isDue()) return false;
      this.#isPulled = true;
      this.#trouble = undefined;
      return true;
    } catch (error) {
      if (!(error instanceof EngineRefused) && !(error instanceof EngineAway)) throw error;
      if (error instanceof EngineRefused) this.#trouble = error.message;
      this.#say(`The image ${image} cannot be had yet, it is tried again: ${error.message}`);
      this.#tries += 1;
      await Promise.race([due, pause(Math.min(500 * 2 ** this.#tries, longestRetryMilliseconds), signal)]);
      return false;
    } finally {
      done.abort();
    }
  }

  #say(message: string): void {
    this.#events.progress({ message: cut(message, mostMessageCharacters) });
  }

  /** Returns when the container is to be looked at again. */
  async #untilChanged(container: ContainerFacts): Promise<void> {
    const { startedTime } = container;
    if (startedTime !== undefined && this.#toldStart !== startedTime) {
      this.#toldStart = startedTime;
      this.#events.started(startedTime);
    }
    // Its creator may have died before it wrote this.
    if (!existsSync(join(this.#directory, recordNames.started)))
      recordOnce(this.#directory, recordNames.started, { container: container.id, boot: bootId() });
    const done = new AbortController();
    const signal = AbortSignal.any([this.#signal, done.signal]);
    const waited = this.#engine.wait(
      container.id,
      AbortSignal.any([signal, AbortSignal.timeout(slowLookMilliseconds)]),
    );
    const watched = this.#parts.watcher.until(boxOf(this.#directory), () => this.#watch(container), signal);
    watched.catch(() => undefined);
    try {
      const isAnswered = await Promise.race([waited, watched]);
      if (isAnswered === false) this.#outages.away();
      // An engine that has no word for the moment between running and ended is not asked without a pause.
      await pause(10, this.#signal);
    } finally {
      done.abort();
    }
  }

  /** One look at what needs no engine. */
  #watch(container: ContainerFacts): boolean {
    const news = this.#look();
    if (news !== undefined) this.#events.progress(news);
    if (this.#isStopping) return false;
    // The worker that began to stop it may be dead. So finish the stop, with the grace that was given then.
    const begun = readStop(this.#directory);
    if (begun !== undefined) this.#stop(begun);
    else this.#holdLimits(container);
    return false;
  }

  #look() {
    return existsSync(this.#directory) ? this.#progress.look() : undefined;
  }

  #stop(order: StopOrder): void {
    this.#isStopping = true;
    stopContainer(this.#engine, this.#run.key, this.#directory, order).catch((error: unknown) =>
      this.#failure.abort(error),
    );
  }

  /** Limits count from the engine's times, so a follower that restarts gives no new time. */
  #holdLimits({ id, startedTime = Date.now() }: ContainerFacts): void {
    const now = Date.now();
    const { runSeconds, quietSeconds, graceSeconds, contract } = this.#run.settings;
    if (runSeconds !== undefined && now - startedTime > runSeconds * 1_000) {
      this.#stop({ reason: 'timedOut', limit: 'run', seconds: runSeconds, graceSeconds });
      return;
    }
    if (quietSeconds === undefined || this.#isListening) return;
    const isQuiet = () =>
      Date.now() - Math.max(startedTime, this.#progress.changedTime, this.#lastSign) > quietSeconds * 1_000;
    if (!isQuiet()) return;
    // Engine and service are asked only when nothing else speaks for the handler: once in each such time.
    this.#isListening = true;
    const lastLine = this.#ask(() => lastLineTime(this.#engine, id, Math.max(startedTime, this.#lastSign - 1_000)));
    Promise.all([lastLine, lastReportTime(this.#events)])
      .then(([lineTime, reportTime]) => {
        this.#lastSign = Math.max(this.#lastSign, lineTime ?? 0, reportTime);
        if (!isQuiet() || this.#isStopping) return;
        // POP tolerates a handler that reported its end and then does not exit.
        const isComplete = contract === 'pop1' && this.#progress.report?.outcome !== undefined;
        if (isComplete) this.#stop({ reason: 'complete', graceSeconds });
        else this.#stop({ reason: 'timedOut', limit: 'quiet', seconds: quietSeconds, graceSeconds });
      })
      .catch((error: unknown) => {
        // A container that is gone has no limits.
        if (!(error instanceof EngineRefused)) this.#failure.abort(error);
      })
      .finally(() => {
        this.#isListening = false;
      });
  }

  async #end(container: ContainerFacts): Promise<Ending | undefined> {
    const stop = readStop(this.#directory);
    const isTaken = stop === undefined && isOfNoEnd(container) && (await this.#wentDown(container));
    const { logBytes } = this.#run.settings;
    const log = await this.#ask(async () => {
      try {
        return await readContainerLog(this.#engine, container.id, logBytes);
      } catch (error) {
        if (error instanceof EngineRefused && error.isUnknown) return undefined;
        throw error;
      }
    });
    // Removed in this very moment: the next look says so.
    if (log === undefined) return undefined;
    if (container.startedTime !== undefined && this.#toldStart !== container.startedTime)
      this.#events.started(container.startedTime);
    const news = this.#look();
    if (news !== undefined) this.#events.progress(news);
    const box = boxOf(this.#directory);
    return endingOf({ run: this.#run, container, log, progress: this.#progress, box, stop, isTaken });
  }

  /** Whether engine or host went down about when the container ended. */
  async #wentDown({ id, endedTime }: ContainerFacts): Promise<boolean> {
    const started = readRecord<StartedRecord>(this.#directory, recordNames.started);
    if (started !== undefined && started.boot !== bootId()) return true;
    if (this.#outages.covers(endedTime)) return true;
    await pause(settleMilliseconds, this.#signal);
    await this.#ask(() => this.#engine.inspect(id));
    return this.#outages.covers(endedTime);
  }

  #ask<T>(question: () => Promise<T>): Promise<T> {
    return patiently(question, this.#signal, this.#outages);
  }
}
