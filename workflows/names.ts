/**
 * Names that workflows and their callers share: task queues, workflow ids and types. A released name stays as it is.
 */

/** Of Agenda workflows. */
export const controlTaskQueue = 'control';
/** Of admission workflows, so that no backlog of Agendas stands before admission. */
export const admissionTaskQueue = 'admission';
/** Of the activities of a pool's workers. */
export const poolTaskQueue = (resourcePoolId: string): string => `pool-${resourcePoolId}`;

/** At most one is open per Agenda. */
export const agendaWorkflowId = (agendaId: string): string => `agenda-${agendaId}`;
/** At most one is open per Insight. */
export const admissionWorkflowId = (insightId: string): string => `admission-${insightId}`;

export const agendaWorkflowType = 'agendaWorkflow';
export const admissionWorkflowType = 'admissionWorkflow';

/** Operation types that run in the control worker itself. */
export const residentTypes: readonly string[] = ['logMessages'];
