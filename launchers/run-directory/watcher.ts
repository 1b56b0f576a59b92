/**
 * One watcher for all runs of a launcher. A directory event tells at once, and one timer for all runs catches what
 * events do not tell.
 */
import { type FSWatcher, watch } from 'node:fs';

/** Dead processes, limits and a growing log make no event; nor does a file system that cannot watch. */
const tickMilliseconds = 500;

/** Watches the run directories of one launcher. */
export class Watcher {
  readonly #looks = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * Calls `look` soon after anything changed in the directory, and at every tick, until the returned function is
   * called.
   */
  watch(directory: string, look: () => void): () => void {
    let isDue = false;
    const lookSoon = () => {
      if (isDue) return;
      isDue = true;
      // A file written by rename makes several events at once: they are one look.
      setImmediate(() => {
        isDue = false;
        if (this.#looks.has(look)) look();
      });
    };
    const events = this.#events(directory, lookSoon);
    this.#looks.add(look);
    this.#timer ??= setInterval(() => {
      for (const each of this.#looks) each();
    }, tickMilliseconds);
    return () => {
      events?.close();
      this.#looks.delete(look);
      if (this.#looks.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  /** Resolves when `isDone` returns true. Rejects with the signal's reason, or with what `isDone` throws. */
  async until(directory: string, isDone: () => boolean, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (isDone()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const close = this.watch(directory, () => {
      try {
        if (isDone()) resolve();
      } catch (error) {
        reject(error);
      }
    });
    const abort = () => reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      // A change between the first look and the watch makes no event.
      if (isDone()) return;
      await promise;
    } finally {
      close();
      signal?.removeEventListener('abort', abort);
    }
  }

  #events(directory: string, changed: () => void): FSWatcher | undefined {
    try {
      const events = watch(directory, changed);
      // Too many watches, or the directory is gone: the timer goes on alone.
      events.on('error', () => events.close());
      return events;
    } catch {
      return undefined;
    }
  }
}
