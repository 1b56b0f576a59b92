/** Starts the workflows of admitted Agendas. Any start may be repeated: the claim in `loadPlan` makes one run of them count. */
import { Context } from '@temporalio/activity';
import {
  type Client,
  isGrpcServiceError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
} from '@temporalio/client';
import { finishAgenda } from '../../db/agenda/agenda-run.ts';
import {
  type AdmittedAgenda,
  countAdmitted,
  freeClaim,
  markStarted,
  postpone,
  readAdmitted,
} from '../../db/agenda/start-outbox.ts';
import { agendaWorkflowId, agendaWorkflowType, controlTaskQueue } from '../../workflows/messages.ts';
import { searchAttributes } from '../../workflows/search-attributes.ts';
import type { ControlParts } from './parts.ts';

/** gRPC status of a request that can never succeed. */
const invalidArgument = 3;
/** Search attributes of one workflow may hold 40 KB together; types take at most this. */
const mostBytesOfTypes = 1_500;

type StartResult = 'started' | 'left' | 'refused';

/**
 * Starts up to `most` admitted Agendas, whatever batch admitted them; answers how many more there are to try. Those that
 * could be started are marked also when others fail, so that one bad start holds up no other.
 */
export async function startAdmitted(parts: ControlParts, { insightId, most }: { insightId: string; most: number }) {
  const agendas = await readAdmitted(parts.database, { insightId, most });
  const results = await Promise.allSettled(agendas.map((agenda) => startOne(parts, agenda)));
  const those = (wanted: (result: PromiseSettledResult<StartResult>) => boolean) =>
    agendas.filter((_, n) => wanted(results[n] as never));
  const started = those((result) => result.status === 'fulfilled' && result.value === 'started');
  const left = those((result) => result.status === 'rejected' || result.value === 'left');
  await markStarted(parts.database, started);
  for (const { operationTypes, title, ...ids } of started) parts.log.info(ids, 'agenda admitted');
  await postpone(parts.database, left);
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  // Nothing but such as have to wait: more of them is no reason to try on.
  const remaining =
    agendas.length < most || left.length === most
      ? 0
      : Math.max(0, (await countAdmitted(parts.database, insightId)) - left.length);
  return { started: started.length, remaining };
}

/** As `startAdmitted` until none remains to try or its workflow run is over, with a heartbeat after each portion. */
export async function startAllAdmitted(parts: ControlParts, { insightId }: { insightId: string }) {
  let all = 0;
  for (;;) {
    const { started, remaining } = await startAdmitted(parts, { insightId, most: 25 });
    all += started;
    const { heartbeat, cancellationSignal } = Context.current();
    heartbeat({ started: all });
    if (started === 0 || remaining === 0 || cancellationSignal.aborted) return { started: all, remaining };
  }
}

/**
 * Starts the workflow of an attempt that was started before: Temporal does not know that workflow, or it is `stalled` and is terminated
 * in the same step. The new run takes what has ended from the record. Undefined when the attempt has ended or another run holds it.
 */
export async function startAgain(
  parts: ControlParts,
  { stalled, ...run }: { agendaId: string; attempt: number; runId: string | null; stalled: boolean },
): Promise<StartResult | undefined> {
  // First the claim: should this process die now, the next sweep finds the attempt as it was, whatever runs were started for it.
  const agenda = await freeClaim(parts.database, run);
  return agenda && startOne(parts, agenda, stalled ? 'TERMINATE_EXISTING' : 'FAIL');
}

async function startOne(
  { client, database, log, wake }: ControlParts,
  agenda: AdmittedAgenda,
  workflowIdConflictPolicy: 'FAIL' | 'TERMINATE_EXISTING' = 'FAIL',
): Promise<StartResult> {
  const { agendaId, attempt } = agenda;
  try {
    await client.workflow.start(agendaWorkflowType, {
      workflowId: agendaWorkflowId(agendaId),
      taskQueue: controlTaskQueue,
      args: [{ agendaId, attempt }],
      workflowIdConflictPolicy,
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      memo: { attempt },
      staticSummary: (agenda.title ?? `Agenda of ${agenda.customerId}`).slice(0, 200),
      typedSearchAttributes: [
        { key: searchAttributes.customerId, value: agenda.customerId },
        { key: searchAttributes.insightId, value: agenda.insightId },
        { key: searchAttributes.resourcePoolId, value: agenda.resourcePoolId },
        { key: searchAttributes.agendaId, value: agendaId },
        ...(agenda.linkId === null ? [] : [{ key: searchAttributes.linkId, value: agenda.linkId }]),
        { key: searchAttributes.correlationId, value: agenda.cid },
        { key: searchAttributes.agendaState, value: 'executing' },
        { key: searchAttributes.operationTypes, value: withinBytes(agenda.operationTypes, mostBytesOfTypes) },
      ],
    });
    return 'started';
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError)
      return (await runsThisAttempt(client, agenda)) ? 'started' : 'left';
    if (!(isGrpcServiceError(error) && error.code === invalidArgument) && !isInvalidArgument(error)) throw error;
    const message = `Temporal refused to start this Agenda: ${(error as Error).message}`;
    log.error({ err: error, agendaId, cid: agenda.cid }, 'start refused');
    const { wakeInsights } = await finishAgenda(database, { agendaId, attempt }, { outcome: 'failed', message });
    wake(wakeInsights);
    return 'refused';
  }
}

/** The client wraps gRPC errors in errors of its own. */
const isInvalidArgument = (error: unknown): boolean =>
  error instanceof Error &&
  !(error instanceof WorkflowFailedError) &&
  isGrpcServiceError(error.cause) &&
  error.cause.code === invalidArgument;

/** A workflow of this id is open: is it of the attempt that was admitted? */
async function runsThisAttempt(client: Client, { agendaId, attempt }: AdmittedAgenda): Promise<boolean> {
  const description = await client.workflow.getHandle(agendaWorkflowId(agendaId)).describe();
  return description.memo?.['attempt'] === attempt;
}

/** The first values that together stay within so many bytes of UTF-8. */
function withinBytes(values: readonly string[], most: number): string[] {
  let bytes = 0;
  return values.filter((value) => {
    bytes += Buffer.byteLength(value);
    return bytes <= most;
  });
}
