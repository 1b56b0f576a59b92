/** How rows look as JSON: absent instead of null, times as epoch milliseconds. */
import type { AgendaOutcome, OperationOutcome } from '../../agenda/outcomes.ts';
import type { Agenda, Json, Operation } from '../../agenda/types.ts';
import type { agenda, agendaProgress, operation, operationProgress } from '../../db/schema.ts';

/** An Agenda as stored. */
export type AgendaRow = typeof agenda.$inferSelect;
/** An Operation as stored. */
export type OperationRow = typeof operation.$inferSelect;
/** An AgendaProgress as stored, with where its Agenda went. */
export type AgendaProgressRow = typeof agendaProgress.$inferSelect & {
  readonly insightId: string;
  readonly resourcePoolId: string;
};
/** An OperationProgress as stored, with when its Agenda was admitted. */
export type OperationProgressRow = typeof operationProgress.$inferSelect & { readonly admittedTime: Date | null };

/** An object of the api; `undefined` members are left out of the JSON. */
export type View = Readonly<Record<string, unknown>>;

type Base = Pick<AgendaRow, 'id' | 'cid' | 'customerId' | 'addedTime' | 'updatedTime'>;

/** What every object has. */
const baseOf = ({ id, cid, customerId, addedTime, updatedTime }: Base): View => ({
  ...{ id, cid, customerId },
  addedTime: addedTime.getTime(),
  updatedTime: updatedTime.getTime(),
});

/** What an Agenda and its progress show alike. */
const agendaOf = (row: Base & Pick<AgendaRow, 'title' | 'linkId' | 'insightId' | 'resourcePoolId'>): View => ({
  ...baseOf(row),
  title: row.title ?? undefined,
  linkId: row.linkId ?? undefined,
  agendaInsight: { resourcePoolId: row.resourcePoolId, insightId: row.insightId },
});

/** How far an Agenda or an Operation is. */
const stateOf = (
  row: Pick<
    OperationProgressRow,
    | 'processingState'
    | 'processingStateMessage'
    | 'percentComplete'
    | 'diagnosticEvents'
    | 'params'
    | 'startedTime'
    | 'completedTime'
  >,
): View => ({
  processingState: row.processingState,
  processingStateMessage: row.processingStateMessage,
  percentComplete: row.percentComplete,
  diagnosticEvents: row.diagnosticEvents ?? undefined,
  params: row.params ?? undefined,
  startedTime: row.startedTime?.getTime(),
  completedTime: row.completedTime?.getTime(),
});

/** How it ended. A version that knew no outcomes kept it as the message only; a sweep fills it in. */
function outcomeOf<Outcome extends AgendaOutcome | OperationOutcome>(
  row: { readonly outcome: Outcome | null } & Pick<OperationProgressRow, 'processingState' | 'processingStateMessage'>,
): Outcome | undefined {
  if (row.outcome !== null) return row.outcome;
  return row.processingState === 'COMPLETE' ? (row.processingStateMessage as Outcome) : undefined;
}

/** An Agenda; without `operations` for lists. */
export function agendaView(row: AgendaRow, operations?: readonly Operation[]): View {
  return {
    ...agendaOf(row),
    progressId: row.progressId,
    params: row.params,
    parallelism: row.parallelism ?? undefined,
    priority: row.priority,
    peak: row.peak ?? undefined,
    expectedSeconds: row.expectedSeconds ?? undefined,
    notBefore: row.notBefore?.getTime(),
    attempt: row.attempt,
    cancelRequestedTime: row.cancelRequestedTime?.getTime(),
    operations: operations?.map(operationView),
  };
}

/** An Agenda just stored, without reading it back. */
export function submittedAgendaView(
  agenda: Agenda,
  stored: {
    agendaId: string;
    progressId: string;
    cid: string;
    insightId: string;
    resourcePoolId: string;
    addedTime: number;
  },
): View {
  const time = new Date(stored.addedTime);
  return agendaView(
    {
      id: stored.agendaId,
      cid: stored.cid,
      customerId: agenda.customerId,
      title: agenda.title ?? null,
      addedTime: time,
      updatedTime: time,
      linkId: agenda.linkId ?? null,
      progressId: stored.progressId,
      params: agenda.params ?? {},
      parallelism: agenda.parallelism ?? null,
      insightId: stored.insightId,
      resourcePoolId: stored.resourcePoolId,
      attempt: 1,
      priority: agenda.priority ?? 0,
      peak: agenda.peak ?? null,
      expectedSeconds: agenda.expectedSeconds ?? null,
      notBefore: agenda.notBefore === undefined ? null : new Date(agenda.notBefore),
      cancelRequestedTime: null,
    },
    agenda.operations,
  );
}

/** A stored Operation as it was submitted. */
export function operationOfRow(row: OperationRow): Operation {
  return {
    name: row.name,
    type: row.type,
    ...(row.givenId !== null && { id: row.givenId }),
    ...(row.payload !== null && { payload: JSON.parse(row.payload) as Json }),
    ...(row.params !== null && { params: row.params }),
    ...(row.dependsOn !== null && { dependsOn: row.dependsOn }),
    weight: row.weight,
    ...(row.timeout !== null && { timeout: row.timeout }),
  };
}

function operationView({ name, type, id, payload, params, dependsOn, weight, timeout }: Operation): View {
  // The default weight is left out: what was submitted without one comes back without one.
  return { name, type, id, payload, params, dependsOn, weight: weight === 1 ? undefined : weight, timeout };
}

/** An AgendaProgress; joined with its Operations on single objects only. */
export function agendaProgressView(row: AgendaProgressRow, operations?: readonly OperationProgressRow[]): View {
  return {
    ...agendaOf(row),
    ...stateOf(row),
    outcome: outcomeOf(row),
    failing: row.failing,
    agendaId: row.agendaId,
    externalId: row.externalId ?? undefined,
    attemptsCompleted: row.attemptsCompleted,
    maximumAttempts: row.maximumAttempts,
    operationProgress: operations?.map(operationProgressView),
  };
}

/** An OperationProgress. */
export function operationProgressView(row: OperationProgressRow): View {
  return {
    ...baseOf(row),
    ...stateOf(row),
    outcome: outcomeOf(row),
    agendaProgressId: row.agendaProgressId,
    operation: row.operation,
    resultPayload: row.resultPayload ?? undefined,
    attemptCount: row.attemptCount,
    attemptTime: row.attemptTime?.getTime(),
    launch: row.launch,
    failureCategory: row.failureCategory ?? undefined,
    failureCode: row.failureCode ?? undefined,
    againTime: row.againTime?.getTime(),
    blocked:
      row.blockedReason === null || row.blockedSince === null
        ? undefined
        : { reason: row.blockedReason, since: row.blockedSince.getTime() },
    admittedTime: row.admittedTime?.getTime(),
    scheduledTime: row.scheduledTime?.getTime(),
    pulledTime: row.pulledTime?.getTime(),
    endedTime: row.endedTime?.getTime(),
    noticedTime: row.noticedTime?.getTime(),
  };
}
