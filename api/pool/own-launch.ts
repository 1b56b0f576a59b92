/** What the handler of one launch may report: its own, and only what is a handler's to say. */
import { cut } from '../../agenda/cut.ts';
import { failureOf } from '../../agenda/failure.ts';
import { FaultList } from '../../agenda/fault-list.ts';
import type { Fence, FinishOperationItem } from '../../messages/resource-pool.ts';
import type { Access } from '../auth/authorize.ts';
import { forbidden } from '../http/problem.ts';

const fence = ['agendaId', 'attempt', 'operation', 'operationAttempt', 'launch'] as const;
/**
 * Who follows it, whether it could be started, what it printed and whose fault an end was is the pool worker's to say.
 */
const ofTheWorker = ['worker', 'orphan', 'blocked', 'log', 'ending', 'category', 'code'] as const;

/**
 * @throws ProblemError 403 naming what does not fit, when the credential is of one launch and an item speaks of more
 */
export function requireOwnLaunch({ launch }: Access, items: readonly Fence[]): void {
  if (launch === undefined) return;
  const faults = new FaultList();
  for (const [index, item] of items.entries()) {
    const refuse = (field: string, message: string) =>
      faults.add(() => ({ pointer: `/items/${index}/${field}`, code: 'notThisLaunch', message }));
    for (const field of fence) {
      if (item[field] === launch[field]) continue;
      const [is, given] = [launch[field], item[field]].map((value) => cut(JSON.stringify(value)));
      refuse(field, `This token is for one launch only: ${field} must be ${is}, not ${given}.`);
    }
    for (const field of ofTheWorker)
      if (field in item) refuse(field, `${field} is the pool worker's to say, not for the token of a launch.`);
  }
  if (faults.total > 0) throw forbidden(faults.first.map(({ message }) => message).join(' '), faults);
}

/** The ends, those of a handler with their category: whatever word it chose for a failure, it is the handler's. */
export function toldEnds({ launch }: Access, items: readonly FinishOperationItem[]): readonly FinishOperationItem[] {
  if (launch === undefined) return items;
  return items.map((item) =>
    item.outcome === 'failed'
      ? { ...item, ending: 'failed', ...failureOf('reportedFailure') }
      : { ...item, ending: item.outcome },
  );
}
