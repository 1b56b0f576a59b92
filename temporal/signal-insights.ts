import { wakeSignal } from '../workflows/messages.ts';
import { admissionWorkflowType } from '../workflows/names.ts';
import type { TemporalClient } from './connect.ts';

/** Signals admission workflows of these Insights, starting those that do not run. */
export async function signalWoken(client: TemporalClient, insightIds: readonly string[]): Promise<void> {
  await Promise.all(
    insightIds.map((insightId) =>
      client.workflow.signalWithStart(admissionWorkflowType, {
        workflowId: client.names.admissionWorkflow(insightId),
        taskQueue: client.names.admissionQueue,
        args: [{ insightId }],
        signal: wakeSignal,
        staticSummary: `admission of Insight ${insightId}`.slice(0, 200),
      }),
    ),
  );
}
