/**
 * A walker that continues as new right after its claim; the run that follows claims nothing, runs one Operation and
 * ends the Agenda.
 */
import { continueAsNew, proxyActivities, proxyLocalActivities, workflowInfo } from '@temporalio/workflow';
import type { ControlActivities, PoolActivities } from '../../workflows/activities.ts';

const control = proxyLocalActivities<ControlActivities>({ startToCloseTimeout: '30 s' });
const pool = proxyActivities<PoolActivities>({ taskQueue: 'continuing', startToCloseTimeout: '60 s' });

/** Ends the Agenda in its second run. */
export async function agendaWorkflow(key: { agendaId: string; attempt: number }): Promise<void> {
  const { runId, workflowId, firstExecutionRunId: firstRunId, continuedFromExecutionRunId } = workflowInfo();
  const run = { ...key, runId, workflowId, firstRunId };
  if (continuedFromExecutionRunId === undefined) {
    await control.loadPlan(run);
    await continueAsNew(key);
  }
  await pool.runOperation({ ...key, operation: 'only' });
  await control.finishAgenda({ ...run, outcome: 'succeeded' });
}
