/** Who works for a task queue: Temporal knows who polls it. */
import type { TemporalClient } from './connect.ts';

/** A poll lasts a minute; who did not come back since is gone. */
const pollMilliseconds = 75_000;

/** Temporal's `TaskQueueType`. */
const queueTypes = { workflow: 1, activity: 2 } as const;

/** A queue holds tasks of workflows or of activities. */
export type QueueType = keyof typeof queueTypes;

/** Counts those that poll a task queue for its workflows or its activities. @throws while Temporal is away */
export async function countPollers(client: TemporalClient, queue: string, type: QueueType): Promise<number> {
  return (await pollersOf(client, queue, type)).length;
}

/** Whether a worker of this identity polls it. @throws while Temporal is away */
export async function isPolledBy(
  client: TemporalClient,
  queue: string,
  type: QueueType,
  identity: string,
): Promise<boolean> {
  return (await pollersOf(client, queue, type)).some((poller) => poller.identity === identity);
}

async function pollersOf(client: TemporalClient, queue: string, type: QueueType) {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: queue },
    taskQueueType: queueTypes[type],
  });
  const now = Date.now();
  return (pollers ?? []).filter(
    ({ lastAccessTime }) => now - Number(lastAccessTime?.seconds ?? 0) * 1000 < pollMilliseconds,
  );
}
