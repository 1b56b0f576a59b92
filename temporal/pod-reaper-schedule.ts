/** The Schedule that starts the PodReaper of a pool. */
import { ScheduleAlreadyRunning, ScheduleOverlapPolicy } from '@temporalio/client';
import type { PodReaperInput } from '../workflows/messages.ts';
import { podReaperWorkflowType } from '../workflows/names.ts';
import type { TemporalClient } from './connect.ts';

/** How often, and what is cleared away. */
export interface PodReaperSchedule {
  readonly everySeconds: number;
  readonly input: PodReaperInput;
}

/**
 * Makes the Schedule of a pool, or changes it to these settings: those of the worker that started last hold. One that
 * somebody paused stays paused.
 */
export async function keepPodReaperSchedule(
  client: TemporalClient,
  resourcePoolId: string,
  { everySeconds, input }: PodReaperSchedule,
): Promise<void> {
  const scheduleId = client.names.podReaperSchedule(resourcePoolId);
  const action = {
    type: 'startWorkflow',
    workflowType: podReaperWorkflowType,
    workflowId: scheduleId,
    taskQueue: client.names.controlQueue,
    args: [input],
    workflowExecutionTimeout: '2 hours',
  } as const;
  const spec = { intervals: [{ every: everySeconds * 1_000 }] };
  const policies = { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: 60_000 };
  try {
    await client.schedule.create({ scheduleId, action, spec, policies });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    await client.schedule.getHandle(scheduleId).update(({ state }) => ({ action, spec, policies, state }));
  }
}
