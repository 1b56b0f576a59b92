/**
 * Names that workflows and their callers share: task queues, workflow ids and types. A released name stays as it is.
 */
import { residents } from '../agenda/residents.ts';

/** The task queues and workflow ids of one installation. */
export interface Names {
  /** What they begin with; empty where the installation has its Temporal namespace to itself. */
  readonly installation: string;
  /** The task queue of Agenda workflows. */
  readonly controlQueue: string;
  /** The task queue of admission workflows, so that no backlog of Agendas stands before admission. */
  readonly admissionQueue: string;
  /** The task queue of the activities of a pool's workers. */
  readonly poolQueue: (resourcePoolId: string) => string;
  /** At most one is open per Agenda. */
  readonly agendaWorkflow: (agendaId: string) => string;
  /** At most one is open per Insight. */
  readonly admissionWorkflow: (insightId: string) => string;
  /** The Schedule of a pool's PodReaper, and the beginning of its workflows' ids. */
  readonly podReaperSchedule: (resourcePoolId: string) => string;
  /** Whose these names are in the namespace is said by the workflow with this id. */
  readonly markerWorkflow: string;
}

/** The names of an installation: each begins with `<installation>.` where it has a name. */
export function namesOf(installation = ''): Names {
  const prefix = installation === '' ? '' : `${installation}.`;
  return {
    installation,
    controlQueue: `${prefix}control`,
    admissionQueue: `${prefix}admission`,
    poolQueue: (resourcePoolId) => `${prefix}pool-${resourcePoolId}`,
    agendaWorkflow: (agendaId) => `${prefix}agenda-${agendaId}`,
    admissionWorkflow: (insightId) => `${prefix}admission-${insightId}`,
    podReaperSchedule: (resourcePoolId) => `${prefix}pod-reaper-${resourcePoolId}`,
    markerWorkflow: `${prefix}pop-installation`,
  };
}

/** The names of an installation without a name of its own, and of all that version 0.1.0 began. */
export const plainNames: Names = namesOf();

/** The type of the workflow that walks an Agenda; a released name never changes. */
export const agendaWorkflowType = 'agendaWorkflow';
/** The type of the admission loop of an Insight. */
export const admissionWorkflowType = 'admissionWorkflow';
/** The type of the workflow that says whose a namespace is. */
export const markerWorkflowType = 'installationMarker';

/** The type of the workflow that clears away ended Pods of a pool. */
export const podReaperWorkflowType = 'podReaper';

/** Operation types that run in the control worker itself. */
export const residentTypes: readonly string[] = [...residents.keys()];
