import { admissionWorkflowType } from '../workflows/names.ts';
import type { TemporalClient } from './connect.ts';

/** Starts the admission workflow of an Insight anew, ending the one that runs: for one that does not get on. */
export async function replaceAdmission(client: TemporalClient, insightId: string): Promise<void> {
  await client.workflow.start(admissionWorkflowType, {
    workflowId: client.names.admissionWorkflow(insightId),
    taskQueue: client.names.admissionQueue,
    args: [{ insightId }],
    workflowIdConflictPolicy: 'TERMINATE_EXISTING',
  });
}
