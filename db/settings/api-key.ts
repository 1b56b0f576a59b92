/** API keys as rows; what a key looks like is api-key-text.ts. */
import { arrayContained, eq, sql } from 'drizzle-orm';
import type { Database, Writer } from '../connect.ts';
import { equals, type ListFilter, listRows, type Page, type Visibility } from '../list.ts';
import { apiKey } from '../schema.ts';

/** A key as stored; the key itself is not. */
export type ApiKeyRow = typeof apiKey.$inferSelect;

/** What a list of keys can be narrowed to. */
export interface ApiKeyFilter extends ListFilter {
  readonly byId?: string | undefined;
  readonly byTitle?: string | undefined;
}

/** What a key may do, and until when. */
export interface StoredKey {
  readonly title?: string;
  readonly accounts: readonly string[];
  readonly superUser: boolean;
  readonly scopes: readonly string[];
  readonly expiresTime?: Date;
}

/** A key as a request that carries it needs it. */
export interface PresentedKey extends Pick<ApiKeyRow, 'hash' | 'accounts' | 'superUser' | 'scopes' | 'expiresTime'> {
  /** By the clock of the database. */
  readonly expired: boolean;
  /** Its `lastUsedTime` is older than a minute: `noteUse` is due. */
  readonly useIsNews: boolean;
}

/** The key with this prefix, for checking what a request presented. */
export async function readPresentedKey(database: Database, prefix: string): Promise<PresentedKey | undefined> {
  const [row] = await database
    .select({
      hash: apiKey.hash,
      accounts: apiKey.accounts,
      superUser: apiKey.superUser,
      scopes: apiKey.scopes,
      expiresTime: apiKey.expiresTime,
      expired: sql<boolean>`coalesce(${apiKey.expiresTime} <= clock_timestamp(), false)`,
      useIsNews: sql<boolean>`coalesce(${apiKey.lastUsedTime} < clock_timestamp() - interval '1 minute', true)`,
    })
    .from(apiKey)
    .where(eq(apiKey.prefix, prefix));
  return row;
}

/** Writes down that the key was used now. */
export async function noteUse(database: Database, prefix: string): Promise<void> {
  await database.update(apiKey).set({ lastUsedTime: sql`clock_timestamp()` }).where(eq(apiKey.prefix, prefix));
}

/** Keys that act for none but these accounts; keys of super users are theirs only. */
export function listApiKeys(
  database: Database,
  visibility: Visibility,
  filter: ApiKeyFilter,
): Promise<Page<ApiKeyRow>> {
  const owned =
    visibility === 'all'
      ? undefined
      : visibility.accounts.length === 0
        ? sql`false`
        : sql`(not ${apiKey.superUser} and cardinality(${apiKey.accounts}) > 0
            and ${arrayContained(apiKey.accounts, [...visibility.accounts])})`;
  return listRows(
    database,
    { table: apiKey, key: apiKey.prefix, owner: apiKey.prefix, addedTime: apiKey.addedTime },
    'all',
    filter,
    [owned, equals(apiKey.prefix, filter.byId), equals(apiKey.title, filter.byTitle)],
  );
}

/** Stores a key: the public prefix, the SHA-256 of the whole, and what it may do. */
export async function insertApiKey(
  writer: Writer,
  made: { readonly prefix: string; readonly hash: string },
  stored: StoredKey,
): Promise<ApiKeyRow> {
  const values = {
    prefix: made.prefix,
    hash: made.hash,
    title: stored.title ?? null,
    accounts: [...stored.accounts],
    superUser: stored.superUser,
    scopes: [...stored.scopes],
    expiresTime: stored.expiresTime ?? null,
  };
  const [row] = await writer.insert(apiKey).values(values).returning();
  if (row === undefined) throw new Error('an inserted key was not returned');
  return row;
}

/** As it is, and nobody else deletes it before the transaction ends. */
export async function lockApiKey(writer: Writer, prefix: string): Promise<ApiKeyRow | undefined> {
  return (await writer.select().from(apiKey).where(eq(apiKey.prefix, prefix)).for('update'))[0];
}

/** Deletes the key with this prefix. */
export async function deleteApiKey(writer: Writer, prefix: string): Promise<void> {
  await writer.delete(apiKey).where(eq(apiKey.prefix, prefix));
}
