/** The baseline: what Temporal alone needs for the same number of remote activities that do nothing. */
import { proxyActivities } from '@temporalio/workflow';

const { noOp } = proxyActivities<{ noOp(): Promise<void> }>({
  taskQueue: 'bare-activities',
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '60 s',
});

export async function bareChain({ length }: { length: number }): Promise<void> {
  for (let step = 0; step < length; step++) await noOp();
}

export async function bareFan({ width }: { width: number }): Promise<void> {
  await Promise.all(Array.from({ length: width }, () => noOp()));
}
