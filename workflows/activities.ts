/**
 * What workflows ask of the control worker and of pool workers: inputs and answers are in histories, so fields are only
 * ever added.
 */
import type { AgendaOutcome, OperationOutcome } from '../agenda/outcomes.ts';
import type { PodReapAnswer, PodReapOrder } from '../messages/pod-reaping.ts';
import type { AgendaWorkflowInput } from './messages.ts';
import type { QueueView } from './queue-view.ts';

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
  readonly view?: QueueView;
}

/** What `loadPlan` hands the walker: compact, no payloads. */
export interface Plan {
  readonly resourcePoolId: string;
  /** Task queue of the pool's workers. Absent in what version 0.1.0 loaded. */
  readonly poolQueue?: string;
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

/** A position in a plan: an Operation, and how many of its dependencies stand before that position. */
export interface PlanPosition {
  readonly operation: number;
  readonly dependency: number;
}

/** What a plan says of the Operations from a position on. The first of them may have begun in the piece before. */
export interface PlanPiece extends Pick<Plan, 'names' | 'types' | 'dependencies' | 'ended' | 'startToCloseSeconds'> {
  readonly from: PlanPosition;
  /** Where the next piece begins; absent in the last. */
  readonly more?: PlanPosition;
}

/**
 * `over`: this run has nothing to do. `more`: the plan has the first Operations only; `loadPlanPiece` brings the
 * others, from there on.
 */
export type LoadPlanAnswer =
  | { readonly verdict: 'run' | 'cancelled'; readonly plan: Plan; readonly more?: PlanPosition }
  | { readonly verdict: 'over'; readonly reason: string };

/**
 * A run of a workflow. Runs that continue it, and runs that a reset made of it, have its `firstRunId`: they count as
 * one. Workflows of version 0.1.0 tell their `runId` alone.
 */
export interface RunOfAttempt extends AgendaWorkflowInput {
  readonly runId: string;
  readonly workflowId?: string;
  readonly firstRunId?: string;
}

/** One Operation of an attempt. */
export interface OperationKey {
  readonly agendaId: string;
  readonly attempt: number;
  readonly operation: string;
  /** As in the plan. Absent in what workflow code of version 0.1.0 scheduled. */
  readonly type?: string;
}

/** Activities of the control worker. All are idempotent. */
export interface ControlActivities {
  admitBatch(input: { insightId: string; batchId: string; view?: boolean }): Promise<AdmitBatchAnswer>;
  startAdmitted(input: { insightId: string; most: number }): Promise<{ started: number; remaining: number }>;
  /** As startAdmitted until none remains, heartbeating. */
  startAllAdmitted(input: { insightId: string }): Promise<{ started: number; remaining: number }>;
  loadPlan(input: RunOfAttempt): Promise<LoadPlanAnswer>;
  /** Undefined when the attempt is no longer the running one. */
  loadPlanPiece(input: AgendaWorkflowInput & { readonly from: PlanPosition }): Promise<PlanPiece | undefined>;
  /**
   * How these Operations ended, from the record. One without an ending there is given `without`, if that is there; else
   * the answer is `executing`, or `waiting` when it was never started. Undefined when the attempt is no longer the
   * running one.
   */
  settleOperations(input: {
    agendaId: string;
    attempt: number;
    operations: readonly { index: number; without?: OperationOutcome; fault?: string }[];
  }): Promise<readonly { index: number; outcome: OperationOutcome | 'waiting' | 'executing' }[] | undefined>;
  runResident(input: OperationKey): Promise<void>;
  requestCancel(input: { agendaId: string; attempt: number }): Promise<void>;
  finishAgenda(
    input: RunOfAttempt & { readonly outcome: AgendaOutcome; readonly message?: string },
  ): Promise<{ outcome: AgendaOutcome | 'over' }>;
}

/** Activities of a pool worker. */
export interface PoolActivities {
  runOperation(input: OperationKey): Promise<void>;
  /** Stops what may still run of this Operation; resolves when it is gone. */
  stopOperation(input: OperationKey): Promise<{ stopped: boolean }>;
  /** Clears away ended Pods; a worker without a cluster has none. */
  reapPods(input: PodReapOrder): Promise<PodReapAnswer>;
}
