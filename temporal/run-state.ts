/** What Temporal says of the workflow of an attempt. */
import {
  type WorkflowExecutionDescription,
  type WorkflowExecutionStatusName,
  type WorkflowHandle,
  WorkflowNotFoundError,
} from '@temporalio/client';
import type { TemporalClient } from './connect.ts';

/**
 * `closed`: it ended, or somebody ended it. `missing`: Temporal does not know it; its server has an older state than
 * the record, as after a power cut or from a backup, or has deleted the workflow since it closed. `stalled`: it is open
 * and will never go on by itself.
 */
export type RunState = 'open' | 'closed' | 'missing' | 'stalled';

/** An attempt and the run that claimed it; null before any claim, and what version 0.1.0 did not write down. */
export interface ClaimedAttempt {
  readonly agendaId: string;
  readonly attempt: number;
  readonly runId: string | null;
  readonly workflowId?: string | null;
  readonly firstRunId?: string | null;
}

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

/**
 * How the run that claimed an attempt stands. When it is closed or missing and a later run goes on with its chain,
 * because it continued as new or somebody reset it, then that one. Before any claim, the last run that was started for
 * the attempt.
 */
export async function runStateOf(client: TemporalClient, claim: ClaimedAttempt): Promise<RunState> {
  const workflowId = claim.workflowId ?? client.names.agendaWorkflow(claim.agendaId);
  const latest = client.workflow.getHandle(workflowId);
  if (claim.runId === null) {
    const description = await describe(latest);
    // The id is the Agenda's: what is there may be an earlier attempt's.
    return description?.memo?.['attempt'] === claim.attempt ? stateOf(latest, description) : 'missing';
  }
  const claiming = client.workflow.getHandle(workflowId, claim.runId);
  const description = await describe(claiming);
  const state = await stateOf(claiming, description);
  if (state === 'open' || state === 'stalled') return state;
  const next = await describe(latest);
  const chain = claim.firstRunId ?? firstRunOf(description) ?? claim.runId;
  if (next === undefined || next.runId === claim.runId || firstRunOf(next) !== chain) return state;
  return stateOf(latest, next);
}

async function describe(handle: WorkflowHandle): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await handle.describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/** Runs that a chain continued as, and those that a reset made, have the first run of the one before them. */
const firstRunOf = (description: WorkflowExecutionDescription | undefined): string | undefined =>
  description?.raw.workflowExecutionInfo?.firstRunId || undefined;

async function stateOf(
  handle: WorkflowHandle,
  description: WorkflowExecutionDescription | undefined,
): Promise<RunState> {
  if (description === undefined) return 'missing';
  const { status, raw } = description;
  if (closedStatuses.has(status.name)) return 'closed';
  return status.name === 'RUNNING' && (await isStalled(handle, raw)) ? 'stalled' : 'open';
}

/**
 * A walker always has a workflow task, an activity or a timer before it; a timer alone while a step or an Operation is
 * to be tried again. With none of them it waits for nothing: a worker that remembered a later state than its server has
 * let it pass over an event.
 */
async function isStalled(
  handle: WorkflowHandle,
  { pendingWorkflowTask, pendingActivities }: WorkflowExecutionDescription['raw'],
): Promise<boolean> {
  if (pendingWorkflowTask != null) return (pendingWorkflowTask.attempt ?? 0) >= mostTaskAttempts;
  return (pendingActivities ?? []).length === 0 && !(await goesOn(handle));
}

/**
 * Whether a timer is to fire, or its first task is to come (a second after a run that continued as new), or anything
 * began since the description was read. Descriptions have neither, so its history is asked.
 */
async function goesOn(handle: WorkflowHandle): Promise<boolean> {
  const waiting = new Set<string>();
  const { events } = await handle.fetchHistory();
  if (events?.some((event) => event.workflowTaskScheduledEventAttributes != null) !== true) return true;
  for (const event of events ?? []) {
    const { timerStartedEventAttributes: started, eventId } = event;
    if (started != null) waiting.add(String(eventId));
    const over = event.timerFiredEventAttributes ?? event.timerCanceledEventAttributes;
    if (over != null) waiting.delete(String(over.startedEventId));
  }
  if (waiting.size > 0) return true;
  const again = await handle.describe();
  return (
    again.status.name !== 'RUNNING' ||
    again.raw.pendingWorkflowTask != null ||
    (again.raw.pendingActivities ?? []).length > 0
  );
}
