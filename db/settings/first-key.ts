/** Keys for whoever bootstraps an installation: there is no credential yet to ask the api with. */
import { and, arrayContains, eq, sql } from 'drizzle-orm';
import { appendAudit } from '../audit.ts';
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

/** What the first key of an installation is made with. */
export interface FirstKeyOptions {
  /** `<env>` in its text. */
  readonly environment: string;
  readonly title: string;
  /** For the audit trail. */
  readonly cid: string;
  /** Puts the key where it is kept, before it is valid: one that nobody knows would be in the way of another first. */
  readonly keep: (key: string) => Promise<void>;
}

/** Makes a key that may do everything where there is no key at all; of several at once one makes it. */
export async function createFirstKey(
  database: Database,
  { environment, title, cid, keep }: FirstKeyOptions,
): Promise<NewKey | undefined> {
  const made = makeKey(environment);
  return await database.transaction(async (transaction) => {
    await transaction.execute(sql`/* firstKey: lock */ lock table ${apiKey} in share row exclusive mode`);
    const [known] = await transaction.select({ prefix: apiKey.prefix }).from(apiKey).limit(1);
    if (known !== undefined) return undefined;
    const stored = { title, accounts: [], superUser: true, scopes: ['admin'] };
    await insertApiKey(transaction, made, stored);
    await appendAudit(transaction, {
      ...{ customerId: '*', actor: 'system', action: 'apiKey.create', objectId: made.prefix, cid },
      after: { id: made.prefix, ...stored },
    });
    await keep(made.key);
    return made;
  });
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
