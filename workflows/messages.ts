/** Signals, queries, names and arguments that workflows and their callers share. */
import type { QueryDefinition, SignalDefinition } from '@temporalio/common';
import type { AgendaOutcome, OperationOutcome } from '../agenda/types.ts';

export const controlTaskQueue = 'control';
export const admissionTaskQueue = 'admission';
export const poolTaskQueue = (resourcePoolId: string): string => `pool-${resourcePoolId}`;
export const agendaWorkflowId = (agendaId: string): string => `agenda-${agendaId}`;
export const admissionWorkflowId = (insightId: string): string => `admission-${insightId}`;

export const agendaWorkflowType = 'agendaWorkflow';
export const admissionWorkflowType = 'admissionWorkflow';

/** Work may be waiting: look. */
export const wakeSignal = { type: 'signal', name: 'wake' } as SignalDefinition;
/** How far the walk has come. */
export const progressQuery = { type: 'query', name: 'progress' } as QueryDefinition<AgendaWalkView>;

/** How admission of an Insight stands, as of its last look. */
export const admissionQuery = { type: 'query', name: 'admission' } as QueryDefinition<AdmissionState>;

export interface AgendaWorkflowInput {
  readonly agendaId: string;
  readonly attempt: number;
}

/** For people who look at a closed workflow; the record is in Postgres. `over`: this run had nothing to do and touched nothing. */
export interface AgendaWorkflowResult {
  readonly outcome: AgendaOutcome | 'over';
  readonly reason?: string;
}

export interface AgendaWalkView {
  readonly operations: readonly { readonly name: string; readonly state: string }[];
}

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
  readonly view: AdmissionView | undefined;
}

/** An Insight's queue for people: bounded in every direction, for histories keep it. Times in ms, costs and lag in the Insight's cost unit. */
export interface AdmissionView {
  readonly time: number;
  readonly waiting: number;
  /** More wait than were counted. */
  readonly waitingIsMore: boolean;
  readonly oldestSeconds?: number;
  readonly running: number;
  /** Of these, how many no pool worker has started yet. */
  readonly queued: number;
  readonly poolSlots: number;
  readonly limits: { readonly queueSize: number; readonly maximumRunning?: number; readonly poolSlots?: number };
  /** The customers that matter most now. */
  readonly shares: readonly CustomerInView[];
  /** The latest, newest first. */
  readonly decisions: readonly DecisionInView[];
}

/** A customer with work in the Insight. */
export interface CustomerInView {
  readonly customerId: string;
  readonly weight: number;
  /** Part it is entitled to in its band; absent while it has nothing to share. */
  readonly share?: number;
  /** Part of the cost of the latest admissions. */
  readonly received?: number;
  readonly running: number;
  readonly waiting: number;
  readonly waitingIsMore: boolean;
  /** Cost it is behind its share (below 0: ahead). */
  readonly lag?: number;
}

/** An admission. */
export interface DecisionInView {
  /** Of the Insight, from 1. */
  readonly number: number;
  readonly agendaId: string;
  readonly customerId: string;
  readonly reason: string;
  readonly cost: number;
}

/** What one batch answers. */
export interface AdmitBatchAnswer {
  readonly admitted: number;
  /** There is more to take in, or more that may be admitted: another batch at once. */
  readonly more: boolean;
  /** Admitted Agendas whose workflow is still to be started. */
  readonly unstarted: number;
  /** Time alone can change the answer then. */
  readonly againInSeconds?: number;
  /** When it was asked for. */
  readonly view?: AdmissionView;
}

/** What `loadPlan` hands the walker: compact, no payloads. */
export interface Plan {
  readonly resourcePoolId: string;
  readonly customerId: string;
  /** The customer among others on the pool's queue, in Temporal's bounds. Absent in what version 0.1.0 loaded. */
  readonly fairness?: { readonly key: string; readonly weight: number };
  readonly names: readonly string[];
  readonly types: readonly string[];
  /** Per Operation, the indexes it waits for. */
  readonly dependencies: readonly (readonly number[])[];
  /** Indexes that have ended already, with their outcome. */
  readonly ended: readonly { readonly index: number; readonly outcome: OperationOutcome }[];
  readonly parallelism: number;
  readonly heartbeatSeconds: number;
  /** Longest time one Operation's activity may take, per Operation. */
  readonly startToCloseSeconds: readonly number[];
  /** Longest wait for stops to be confirmed after a cancel. */
  readonly cancelSeconds: number;
}

export type LoadPlanAnswer =
  | { readonly verdict: 'run'; readonly plan: Plan }
  | { readonly verdict: 'cancelled'; readonly plan: Plan }
  | { readonly verdict: 'over'; readonly reason: string };

export interface OperationKey {
  readonly agendaId: string;
  readonly attempt: number;
  readonly operation: string;
}

/** Activities of the control worker. All are idempotent. */
export interface ControlActivities {
  admitBatch(input: { insightId: string; batchId: string; view?: boolean }): Promise<AdmitBatchAnswer>;
  startAdmitted(input: { insightId: string; most: number }): Promise<{ started: number; remaining: number }>;
  /** As startAdmitted until none remains, heartbeating. */
  startAllAdmitted(input: { insightId: string }): Promise<{ started: number; remaining: number }>;
  loadPlan(input: { agendaId: string; attempt: number; runId: string }): Promise<LoadPlanAnswer>;
  /**
   * How these Operations ended, from the record. One without an ending there is given `without`, if that is there; else the
   * answer is `executing`, or `waiting` when it was never started. Undefined when the attempt is no longer the running one.
   */
  settleOperations(input: {
    agendaId: string;
    attempt: number;
    operations: readonly { index: number; without?: OperationOutcome; fault?: string }[];
  }): Promise<readonly { index: number; outcome: OperationOutcome | 'waiting' | 'executing' }[] | undefined>;
  runResident(input: OperationKey): Promise<void>;
  requestCancel(input: { agendaId: string; attempt: number }): Promise<void>;
  finishAgenda(input: {
    agendaId: string;
    attempt: number;
    runId: string;
    outcome: AgendaOutcome;
    message?: string;
  }): Promise<{ outcome: AgendaOutcome | 'over' }>;
}

/** Activities of a pool worker. */
export interface PoolActivities {
  runOperation(input: OperationKey): Promise<void>;
  /** Stops what may still run of this Operation; resolves when it is gone. */
  stopOperation(input: OperationKey): Promise<{ stopped: boolean }>;
}

/** Operation types that run in the control worker itself. */
export const residentTypes: readonly string[] = ['logMessages'];
