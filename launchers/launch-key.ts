import { createHash } from 'node:crypto';
import type { Fence } from '../messages/resource-pool.ts';

/** Names one launch: the same five always give the same key, so whoever has them finds the run. Fits a file and a Pod name. */
export function launchKey({ agendaId, attempt, operation, operationAttempt, launch }: Fence): string {
  const five = JSON.stringify([agendaId, attempt, operation, operationAttempt, launch]);
  return `op-${createHash('sha256').update(five).digest('hex').slice(0, 40)}`;
}
