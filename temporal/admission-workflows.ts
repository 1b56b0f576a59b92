import { admissionTaskQueue, admissionWorkflowId, admissionWorkflowType } from '../workflows/names.ts';
import type { TemporalClient } from './connect.ts';

/** Starts the admission workflow of an Insight anew, ending the one that runs: for one that does not get on. */
export async function replaceAdmission(client: TemporalClient, insightId: string): Promise<void> {
  await client.workflow.start(admissionWorkflowType, {
    workflowId: admissionWorkflowId(insightId),
    taskQueue: admissionTaskQueue,
    args: [{ insightId }],
    workflowIdConflictPolicy: 'TERMINATE_EXISTING',
  });
}
