/** API keys as rows; what a key looks like is api-key-text.ts. */
import { arrayContained, eq, sql } from 'drizzle-orm';
import type { Writer } from '../audit.ts';
import type { Database } from '../connect.ts';
import { equals, type ListFilter, listRows, type Page, type Visibility } from '../list.ts';
import { apiKey } from '../schema.ts';

export type ApiKeyRow = typeof apiKey.$inferSelect;

export interface ApiKeyFilter extends ListFilter {
  readonly byId?: string | undefined;
  readonly byTitle?: string | undefined;
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
        : sql`(not ${apiKey.superUser} and cardinality(${apiKey.accounts}) > 0 and ${arrayContained(apiKey.accounts, [...visibility.accounts])})`;
  return listRows(
    database,
    { table: apiKey, key: apiKey.prefix, owner: apiKey.prefix, addedTime: apiKey.addedTime },
    'all',
    filter,
    [owned, equals(apiKey.prefix, filter.byId), equals(apiKey.title, filter.byTitle)],
  );
}

export async function insertApiKey(writer: Writer, values: typeof apiKey.$inferInsert): Promise<ApiKeyRow> {
  const [row] = await writer.insert(apiKey).values(values).returning();
  if (row === undefined) throw new Error('an inserted key was not returned');
  return row;
}

/** As it is, and nobody else deletes it before the transaction ends. */
export async function lockApiKey(writer: Writer, prefix: string): Promise<ApiKeyRow | undefined> {
  return (await writer.select().from(apiKey).where(eq(apiKey.prefix, prefix)).for('update'))[0];
}

export async function deleteApiKey(writer: Writer, prefix: string): Promise<void> {
  await writer.delete(apiKey).where(eq(apiKey.prefix, prefix));
}
