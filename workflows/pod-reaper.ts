/** The PodReaper of a pool: a Temporal Schedule starts it now and then, and a worker of the pool does the work. */
import { proxyActivities } from '@temporalio/workflow';
import type { PodReapAnswer } from '../messages/pod-reaping.ts';
import type { PoolActivities } from './activities.ts';
import type { PodReaperInput } from './messages.ts';

/** One round. */
export async function podReaper(input: PodReaperInput): Promise<PodReapAnswer> {
  const { poolQueue, ...reaping } = input;
  const { reapPods } = proxyActivities<Pick<PoolActivities, 'reapPods'>>({
    taskQueue: poolQueue,
    // Nobody serves the pool: the next round will do.
    scheduleToStartTimeout: '1 hour',
    startToCloseTimeout: `${Math.ceil(reaping.mostSeconds) + 60} s`,
    heartbeatTimeout: '60 s',
    retry: { maximumAttempts: 3 },
  });
  return reapPods(reaping);
}
