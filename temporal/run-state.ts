/** What Temporal says of the workflow of an attempt. */
import {
  type WorkflowExecutionDescription,
  type WorkflowExecutionStatusName,
  WorkflowNotFoundError,
} from '@temporalio/client';
import type { TemporalClient } from './connect.ts';

/**
 * `closed`: it ended, or somebody ended it. `missing`: Temporal does not know it; its server has an older state than
 * the record, as after a power cut or from a backup, or has deleted the workflow since it closed. `stalled`: it is open
 * and will never go on by itself.
 */
export type RunState = 'open' | 'closed' | 'missing' | 'stalled';

/** A workflow task that failed so often fails for good: its history does not fit to the workflow. */
const mostTaskAttempts = 10;

/** A paused run is open, and so is whatever a later server may say: nothing is ended on a guess. */
const closedStatuses: ReadonlySet<WorkflowExecutionStatusName> = new Set([
  'COMPLETED',
  'FAILED',
  'CANCELLED',
  'TERMINATED',
  'CONTINUED_AS_NEW',
  'TIMED_OUT',
]);

/** How the run that claimed an attempt stands; before any claim, the last run that was started for it. */
export async function runStateOf(
  client: TemporalClient,
  { agendaId, attempt, runId }: { agendaId: string; attempt: number; runId: string | null },
): Promise<RunState> {
  try {
    const { status, memo, raw } = await client.workflow
      .getHandle(client.names.agendaWorkflow(agendaId), runId ?? undefined)
      .describe();
    // The id is the Agenda's: without a claim, what is there may be an earlier attempt's.
    if (runId === null && memo?.['attempt'] !== attempt) return 'missing';
    if (closedStatuses.has(status.name)) return 'closed';
    return status.name === 'RUNNING' && isStalled(raw) ? 'stalled' : 'open';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'missing';
    throw error;
  }
}

/**
 * A walker always has a workflow task or an activity before it; for seconds a timer, when a step is retried. With
 * neither it waits for nothing: a worker that remembered a later state than its server has let it pass over an event.
 */
function isStalled({ pendingWorkflowTask, pendingActivities }: WorkflowExecutionDescription['raw']): boolean {
  if (pendingWorkflowTask != null) return (pendingWorkflowTask.attempt ?? 0) >= mostTaskAttempts;
  return (pendingActivities ?? []).length === 0;
}
