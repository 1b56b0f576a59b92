/** Follows the log of a tool's container through broken connections, line by line. */
import { setTimeout as delay } from 'node:timers/promises';
import { waitAfter } from '../backoff.ts';
import { type KubernetesClient, KubernetesRefusal } from '../kubernetes/client.ts';
import { linesOf } from './lines.ts';
import { LogCursor } from './log-cursor.ts';
import { toolContainer } from './pod-state.ts';
import { podPath } from './watch-pod.ts';

const backoff = { firstMilliseconds: 200, mostMilliseconds: 5_000 };
/** How long a stream may stay open after its container has ended: behind a dead connection it would for good. */
const openMilliseconds = 5_000;
/** Readings in a row that may fail once the container has ended. */
const mostLastFailures = 8;

/** Follows one log. */
export class LogFollower {
  readonly #client: KubernetesClient;
  readonly #pod: string;
  readonly #line: (line: string) => void;
  readonly #cursor = new LogCursor();
  readonly #ended = new AbortController();

  constructor(client: KubernetesClient, pod: string, line: (line: string) => void) {
    this.#client = client;
    this.#pod = pod;
    this.#line = line;
  }

  /** The container has ended: what is written is all, and one more reading finds it. */
  end(): void {
    this.#ended.abort();
  }

  /** Until all that the container wrote is handed on. @throws the signal's reason; or when the log cannot be read */
  async follow(signal: AbortSignal): Promise<void> {
    for (let failures = 0; ; ) {
      const isLast = this.#ended.signal.aborted;
      try {
        await this.#read(!isLast, signal);
        if (isLast) return;
        failures = 0;
      } catch (error) {
        signal.throwIfAborted();
        failures += 1;
        const isRefused = error instanceof KubernetesRefusal && error.status === 403;
        if (isRefused || (isLast && failures >= mostLastFailures)) throw error;
      }
      // A stream that ends while the container runs was cut, or its end is not known here yet.
      const wait = waitAfter(Math.max(1, failures), backoff);
      await delay(wait, undefined, { signal: AbortSignal.any([signal, this.#ended.signal]) }).catch(() => {});
      signal.throwIfAborted();
    }
  }

  async #read(isFollowing: boolean, signal: AbortSignal): Promise<void> {
    const since = this.#cursor.sinceSecond;
    const query = new URLSearchParams({
      ...{ container: toolContainer, timestamps: 'true', follow: String(isFollowing) },
      ...(since !== undefined && { sinceTime: new Date(since * 1_000).toISOString() }),
    });
    this.#cursor.begin();
    const lines = linesOf((raw) => {
      const line = this.#cursor.take(raw);
      if (line !== undefined) this.#line(line);
    });
    const path = `${podPath(this.#client, this.#pod)}/log?${query}`;
    const limit = new AbortController();
    const close = (): void => void setTimeout(() => limit.abort(), openMilliseconds).unref();
    if (isFollowing) this.#ended.signal.addEventListener('abort', close, { once: true });
    try {
      const both = AbortSignal.any([signal, limit.signal]);
      const response = await this.#client.open({ method: 'GET', path, signal: both });
      for await (const chunk of response) lines.write(chunk as Buffer);
    } finally {
      this.#ended.signal.removeEventListener('abort', close);
    }
    // Half a line while it follows comes again whole; at the end it is the last line.
    if (isFollowing) lines.forget();
    else lines.end();
  }
}
