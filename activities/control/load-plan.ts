/** The first step of an Agenda's workflow: claim the attempt, then say what there is to do. */
import { createHash } from 'node:crypto';
import { mostInFlight } from '../../agenda/types.ts';
import { claimAttempt } from '../../db/agenda/claim-attempt.ts';
import { readPlanHead } from '../../db/agenda/read-plan.ts';
import { runStateOf } from '../../temporal/run-state.ts';
import type { LoadPlanAnswer, RunOfAttempt } from '../../workflows/activities.ts';
import type { ControlParts } from './parts.ts';
import { type PieceLimits, readPiece } from './plan-piece.ts';

/** Claims the attempt for this run and answers the plan, of a large Agenda its first piece. */
export async function loadPlan(parts: ControlParts, run: RunOfAttempt, limits?: PieceLimits): Promise<LoadPlanAnswer> {
  const { database, client, settings } = parts;
  let claim = await claimAttempt(database, run);
  if (claim.kind === 'heldBy') {
    const holder = await runStateOf(client, { ...run, ...claim });
    if (holder === 'open') return { verdict: 'over', reason: `claimed by run ${claim.runId}` };
    claim = await claimAttempt(database, { ...run, insteadOf: claim.runId });
  }
  if (claim.kind !== 'claimed') return notRunning;

  const [{ customerId, weight, parallelism }, piece] = await Promise.all([
    readPlanHead(database, run.agendaId),
    readPiece(parts, run, { operation: 0, dependency: 0 }, limits),
  ]);
  if (piece === undefined) return notRunning;
  const { from, more, ...operations } = piece;
  return {
    verdict: claim.cancelled ? 'cancelled' : 'run',
    plan: {
      resourcePoolId: claim.resourcePoolId,
      poolQueue: client.names.poolQueue(claim.resourcePoolId),
      customerId,
      fairness: { key: fairnessKeyOf(customerId), weight: Math.min(1_000, Math.max(0.001, weight)) },
      ...operations,
      parallelism: parallelism ?? mostInFlight,
      heartbeatSeconds: settings.heartbeatSeconds,
      cancelSeconds: settings.cancelSeconds,
    },
    ...(more === undefined ? {} : { more }),
  };
}

const notRunning: LoadPlanAnswer = { verdict: 'over', reason: 'this attempt is not the running one' };

/** Temporal takes 64 bytes: a longer id is cut, and told from others by its hash. */
export function fairnessKeyOf(customerId: string): string {
  if (Buffer.byteLength(customerId) <= 64) return customerId;
  const start = [...customerId].slice(0, 8).join('');
  return `${start}…${createHash('sha256').update(customerId).digest('base64url').slice(0, 22)}`;
}
