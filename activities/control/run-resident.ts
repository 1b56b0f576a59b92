/**
 * Resident types: Operations that the control worker performs itself, without a pool worker.
 * They go through the same fenced record as any other, in a place that every control worker shares.
 */
import { ApplicationFailure } from '@temporalio/activity';
import { type FailureCode, failureOf } from '../../agenda/failure.ts';
import type { DiagnosticEvent, Json } from '../../agenda/types.ts';
import { readPool } from '../../db/agenda/claim-attempt.ts';
import { finishOperations } from '../../db/operation/finish-operations.ts';
import { startOperations } from '../../db/operation/start-operations.ts';
import type { FinishOperationItem } from '../../messages/resource-pool.ts';
import type { OperationKey } from '../../workflows/activities.ts';
import type { ControlParts } from './parts.ts';

interface Performed {
  readonly result?: Json;
  readonly fault?: DiagnosticEvent & { readonly code: FailureCode };
}

/** What a resident type does with its payload. */
type Resident = (payload: Json, context: { readonly log: (message: string) => void }) => Performed;

/**
 * `{ logMessages: [...] }`: each goes to the control worker's log with the Agenda's cid; the result is their number.
 */
const logMessages: Resident = (payload, { log }) => {
  const messages =
    payload !== null && typeof payload === 'object' && !Array.isArray(payload)
      ? (payload as { logMessages?: Json }).logMessages
      : undefined;
  if (!Array.isArray(messages)) {
    return {
      fault: {
        code: 'payloadInvalid',
        message: 'logMessages: the payload must be an object with an array "logMessages"',
        time: Date.now(),
      },
    };
  }
  for (const message of messages) log(typeof message === 'string' ? message : JSON.stringify(message));
  return { result: { logged: messages.length } };
};

const residents: ReadonlyMap<string, Resident> = new Map([['logMessages', logMessages]]);

/** Starts one Operation of a resident type, performs it and records its end. */
export async function runResident(parts: ControlParts, { agendaId, attempt, operation }: OperationKey): Promise<void> {
  const resourcePoolId = await readPool(parts.database, { agendaId, attempt });
  if (resourcePoolId === undefined) return;
  const startedTime = Date.now();
  const { verdicts, wakeInsights } = await startOperations(parts.database, resourcePoolId, [
    {
      agendaId,
      attempt,
      operation,
      place: 'control',
      launcher: 'resident',
      understands: ['later'],
      worker: `control ${process.pid}`,
      scheduledTime: startedTime,
      pulledTime: startedTime,
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
  const perform = residents.get(verdict.type);
  if (perform === undefined) throw ApplicationFailure.nonRetryable(`${verdict.type} is not a resident type`);
  const { cid } = verdict;
  const { result, fault } = perform(JSON.parse(verdict.payload) as Json, {
    log: (message) => parts.log.info({ cid, agendaId, operation, type: verdict.type }, message),
  });
  const item: FinishOperationItem = {
    ...{ agendaId, attempt, operation, operationAttempt: verdict.operationAttempt, launch: verdict.launch },
    ...(fault === undefined
      ? { outcome: 'succeeded', ending: 'succeeded' }
      : { outcome: 'failed', ending: 'failed', ...failureOf(fault.code) }),
    ...(result === undefined ? {} : { result: JSON.stringify(result) }),
    ...(fault === undefined ? {} : { diagnosticEvents: [fault] }),
    startedTime,
    endedTime: Date.now(),
    noticedTime: Date.now(),
  };
  await finishOperations(parts.database, resourcePoolId, [item]);
  parts.log.info({ cid, agendaId, operation, type: verdict.type, outcome: item.outcome }, 'operation ended');
}
