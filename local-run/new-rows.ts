/** The rows of an Agenda that was just submitted, as the database would have them. */
import type { Agenda, Json, Operation } from '../agenda/types.ts';
import type { AgendaProgressRow, OperationProgressRow } from '../api/agenda/agenda-view.ts';

/** The name of the pool and of the Insight that local runs show. */
export const localPoolId = 'local';

/** The AgendaProgress of an Agenda that is admitted at once. */
export function newAgendaRow(
  agenda: Agenda,
  ids: Pick<AgendaProgressRow, 'id' | 'agendaId' | 'cid' | 'maximumAttempts'>,
): AgendaProgressRow {
  const now = new Date();
  return {
    ...ids,
    customerId: agenda.customerId,
    ...{ addedTime: now, updatedTime: now, admittedTime: now, startedTime: null, completedTime: null },
    linkId: agenda.linkId ?? null,
    externalId: externalIdOf(agenda.params?.externalId),
    title: agenda.title ?? null,
    ...{ processingState: 'WAITING', processingStateMessage: 'pending', percentComplete: 0, outcome: null },
    ...{ diagnosticEvents: null, params: null, failing: false, attemptsCompleted: 0 },
    ...{ insightId: localPoolId, resourcePoolId: localPoolId },
  };
}

/** The OperationProgress of one of its Operations. */
export function newOperationRow(operation: Operation, index: number, agenda: AgendaProgressRow): OperationProgressRow {
  const { agendaId, customerId, cid, addedTime, updatedTime, admittedTime } = agenda;
  return {
    ...{ agendaId, customerId, cid, addedTime, updatedTime, admittedTime },
    index,
    id: `${agenda.id}-${operation.name}`,
    agendaProgressId: agenda.id,
    operation: operation.name,
    ...{ processingState: 'WAITING', processingStateMessage: 'pending', percentComplete: 0, outcome: null },
    ...{ failureCategory: null, failureCode: null, againTime: null, blockedReason: null, blockedSince: null },
    reportedTime: null,
    ...{ resultPayload: null, diagnosticEvents: null, params: null, attemptCount: 0, attemptTime: null, launch: 0 },
    ...{ place: null, worker: null, scheduledTime: null, pulledTime: null, startedTime: null },
    ...{ endedTime: null, noticedTime: null, completedTime: null },
  };
}

/** POP's readers take numbers and booleans for text. */
function externalIdOf(value: Json | undefined): string | null {
  return value === undefined || value === null || typeof value === 'object' ? null : String(value);
}
