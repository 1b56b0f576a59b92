/** Who calls and what they may do. Visibility is by owner: what a caller may not see does not exist for it. */
import { quoted } from '../../agenda/cut.ts';
import type { Visibility } from '../../db/list.ts';
import type { Fence } from '../../messages/resource-pool.ts';
import { forbidden, notFound } from '../http/problem.ts';

/** `read` sees, `submit` runs Agendas, `operate` cancels and changes them, `admin` changes settings and may do all. */
export const scopes = ['read', 'submit', 'operate', 'admin'] as const;
/** One of them. */
export type Scope = (typeof scopes)[number];

/** What `authorize` found out about a request. */
export interface Access {
  /** Written to the audit trail: a key's prefix, `system`, or a subject from elsewhere. */
  readonly userId: string;
  /** Customers it acts for. */
  readonly accounts: readonly string[];
  /** Sees and writes what every customer owns; its scopes still apply. */
  readonly superUser: boolean;
  readonly scopes: readonly string[];
  /** The one ResourcePool it may work for (scope `pool:<id>`). */
  readonly pool?: string;
  /** The one launch that it may report of, and nothing else; `pool` is the pool of it. */
  readonly launch?: Fence;
  /** When the credential ends; what it makes ends then at the latest. */
  readonly expiresTime?: Date;
}

/** @throws ProblemError 401 when there is no valid credential. */
export type Authorize = (request: Request) => Promise<Access>;

/** @throws ProblemError 403 naming the scope that is missing; the token of a launch has none. */
export function requireScope(access: Access, scope: Scope | 'pool', launchToken = false): void {
  if (access.launch !== undefined) {
    if (launchToken) return;
    throw forbidden('The token of a launch may report the progress and the end of that launch, and nothing else.');
  }
  if (scope === 'pool') {
    if (access.pool === undefined) throw forbidden('This needs a credential with a scope pool:<id>.');
    return;
  }
  if (!hasScope(access, scope)) throw forbidden(`This needs the scope ${scope}.`);
}

/** Whether the caller has this scope, or `admin` in its place; `pool:<id>` is had by itself only. */
export function hasScope(access: Access, scope: string): boolean {
  return (
    access.scopes.includes(scope) || (access.scopes.includes('admin') && (scopes as readonly string[]).includes(scope))
  );
}

/** What decides about reading: every object has an owner; Insights and templates may be shared. */
export interface Owned {
  readonly id: string;
  readonly customerId: string;
  readonly isGlobal?: boolean;
  /** Lower-cased. */
  readonly allowedCustomerIds?: readonly string[];
}

/** Whether the caller acts for this customer. */
export function ownedBy(access: Access, customerId: string): boolean {
  return access.superUser || access.accounts.includes(customerId);
}

/** Whether the caller may see the object: its own, one for everybody, or one that it is allowed to use. */
export function isVisible(access: Access, object: Owned): boolean {
  return (
    ownedBy(access, object.customerId) ||
    object.isGlobal === true ||
    (object.allowedCustomerIds ?? []).some((allowed) =>
      access.accounts.some((account) => account.toLowerCase() === allowed),
    )
  );
}

/** The object, when there is one and the caller may see it. @throws ProblemError 404 */
export function mayRead<T extends Owned>(access: Access, kind: string, id: string, object: T | undefined): T {
  if (object === undefined || !isVisible(access, object)) throw notFound(kind, id);
  return object;
}

/**
 * The object, when the caller may change it.
 * @throws ProblemError 404 when it is not visible, 403 when it is but belongs to somebody else
 */
export function mayWrite<T extends Owned>(access: Access, kind: string, id: string, object: T | undefined): T {
  const found = mayRead(access, kind, id, object);
  mayActFor(access, found.customerId);
  return found;
}

/** @throws ProblemError 403 when the caller does not act for this customer */
export function mayActFor(access: Access, customerId: string): void {
  if (!ownedBy(access, customerId))
    throw forbidden(`You do not have permission to perform this action for customerId ${quoted(customerId)}.`);
}

/** What lists and counts are kept to. */
export function visibilityOf(access: Access): Visibility {
  return access.superUser ? 'all' : { accounts: access.accounts };
}
