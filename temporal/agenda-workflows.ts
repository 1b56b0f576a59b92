/** What is said to the workflow of an Agenda from outside, and asked about it. */
import { isGrpcServiceError, WorkflowExecutionAlreadyStartedError, WorkflowFailedError } from '@temporalio/client';
import { agendaWorkflowType, type Names } from '../workflows/names.ts';
import { searchAttributes } from '../workflows/search-attributes.ts';
import type { TemporalClient } from './connect.ts';

/** gRPC status of a request that can never succeed. */
const invalidArgument = 3;
/** Search attributes of one workflow may hold 40 KB together; types take at most this. */
const mostBytesOfTypes = 1_500;

/** An attempt of an Agenda, with what operators find its workflow by. */
export interface AgendaToStart {
  readonly agendaId: string;
  readonly attempt: number;
  readonly customerId: string;
  readonly insightId: string;
  readonly resourcePoolId: string;
  readonly cid: string;
  readonly linkId: string | null;
  readonly title: string | null;
  /** Distinct types of its Operations. */
  readonly operationTypes: readonly string[];
}

/** What became of a start. */
export type AgendaStart =
  /** A workflow runs this attempt, this start's or an earlier one's. */
  | { readonly kind: 'started' }
  /** A workflow of another attempt is still open. */
  | { readonly kind: 'otherAttemptIsOpen' }
  /** Temporal does not take it, however often it is asked. */
  | { readonly kind: 'refused'; readonly error: Error };

/**
 * Starts the workflow of an attempt, on demand in place of one that is open; may be repeated. @throws while Temporal is
 * away
 */
export async function startAgenda(
  client: TemporalClient,
  agenda: AgendaToStart,
  { insteadOfOpen }: { readonly insteadOfOpen: boolean },
): Promise<AgendaStart> {
  const workflowIdConflictPolicy = insteadOfOpen ? 'TERMINATE_EXISTING' : 'FAIL';
  try {
    const options = { ...startOptions(client.names, agenda), workflowIdConflictPolicy } as const;
    await client.workflow.start(agendaWorkflowType, options);
    return { kind: 'started' };
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError)
      return { kind: (await runsThisAttempt(client, agenda)) ? 'started' : 'otherAttemptIsOpen' };
    if (isInvalidArgument(error)) return { kind: 'refused', error };
    throw error;
  }
}

/** Asks the workflow of an Agenda to cancel. @throws when there is none, or Temporal is away */
export async function tellCancel(client: TemporalClient, agendaId: string): Promise<void> {
  await client.workflow.getHandle(client.names.agendaWorkflow(agendaId)).cancel();
}

const startOptions = (names: Names, agenda: AgendaToStart) => ({
  workflowId: names.agendaWorkflow(agenda.agendaId),
  taskQueue: names.controlQueue,
  args: [{ agendaId: agenda.agendaId, attempt: agenda.attempt }],
  workflowIdReusePolicy: 'ALLOW_DUPLICATE' as const,
  memo: { attempt: agenda.attempt },
  staticSummary: (agenda.title ?? `Agenda of ${agenda.customerId}`).slice(0, 200),
  typedSearchAttributes: [
    { key: searchAttributes.customerId, value: agenda.customerId },
    { key: searchAttributes.insightId, value: agenda.insightId },
    { key: searchAttributes.resourcePoolId, value: agenda.resourcePoolId },
    { key: searchAttributes.agendaId, value: agenda.agendaId },
    ...(agenda.linkId === null ? [] : [{ key: searchAttributes.linkId, value: agenda.linkId }]),
    { key: searchAttributes.correlationId, value: agenda.cid },
    { key: searchAttributes.agendaState, value: 'executing' },
    { key: searchAttributes.operationTypes, value: withinBytes(agenda.operationTypes, mostBytesOfTypes) },
  ],
});

/** A workflow of this id is open: is it of the attempt that was admitted? */
async function runsThisAttempt(client: TemporalClient, { agendaId, attempt }: AgendaToStart): Promise<boolean> {
  const { memo } = await client.workflow.getHandle(client.names.agendaWorkflow(agendaId)).describe();
  return memo?.attempt === attempt;
}

/** Also where the client has wrapped the gRPC error in one of its own. */
function isInvalidArgument(error: unknown): error is Error {
  if (!(error instanceof Error) || error instanceof WorkflowFailedError) return false;
  return [error, error.cause].some((each) => isGrpcServiceError(each) && each.code === invalidArgument);
}

/** The first values that together stay within so many bytes of UTF-8. */
function withinBytes(values: readonly string[], most: number): string[] {
  let bytes = 0;
  return values.filter((value) => {
    bytes += Buffer.byteLength(value);
    return bytes <= most;
  });
}
