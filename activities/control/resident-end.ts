import { failureOf } from '../../agenda/failure.ts';
import { residents } from '../../agenda/residents.ts';
import type { Json } from '../../agenda/types.ts';
import type { FinishOperationItem, StartVerdict } from '../../messages/resource-pool.ts';

/**
 * Performs an Operation of a resident type that was handed out, and tells its end; `log` takes what it says.
 * @throws when the type is none
 */
export function residentEnd(
  key: { readonly agendaId: string; readonly attempt: number; readonly operation: string },
  { type, payload, operationAttempt, launch }: Extract<StartVerdict, { verdict: 'run' }>,
  log: (message: string) => void,
): FinishOperationItem {
  const perform = residents.get(type);
  if (perform === undefined) throw new Error(`${type} is not a resident type`);
  const startedTime = Date.now();
  const { result, fault } = perform(JSON.parse(payload) as Json, { log });
  const endedTime = Date.now();
  return {
    ...{ ...key, operationAttempt, launch },
    ...(fault === undefined
      ? { outcome: 'succeeded', ending: 'succeeded' }
      : { outcome: 'failed', ending: 'failed', ...failureOf(fault.code) }),
    ...(result === undefined ? {} : { result: JSON.stringify(result) }),
    ...(fault === undefined ? {} : { diagnosticEvents: [fault] }),
    ...{ startedTime, endedTime, noticedTime: endedTime },
  };
}
