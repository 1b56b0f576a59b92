/**
 * The baseline: what Temporal alone needs for the same number of workflows, and of remote activities that do nothing.
 */
import { proxyActivities, proxyLocalActivities } from '@temporalio/workflow';

const { noOp } = proxyActivities<{ noOp(): Promise<void> }>({
  taskQueue: 'bare-activities',
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '60 s',
});

const { noOp: localNoOp } = proxyLocalActivities<{ noOp(): Promise<void> }>({ startToCloseTimeout: '30 s' });
const { noOp: unpolledNoOp } = proxyActivities<{ noOp(): Promise<void> }>({
  taskQueue: 'bare-unpolled',
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '60 s',
});

/**
 * Its first task is like ours: a step of its own, then an activity. Nobody takes the activity, so the workflow goes no
 * further.
 */
export async function bareStart(): Promise<void> {
  await localNoOp();
  await unpolledNoOp();
}

/** `length` activities, one after the other. */
export async function bareChain({ length }: { length: number }): Promise<void> {
  for (let step = 0; step < length; step++) await noOp();
}

/** `width` activities at once. */
export async function bareFan({ width }: { width: number }): Promise<void> {
  await Promise.all(Array.from({ length: width }, () => noOp()));
}
