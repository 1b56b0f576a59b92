import type { Writer } from '../db/audit.ts';
import { holdResourcePool } from '../db/resource-pool.ts';
import { type Access, isVisible } from './auth/authorize.ts';
import { invalidField } from './problem.ts';

/**
 * The pool that a Customer or an Insight is to refer to exists, and stays until the transaction ends. Whoever names another
 * pool than before must be able to see it: else anybody could send work to anybody's pool.
 * @throws ProblemError 422
 */
export async function requirePool(writer: Writer, access: Access, id: string, before: string | null | undefined): Promise<void> {
  const pool = await holdResourcePool(writer, id);
  if (pool !== undefined && (id === before || isVisible(access, pool))) return;
  throw invalidField('/resourcePoolId', 'unknownResourcePool', `resourcePoolId names no ResourcePool: ${JSON.stringify(id)}.`);
}
