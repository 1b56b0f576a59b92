/** Keys for whoever bootstraps an installation: there is no credential yet to ask the api with. */
import { and, arrayContains, eq } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { apiKey } from '../schema.ts';
import { insertApiKey, type StoredKey } from './api-key.ts';
import { makeKey, type NewKey, prefixOf } from './api-key-text.ts';

/** Makes and stores a key; the api's own route does it with an audit entry. */
export async function createKey(database: Database, environment: string, stored: StoredKey): Promise<NewKey> {
  const made = makeKey(environment);
  await insertApiKey(database, made, stored);
  return made;
}

/** Whether the record has this key, with this scope. */
export async function knowsKey(database: Database, key: string, scope: string): Promise<boolean> {
  const prefix = prefixOf(key);
  if (prefix === undefined) return false;
  const rows = await database
    .select({ prefix: apiKey.prefix })
    .from(apiKey)
    .where(and(eq(apiKey.prefix, prefix), arrayContains(apiKey.scopes, [scope])));
  return rows.length > 0;
}
