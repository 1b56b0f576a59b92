import { createHash } from 'node:crypto';
import type { Fence } from '../messages/resource-pool.ts';

/**
 * Names one launch. The same five values always give the same key, so a process that has them finds the run. The key
 * fits a file name and a Pod name.
 */
export function launchKey({ agendaId, attempt, operation, operationAttempt, launch }: Fence): string {
  const five = JSON.stringify([agendaId, attempt, operation, operationAttempt, launch]);
  return `op-${createHash('sha256').update(five).digest('hex').slice(0, 40)}`;
}
