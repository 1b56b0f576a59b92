/**
 * A pool worker tells the ResourcePool service of itself: which Operation types it serves, what a run of each needs and
 * what is wrong with its registry. Before it takes work, at once when the registry changes, and now and then as a sign
 * of life. Admission charges by it, and submissions are checked by it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { cut } from '../../agenda/cut.ts';
import { maximumNameLength } from '../../agenda/types.ts';
import type { LiveRegistry } from '../../launchers/live-registry.ts';
import { needsOf } from '../../launchers/needs.ts';
import { mostProblemCharacters } from '../../messages/limits.ts';
import { signOfLifeSeconds, type WorkerReport } from '../../messages/resource-pool.ts';
import manifest from '../../package.json' with { type: 'json' };
import { SettingError } from '../../process/environment.ts';
import { patiently } from '../../process/patiently.ts';
import { ServiceRefused } from './service-errors.ts';

/** Who tells, of what, to whom. */
export interface WorkerTellerOptions {
  readonly report: (report: WorkerReport) => Promise<void>;
  /** This worker's name in the record. */
  readonly worker: string;
  /** Operations that it runs at once. */
  readonly slots: number;
  readonly registry: Pick<LiveRegistry, 'current' | 'error'>;
  readonly log: Logger;
  /** Between two looks at the registry; 1 s. */
  readonly lookMilliseconds?: number;
  /** Between two signs of life. */
  readonly signOfLifeMilliseconds?: number;
}

/** Longest wait between two tries while the service does not answer. */
const longestWaitMilliseconds = 5_000;
/** An end that cannot be told soon is noticed by its silence. */
const farewellMilliseconds = 2_000;

/** Tells, from `start` to `close`. */
export class WorkerTeller {
  readonly #options: WorkerTellerOptions;
  readonly #startedTime = Date.now();
  readonly #lookMilliseconds: number;
  readonly #signOfLifeMilliseconds: number;
  readonly #closing = new AbortController();
  #telling: Promise<void> = Promise.resolve();
  #closed: Promise<void> | undefined;
  /** What the service was told last, without times; and when. */
  #told = '';
  #toldTime = Number.NEGATIVE_INFINITY;

  constructor(options: WorkerTellerOptions) {
    this.#options = options;
    this.#lookMilliseconds = options.lookMilliseconds ?? 1_000;
    this.#signOfLifeMilliseconds = options.signOfLifeMilliseconds ?? signOfLifeSeconds * 1_000;
  }

  /**
   * Resolves once the service has been told, from when on it is told of every change until the signal aborts. @throws
   * SettingError when the service takes no such registry; the signal's reason once it aborts
   */
  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await patiently(
      () => this.#tell(),
      signal,
      (error, isFirst) => {
        if (error instanceof ServiceRefused && error.isAboutContent)
          throw new SettingError(`the api refuses what this pool worker tells of its registry: ${error.message}`);
        if (isFirst) this.#options.log.warn({ err: error }, 'the api cannot be told of this pool worker; trying on');
      },
    );
    this.#telling = this.#goOn();
    const close = () => void this.close();
    if (signal.aborted) close();
    else signal.addEventListener('abort', close, { once: true });
  }

  /** As `start`; false when it was asked to end before the service had been told. @throws SettingError */
  async hasTold(signal: AbortSignal): Promise<boolean> {
    try {
      await this.start(signal);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      throw error;
    }
  }

  /** Says that it takes no more work, if the service can be told soon. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    const enough = new AbortController();
    const farewell = this.#telling
      .then(() => (this.#told === '' ? undefined : this.#options.report({ ...this.#reportNow(), leaving: true })))
      .catch((error: unknown) => this.#options.log.debug({ err: error }, 'the api was not told of the end'));
    const patience = delay(farewellMilliseconds, undefined, { signal: enough.signal }).catch(() => undefined);
    await Promise.race([farewell, patience]);
    enough.abort();
  }

  /** A look after the other, none before the one before it was answered. */
  async #goOn(): Promise<void> {
    const { signal } = this.#closing;
    for (let troubles = 0; ; ) {
      const wait = troubles === 0 ? this.#lookMilliseconds : longestWaitMilliseconds;
      await delay(wait, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        if (this.#isDue()) await this.#tell();
        troubles = 0;
      } catch (error) {
        if (troubles++ === 0)
          this.#options.log.warn({ err: error }, 'the api cannot be told of the registry; trying on');
      }
    }
  }

  #isDue(): boolean {
    return (
      performance.now() - this.#toldTime >= this.#signOfLifeMilliseconds ||
      JSON.stringify(this.#reportNow()) !== this.#told
    );
  }

  async #tell(): Promise<void> {
    const report = this.#reportNow();
    await this.#options.report(report);
    this.#told = JSON.stringify(report);
    this.#toldTime = performance.now();
  }

  #reportNow(): WorkerReport {
    const { worker, slots, registry } = this.#options;
    // Looking at the registry is what notices an edit.
    const { types, digest } = registry.current;
    const problem = registry.error?.message.toWellFormed().replaceAll('\0', '\uFFFD');
    return {
      ...{ worker, version: manifest.version, slots, startedTime: this.#startedTime, registryDigest: digest },
      types: Object.fromEntries(
        [...types].filter(([type]) => isSubmittable(type)).map(([type, settings]) => [type, needsOf(settings)]),
      ),
      ...(problem === undefined ? {} : { registryProblem: cut(problem, mostProblemCharacters - 1) }),
    };
  }
}

/** No Agenda can have an Operation of another type. */
const isSubmittable = (type: string): boolean =>
  type !== '' && type.length <= maximumNameLength && type.isWellFormed() && !type.includes('\0');
