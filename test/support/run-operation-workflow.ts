/** The smallest workflow that has an Operation run, for tests of the pool worker alone. */
import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { OperationKey, PoolActivities } from '../../workflows/activities.ts';
import { plainNames } from '../../workflows/names.ts';

/** As the Agenda workflow calls it, with a heartbeat timeout that tests can wait for. */
export async function runOneOperation(input: {
  resourcePoolId: string;
  heartbeatSeconds: number;
  operation: OperationKey;
}): Promise<void> {
  const { runOperation } = proxyActivities<PoolActivities>({
    taskQueue: plainNames.poolQueue(input.resourcePoolId),
    startToCloseTimeout: '5 minutes',
    heartbeatTimeout: `${input.heartbeatSeconds} s`,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '100 ms', backoffCoefficient: 1 },
  });
  await runOperation(input.operation);
}
