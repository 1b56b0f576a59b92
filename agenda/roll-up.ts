import type { OperationOutcome } from './outcomes.ts';
import type { ProcessingState } from './types.ts';

/** The fields of an OperationProgress that the roll-up reads. */
export interface OperationShare {
  readonly processingState: ProcessingState;
  /** The outcome when COMPLETE. */
  readonly processingStateMessage?: string | null;
  /** As reported, 0 to 100; anything else is brought into that range. */
  readonly percentComplete?: number | null;
  /** Default 1. */
  readonly weight?: number | null;
}

/**
 * The percentage of an Agenda, 0 to 100: the mean of its Operations' by weight. A succeeded Operation counts 100, a
 * waiting one 0, any other what it reported. The percentage never falls below `previous` (an Agenda may grow, a
 * repeated Operation begins anew), and is exactly 100 once all succeeded.
 */
export function percentOf(operations: readonly OperationShare[], previous = 0): number {
  let weights = 0;
  let done = 0;
  let allSucceeded = operations.length > 0;
  for (const operation of operations) {
    const weight = positive(operation.weight ?? 1);
    const percent = operationPercent(operation);
    weights += weight;
    done += weight * percent;
    if (!succeeded(operation)) allSucceeded = false;
  }
  if (allSucceeded) return 100;
  const percent = weights === 0 ? 0 : done / weights;
  return Math.min(100, Math.max(percent, previous));
}

/**
 * The state of an Agenda as its Operations show it: WAITING before any began, COMPLETE once all ended, EXECUTING
 * between.
 */
export function stateOf(operations: readonly OperationShare[]): ProcessingState {
  if (operations.every(({ processingState }) => processingState === 'WAITING')) return 'WAITING';
  return operations.every(({ processingState }) => processingState === 'COMPLETE') ? 'COMPLETE' : 'EXECUTING';
}

function operationPercent(operation: OperationShare): number {
  if (operation.processingState === 'WAITING') return 0;
  if (succeeded(operation)) return 100;
  const percent = operation.percentComplete ?? 0;
  return Number.isNaN(percent) ? 0 : Math.max(0, Math.min(100, percent));
}

function succeeded(operation: OperationShare): boolean {
  return (
    operation.processingState === 'COMPLETE' &&
    operation.processingStateMessage === ('succeeded' satisfies OperationOutcome)
  );
}

function positive(weight: number): number {
  return Number.isFinite(weight) && weight > 0 ? weight : 1;
}
