/**
 * Whether a Worker of this process still comes for work. Its poll may hang for good behind a proxy that lost the
 * connection and did not say so; the process looks well then and does nothing. Temporal knows who came lately.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { TemporalClient } from './connect.ts';
import { isPolledBy, type QueueType } from './task-queue-pollers.ts';

/** Which Worker is watched, and how. */
export interface PollerWatchOptions {
  readonly client: TemporalClient;
  readonly queue: string;
  readonly type: QueueType;
  readonly identity: string;
  /** Whether it should come for work now; one that has its hands full does not. */
  readonly isWanted: () => boolean;
  readonly signal: AbortSignal;
  /** So long gone that a new process is better; default 10 minutes. */
  readonly longestMilliseconds?: number;
  /** Between two looks; default 30 s. */
  readonly everyMilliseconds?: number;
}

/**
 * Looks until the signal aborts. The answer is asked for what is wrong: undefined, also while Temporal does not answer,
 * for then a new process would not do better.
 */
export function watchPoller({
  longestMilliseconds = 600_000,
  everyMilliseconds = 30_000,
  ...options
}: PollerWatchOptions): () => string | undefined {
  let goneSince: number | undefined;
  void (async () => {
    while (!options.signal.aborted) {
      goneSince = (await isWell(options)) ? undefined : (goneSince ?? performance.now());
      await delay(everyMilliseconds, undefined, { signal: options.signal, ref: false }).catch(() => undefined);
    }
  })();
  return () => {
    const gone = goneSince === undefined ? 0 : performance.now() - goneSince;
    if (gone < longestMilliseconds || options.signal.aborted) return undefined;
    return `Temporal has not seen this worker at "${options.queue}" for ${Math.round(gone / 1000)} s`;
  };
}

async function isWell({ client, queue, type, identity, isWanted }: PollerWatchOptions): Promise<boolean> {
  if (!isWanted()) return true;
  try {
    return await client.withDeadline(Date.now() + 10_000, () => isPolledBy(client, queue, type, identity));
  } catch {
    // Whatever keeps the answer away: it says nothing of the poll.
    return true;
  }
}
