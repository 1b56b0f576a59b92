/** The first step of an Agenda's workflow: claim the attempt, then say what there is to do. */
import { createHash } from 'node:crypto';
import type { OperationOutcome } from '../../agenda/outcomes.ts';
import { mostInFlight, type OperationTimeout } from '../../agenda/types.ts';
import { claimAttempt, type PlannedOperation, readPlan } from '../../db/agenda/claim-attempt.ts';
import { runStateOf } from '../../temporal/run-state.ts';
import type { LoadPlanAnswer } from '../../workflows/activities.ts';
import type { ControlParts } from './parts.ts';

/**
 * An Operation without limits of its own may take this long in all; the registry's limits are the pool's and usually
 * shorter.
 */
const longestSeconds = 30 * 24 * 3600;
/** On top of the limits: stopping, reporting, adopting. */
const marginSeconds = 600;

/** Claims the attempt for a run of its workflow, and hands it the plan. */
export async function loadPlan(
  { database, client, settings }: ControlParts,
  key: { agendaId: string; attempt: number; runId: string },
): Promise<LoadPlanAnswer> {
  let claim = await claimAttempt(database, key);
  if (claim.kind === 'heldBy') {
    const holder = await runStateOf(client, { ...key, runId: claim.runId });
    if (holder === 'open') return { verdict: 'over', reason: `claimed by run ${claim.runId}` };
    claim = await claimAttempt(database, { ...key, insteadOf: claim.runId });
  }
  if (claim.kind !== 'claimed') return { verdict: 'over', reason: 'this attempt is not the running one' };

  const { customerId, weight, parallelism, operations } = await readPlan(database, key.agendaId);
  return {
    verdict: claim.cancelled ? 'cancelled' : 'run',
    plan: {
      resourcePoolId: claim.resourcePoolId,
      poolQueue: client.names.poolQueue(claim.resourcePoolId),
      customerId,
      fairness: { key: fairnessKeyOf(customerId), weight: Math.min(1_000, Math.max(0.001, weight)) },
      names: operations.map((operation) => operation.name),
      types: operations.map((operation) => operation.type),
      dependencies: operations.map((operation) => operation.dependencies),
      ended: operations.flatMap((operation, index) => endedOf(operation, index)),
      parallelism: parallelism ?? mostInFlight,
      startToCloseSeconds: operations.map((operation) => startToCloseSeconds(operation.timeout)),
      heartbeatSeconds: settings.heartbeatSeconds,
      cancelSeconds: settings.cancelSeconds,
    },
  };
}

/** Temporal takes 64 bytes: a longer id is cut, and told from others by its hash. */
export function fairnessKeyOf(customerId: string): string {
  if (Buffer.byteLength(customerId) <= 64) return customerId;
  const start = [...customerId].slice(0, 8).join('');
  return `${start}…${createHash('sha256').update(customerId).digest('base64url').slice(0, 22)}`;
}

const endedOf = (
  { state, message }: PlannedOperation,
  index: number,
): { index: number; outcome: OperationOutcome }[] =>
  state === 'COMPLETE' ? [{ index, outcome: message as OperationOutcome }] : [];

function startToCloseSeconds(timeout: OperationTimeout | null): number {
  const run = timeout?.runSeconds;
  return run === undefined ? longestSeconds : run + (timeout?.scheduledSeconds ?? 0) + marginSeconds;
}
