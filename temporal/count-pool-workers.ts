/**
 * Whether anybody works for a ResourcePool: Temporal knows who polls its task queue. Asked for explanations, which are
 * to be quick: an answer is believed for some seconds and renewed behind the caller's back, and where Temporal is slow
 * or away nothing is said.
 */
import type { Logger } from 'pino';
import type { TemporalClient } from './connect.ts';
import { countPollers } from './task-queue-pollers.ts';

const believedMilliseconds = 5_000;
/** The first caller waits this long for Temporal. */
const patienceMilliseconds = 250;
const mostPools = 10_000;

interface Known {
  count: number | undefined;
  time: number;
  asking: Promise<void> | undefined;
}

/** Counts pool workers that poll for a ResourcePool; undefined when that is not known. */
export function poolWorkerCounter(
  client: TemporalClient,
  log: Logger,
): (resourcePoolId: string) => Promise<number | undefined> {
  const pools = new Map<string, Known>();
  return async (resourcePoolId) => {
    let known = pools.get(resourcePoolId);
    if (known === undefined) {
      if (pools.size >= mostPools) pools.clear();
      known = { count: undefined, time: 0, asking: undefined };
      pools.set(resourcePoolId, known);
    }
    const isFirst = known.time === 0;
    if (Date.now() - known.time > believedMilliseconds) known.asking ??= ask(resourcePoolId, known);
    if (isFirst) await known.asking;
    return known.count;
  };

  async function ask(resourcePoolId: string, known: Known): Promise<void> {
    try {
      known.count = await client.withDeadline(Date.now() + patienceMilliseconds, () =>
        countPollers(client, client.names.poolQueue(resourcePoolId), 'activity'),
      );
    } catch (error) {
      log.debug({ err: error, resourcePoolId }, 'who polls for the pool is not known');
      known.count = undefined;
    } finally {
      known.time = Date.now();
      known.asking = undefined;
    }
  }
}
