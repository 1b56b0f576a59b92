/** API keys as credentials: `Authorization: Bearer <key>`, checked against the table of keys. */
import { timingSafeEqual } from 'node:crypto';
import type { Database } from '../../db/connect.ts';
import { noteUse, readPresentedKey } from '../../db/settings/api-key.ts';
import { hashOf, prefixOf } from '../../db/settings/api-key-text.ts';
import { unauthenticated } from '../http/problem.ts';
import type { Access, Authorize } from './authorize.ts';

/**
 * How long a verified key is believed without asking the database again: a deleted key works at most this much longer.
 */
export const keyCacheSeconds = 5;
const mostCachedKeys = 10_000;

/** `Authorization: Bearer <key>`, checked against the table of keys. */
export function authorizeByKey(database: Database, options: { readonly cacheSeconds?: number } = {}): Authorize {
  const cacheMilliseconds = (options.cacheSeconds ?? keyCacheSeconds) * 1000;
  const verified = new Map<string, { readonly access: Access; readonly until: number }>();
  return async (request) => {
    const key = bearerOf(request);
    const hash = hashOf(key);
    const known = verified.get(hash);
    // A monotonic clock: a step of the wall clock must not prolong a deleted key.
    if (known !== undefined && known.until > performance.now()) return known.access;
    verified.delete(hash);
    const prefix = prefixOf(key);
    if (prefix === undefined) throw unauthenticated('The credential is not an API key of this service.');
    const access = await lookUp(database, prefix, hash);
    if (cacheMilliseconds > 0) {
      if (verified.size >= mostCachedKeys) verified.clear();
      verified.set(hash, { access, until: performance.now() + cacheMilliseconds });
    }
    return access;
  };
}

async function lookUp(database: Database, prefix: string, hash: string): Promise<Access> {
  const row = await readPresentedKey(database, prefix);
  // One answer for a wrong and for a missing key; the comparison takes the same time wherever they differ.
  if (row === undefined || !timingSafeEqual(Buffer.from(row.hash, 'hex'), Buffer.from(hash, 'hex')))
    throw unauthenticated('The API key is not known.');
  if (row.expired) throw unauthenticated('The API key has expired.');
  if (row.useIsNews) await noteUse(database, prefix);
  const pool = row.scopes.find((scope) => scope.startsWith('pool:'))?.slice('pool:'.length);
  return {
    userId: prefix,
    accounts: row.accounts,
    superUser: row.superUser,
    scopes: row.scopes,
    ...(pool === undefined ? {} : { pool }),
    ...(row.expiresTime === null ? {} : { expiresTime: row.expiresTime }),
  };
}

/** The credential of `Authorization: Bearer <credential>`. @throws ProblemError 401 */
export function bearerOf(request: Request): string {
  const header = request.headers.get('authorization');
  if (header === null) throw unauthenticated('A credential is required: send "Authorization: Bearer <key>".');
  const found = /^bearer +(\S+)$/i.exec(header.trim());
  if (found?.[1] === undefined) throw unauthenticated('The Authorization header must read "Bearer <key>".');
  return found[1];
}
