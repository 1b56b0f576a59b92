/** How rows look as JSON: absent instead of null, times as epoch milliseconds. */
import type { Agenda, Json, Operation } from '../agenda/types.ts';
import type { agenda, agendaProgress, operation, operationProgress } from '../db/schema.ts';

export type AgendaRow = typeof agenda.$inferSelect;
export type OperationRow = typeof operation.$inferSelect;
export type AgendaProgressRow = typeof agendaProgress.$inferSelect & { readonly insightId: string; readonly resourcePoolId: string };
export type OperationProgressRow = typeof operationProgress.$inferSelect & { readonly admittedTime: Date | null };

/** An object of the api; `undefined` members are left out of the JSON. */
export type View = Readonly<Record<string, unknown>>;

/** An Agenda; without `operations` for lists. */
export function agendaView(row: AgendaRow, operations?: readonly Operation[]): View {
  return {
    id: row.id,
    cid: row.cid,
    customerId: row.customerId,
    title: row.title ?? undefined,
    addedTime: row.addedTime.getTime(),
    updatedTime: row.updatedTime.getTime(),
    linkId: row.linkId ?? undefined,
    progressId: row.progressId,
    params: row.params,
    parallelism: row.parallelism ?? undefined,
    agendaInsight: { resourcePoolId: row.resourcePoolId, insightId: row.insightId },
    attempt: row.attempt,
    cancelRequestedTime: row.cancelRequestedTime?.getTime(),
    operations: operations?.map(operationView),
  };
}

/** An Agenda just stored, without reading it back. */
export function submittedAgendaView(
  agenda: Agenda,
  stored: { agendaId: string; progressId: string; cid: string; insightId: string; resourcePoolId: string; addedTime: number },
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
      priority: 0,
      peak: null,
      expectedSeconds: null,
      notBefore: null,
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
    id: row.id,
    cid: row.cid,
    customerId: row.customerId,
    title: row.title ?? undefined,
    addedTime: row.addedTime.getTime(),
    updatedTime: row.updatedTime.getTime(),
    agendaId: row.agendaId,
    linkId: row.linkId ?? undefined,
    externalId: row.externalId ?? undefined,
    processingState: row.processingState,
    processingStateMessage: row.processingStateMessage,
    percentComplete: row.percentComplete,
    diagnosticEvents: row.diagnosticEvents ?? undefined,
    params: row.params ?? undefined,
    attemptsCompleted: row.attemptsCompleted,
    maximumAttempts: row.maximumAttempts,
    startedTime: row.startedTime?.getTime(),
    completedTime: row.completedTime?.getTime(),
    agendaInsight: { resourcePoolId: row.resourcePoolId, insightId: row.insightId },
    operationProgress: operations?.map(operationProgressView),
  };
}

export function operationProgressView(row: OperationProgressRow): View {
  return {
    id: row.id,
    cid: row.cid,
    customerId: row.customerId,
    addedTime: row.addedTime.getTime(),
    updatedTime: row.updatedTime.getTime(),
    agendaProgressId: row.agendaProgressId,
    operation: row.operation,
    processingState: row.processingState,
    processingStateMessage: row.processingStateMessage,
    percentComplete: row.percentComplete,
    resultPayload: row.resultPayload ?? undefined,
    diagnosticEvents: row.diagnosticEvents ?? undefined,
    params: row.params ?? undefined,
    attemptCount: row.attemptCount,
    attemptTime: row.attemptTime?.getTime(),
    launch: row.launch,
    admittedTime: row.admittedTime?.getTime(),
    scheduledTime: row.scheduledTime?.getTime(),
    pulledTime: row.pulledTime?.getTime(),
    startedTime: row.startedTime?.getTime(),
    endedTime: row.endedTime?.getTime(),
    noticedTime: row.noticedTime?.getTime(),
    completedTime: row.completedTime?.getTime(),
  };
}
