/**
 * Resident types: Operations that the control worker performs itself, without a pool worker.
 * They go through the same fenced record as any other, in a place that every control worker shares.
 */
import { ApplicationFailure } from '@temporalio/activity';
import { residents } from '../../agenda/residents.ts';
import { readPool } from '../../db/agenda/claim-attempt.ts';
import { finishOperations } from '../../db/operation/finish-operations.ts';
import { startOperations } from '../../db/operation/start-operations.ts';
import type { OperationKey } from '../../workflows/activities.ts';
import type { ControlParts } from './parts.ts';
import { residentEnd } from './resident-end.ts';

/** Starts one Operation of a resident type, performs it and records its end. */
export async function runResident(parts: ControlParts, { agendaId, attempt, operation }: OperationKey): Promise<void> {
  const resourcePoolId = await readPool(parts.database, { agendaId, attempt });
  if (resourcePoolId === undefined) return;
  const askedTime = Date.now();
  const { verdicts, wakeInsights } = await startOperations(parts.database, resourcePoolId, [
    {
      agendaId,
      attempt,
      operation,
      place: 'control',
      launcher: 'resident',
      understands: ['later'],
      worker: `control ${process.pid}`,
      scheduledTime: askedTime,
      pulledTime: askedTime,
    },
  ]);
  parts.wake(wakeInsights);
  const [verdict] = verdicts;
  if (verdict?.verdict === 'later')
    throw ApplicationFailure.create({
      type: 'later',
      message: `The time of ${operation} has not come.`,
      nextRetryDelay: Math.max(1, verdict.inMilliseconds),
    });
  if (verdict?.verdict !== 'run') return;
  const { cid, type } = verdict;
  if (!residents.has(type)) throw ApplicationFailure.nonRetryable(`${type} is not a resident type`);
  const item = residentEnd({ agendaId, attempt, operation }, verdict, (message) =>
    parts.log.info({ cid, agendaId, operation, type }, message),
  );
  await finishOperations(parts.database, resourcePoolId, [item]);
  parts.log.info({ cid, agendaId, operation, type, outcome: item.outcome }, 'operation ended');
}
