/** Long polls: one loop per process asks for all that wait, in one query each round, and only while somebody waits. */
import { setTimeout as delay } from 'node:timers/promises';
import { endedProgress } from '../../db/agenda/read-progress.ts';
import type { Database } from '../../db/connect.ts';

interface Waiter {
  readonly id: string;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** How they wait. */
export interface ProgressWaitersOptions {
  /** Between two questions; default 250 ms. */
  readonly everyMilliseconds?: number;
  /** Once it aborts nobody waits any more: they ask again, and another process answers. */
  readonly drain?: AbortSignal;
}

/** Requests of this process that wait for an AgendaProgress to end. */
export class ProgressWaiters {
  readonly #database: Database;
  readonly #everyMilliseconds: number;
  readonly #drain: AbortSignal | undefined;
  readonly #waiters = new Set<Waiter>();
  #looping = false;

  constructor(database: Database, { everyMilliseconds = 250, drain }: ProgressWaitersOptions = {}) {
    this.#database = database;
    this.#everyMilliseconds = everyMilliseconds;
    this.#drain = drain;
    drain?.addEventListener('abort', () => {
      for (const waiter of this.#waiters) waiter.done();
    });
  }

  /** How many wait now. */
  get size(): number {
    return this.#waiters.size;
  }

  /**
   * Resolves when this AgendaProgress is COMPLETE or gone, when the time is up, when `signal` aborts, or the process
   * is told to go.
   * @throws what the database throws
   */
  async untilEnded(id: string, milliseconds: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { id, done: resolve, failed: reject };
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', waiter.done, { once: true });
    this.#waiters.add(waiter);
    if (!this.#looping) void this.#loop();
    try {
      if (!signal.aborted && this.#drain?.aborted !== true) await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', waiter.done);
      this.#waiters.delete(waiter);
    }
  }

  async #loop(): Promise<void> {
    this.#looping = true;
    while (this.#waiters.size > 0) {
      const asked = [...this.#waiters];
      try {
        const ended = new Set(await endedProgress(this.#database, [...new Set(asked.map((waiter) => waiter.id))]));
        for (const waiter of asked) if (ended.has(waiter.id)) waiter.done();
      } catch (error) {
        // Those who asked are told; whoever comes next tries again.
        for (const waiter of asked) waiter.failed(error);
      }
      await delay(this.#everyMilliseconds);
    }
    this.#looping = false;
  }
}
