/** Rules for settings that refer to a ResourcePool. */
import { quoted } from '../../agenda/cut.ts';
import type { Writer } from '../../db/connect.ts';
import { holdResourcePool, type ResourcePoolRow } from '../../db/settings/resource-pool.ts';
import { type Access, isVisible, ownedBy } from '../auth/authorize.ts';
import { forbidden, inUse, invalidField } from '../http/problem.ts';

/**
 * The pool that a Customer or an Insight is to refer to. It exists, and stays until the transaction ends. Whoever names
 * another pool than `before` must be able to see it: else anybody could send work to anybody's pool.
 * @throws ProblemError 422
 */
export async function requirePool(
  writer: Writer,
  access: Access,
  id: string,
  before: string | null | undefined,
): Promise<ResourcePoolRow> {
  const pool = await holdResourcePool(writer, id);
  if (pool !== undefined && (id === before || isVisible(access, pool))) return pool;
  throw invalidField('/resourcePoolId', 'unknownResourcePool', `resourcePoolId names no ResourcePool: ${quoted(id)}.`);
}

/**
 * What an object gets of its pool is at the cost of others there, and where its Pods go is in the pool's cluster: the
 * pool's owner sets it, not the object's. A super user sets it for an object that has no pool yet.
 * @throws ProblemError 403 naming those of `fields`, the ones that the request changes
 */
export function requirePoolOwner(
  access: Access,
  kind: string,
  pool: ResourcePoolRow | undefined,
  fields: readonly string[],
): void {
  if (fields.length === 0 || access.superUser || (pool !== undefined && ownedBy(access, pool.customerId))) return;
  const why = pool === undefined ? `this ${kind} has none` : 'this one belongs to somebody else';
  const errors = fields.map((field) => ({
    pointer: `/${field}`,
    code: 'forbidden',
    message: `${field} of ${kind === 'Insight' ? 'an' : 'a'} ${kind} is set by the owner of its ResourcePool; ${why}.`,
  }));
  throw forbidden(errors.map(({ message }) => message).join(' '), errors);
}

/** Waiting and running rows carry the pool: what moved would leave them behind in the old one. */
export function refuseMove(kind: string, id: string, uses: string | undefined): void {
  if (uses !== undefined) throw inUse(`${kind} ${quoted(id)} cannot move to another pool while it has ${uses}.`);
}
