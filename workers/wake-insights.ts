/** Wakes admission: flips the flags of Insights and signals the ones that were not awake. */
import type { Client } from '@temporalio/client';
import { flipWake } from '../db/admission/wake.ts';
import type { Database } from '../db/connect.ts';
import { admissionTaskQueue, admissionWorkflowId, admissionWorkflowType, wakeSignal } from '../workflows/messages.ts';
import type { Log } from './log.ts';

export interface WakeParts {
  readonly database: Database;
  readonly client: Client;
  readonly log: Log;
}

/** To be called after the commit of what there is to see. Never fails its caller: a wake that is lost is left to the sweep. */
export async function wakeInsights({ database, client, log }: WakeParts, insightIds: readonly string[]): Promise<void> {
  if (insightIds.length === 0) return;
  try {
    await signalWoken(client, await flipWake(database, [...new Set(insightIds)]));
  } catch (error) {
    log.warn({ err: error, insightIds }, 'wake failed; the sweep will repeat it');
  }
}

/** Signals admission workflows of these Insights, starting those that do not run. */
export async function signalWoken(client: Client, insightIds: readonly string[]): Promise<void> {
  await Promise.all(
    insightIds.map((insightId) =>
      client.workflow.signalWithStart(admissionWorkflowType, {
        workflowId: admissionWorkflowId(insightId),
        taskQueue: admissionTaskQueue,
        args: [{ insightId }],
        signal: wakeSignal,
        staticSummary: `admission of Insight ${insightId}`.slice(0, 200),
      }),
    ),
  );
}
