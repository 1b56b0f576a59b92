/** Signals, queries, arguments and results of workflows, for whoever starts them or looks at them. */
import type { QueryDefinition, SignalDefinition } from '@temporalio/common';
import type { AgendaOutcome } from '../agenda/outcomes.ts';
import type { PodReapOrder } from '../messages/pod-reaping.ts';
import type { QueueView } from './queue-view.ts';

/** Work may be waiting: look. */
export const wakeSignal = { type: 'signal', name: 'wake' } as SignalDefinition;
/** How far the walk has come. */
export const progressQuery = { type: 'query', name: 'progress' } as QueryDefinition<AgendaWalkView>;

/** How admission of an Insight stands, as of its last look. */
export const admissionQuery = { type: 'query', name: 'admission' } as QueryDefinition<AdmissionState>;

/** Which attempt a run carries. */
export interface AgendaWorkflowInput {
  readonly agendaId: string;
  readonly attempt: number;
}

/**
 * For people who look at a closed workflow; the record is in Postgres. `over`: this run had nothing to do and touched
 * nothing.
 */
export interface AgendaWorkflowResult {
  readonly outcome: AgendaOutcome | 'over';
  readonly reason?: string;
}

/** How far a walk has come, bounded: of many Operations those that matter most. */
export interface AgendaWalkView {
  /** Operations by their state. */
  readonly counts: Readonly<Record<string, number>>;
  readonly operations: readonly { readonly name: string; readonly state: string }[];
  /** Operations that are not shown. */
  readonly more: number;
}

/** Whose admission a run is. */
export interface AdmissionWorkflowInput {
  readonly insightId: string;
  /** Ticks of all runs so far, for people. */
  readonly ticks?: number;
}

/** What the admission workflow tells of itself. */
export interface AdmissionState {
  readonly insightId: string;
  /** Ticks of all runs. */
  readonly ticks: number;
  /** Agendas admitted in this run. */
  readonly admitted: number;
  /** When it looks again without a wake. */
  readonly againTime: number | undefined;
  readonly view: QueueView | undefined;
}

/** What the marker of an installation is started with. */
export interface InstallationMarkerInput {
  readonly installationId: string;
}

/** A round of the PodReaper of a pool. */
export interface PodReaperInput extends PodReapOrder {
  readonly poolQueue: string;
}
