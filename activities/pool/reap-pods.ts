import type { Context } from '@temporalio/activity';
import type { PodReapAnswer, PodReapOrder } from '../../messages/pod-reaping.ts';
import type { PoolWorker } from './parts.ts';

/** A round of the PodReaper, where this worker launches Pods. */
export async function reapPods(pool: PoolWorker, activity: Context, order: PodReapOrder): Promise<PodReapAnswer> {
  if (pool.reapPods === undefined) return { pods: 0, namespaces: 0, kept: 0, complete: true };
  const answer = await pool.reapPods(order, () => activity.heartbeat());
  if (answer.pods > 0 || answer.namespaces > 0 || !answer.complete)
    pool.log.info(
      { ...answer, logOnly: order.logOnly },
      order.logOnly ? 'ended Pods would be deleted' : 'ended Pods reaped',
    );
  return answer;
}
