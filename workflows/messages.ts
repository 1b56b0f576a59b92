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

/** What `loadPlan` hands the walker: compact, no payloads. */
export interface Plan {
  readonly resourcePoolId: string;
  readonly customerId: string;
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
  admitBatch(input: { insightId: string; batchId: string }): Promise<{ admitted: number; more: boolean; unstarted: number }>;
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
