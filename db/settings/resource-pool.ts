/** ResourcePools: places of compute. */
import { and, asc, eq, inArray, sql } from 'drizzle-orm';
import type { Peak } from '../../agenda/types.ts';
import { differ, settleChanged } from '../admission/settlement.ts';
import type { Writer } from '../audit.ts';
import type { Database } from '../connect.ts';
import { equals, type ListFilter, listRows, type Page, type Visibility } from '../list.ts';
import { customer, insight, readyAgenda, resourcePool, resourcePoolState } from '../schema.ts';
import { updatedNow } from '../updated-now.ts';

export type ResourcePoolRow = typeof resourcePool.$inferSelect;

export interface ResourcePoolSettings {
  readonly customerId: string;
  readonly title: string | null;
  /** Absent resources are unlimited. */
  readonly capacity: Peak | null;
  readonly paused: boolean;
}

export interface ResourcePoolFilter extends ListFilter {
  readonly byId?: string | undefined;
  readonly byCid?: string | undefined;
  readonly byCustomerId?: string | undefined;
  readonly byTitle?: string | undefined;
}

export function listResourcePools(
  database: Database,
  visibility: Visibility,
  filter: ResourcePoolFilter,
): Promise<Page<ResourcePoolRow>> {
  return listRows(
    database,
    { table: resourcePool, key: resourcePool.id, owner: resourcePool.customerId, addedTime: resourcePool.addedTime },
    visibility,
    filter,
    [
      equals(resourcePool.id, filter.byId),
      equals(resourcePool.cid, filter.byCid),
      equals(resourcePool.customerId, filter.byCustomerId),
      equals(resourcePool.title, filter.byTitle),
    ],
  );
}

export async function readResourcePool(database: Writer, id: string): Promise<ResourcePoolRow | undefined> {
  return (await database.select().from(resourcePool).where(eq(resourcePool.id, id)))[0];
}

/** As readResourcePool, and nobody else changes or deletes it before the transaction ends. */
export async function lockResourcePool(writer: Writer, id: string): Promise<ResourcePoolRow | undefined> {
  return (await writer.select().from(resourcePool).where(eq(resourcePool.id, id)).for('update'))[0];
}

/** As readResourcePool, and it is not deleted before the transaction ends: for objects that will refer to it. */
export async function holdResourcePool(writer: Writer, id: string): Promise<ResourcePoolRow | undefined> {
  return (await writer.select().from(resourcePool).where(eq(resourcePool.id, id)).for('key share'))[0];
}

/** Undefined when the id is taken. */
export async function insertResourcePool(
  writer: Writer,
  id: string,
  cid: string,
  settings: ResourcePoolSettings,
): Promise<ResourcePoolRow | undefined> {
  return (
    await writer
      .insert(resourcePool)
      .values({ id, cid, ...settings })
      .onConflictDoNothing()
      .returning()
  )[0];
}

export async function updateResourcePool(
  writer: Writer,
  id: string,
  settings: ResourcePoolSettings,
): Promise<ResourcePoolRow | undefined> {
  const changed = { ...settings, updatedTime: updatedNow(resourcePool.addedTime) };
  return (await writer.update(resourcePool).set(changed).where(eq(resourcePool.id, id)).returning())[0];
}

export async function deleteResourcePool(writer: Writer, id: string): Promise<void> {
  await writer.delete(resourcePoolState).where(eq(resourcePoolState.resourcePoolId, id));
  await writer.delete(resourcePool).where(eq(resourcePool.id, id));
}

/** Tells the admission of its Insights what changed; the Insights to wake after the transaction. */
export async function settleResourcePool(
  writer: Writer,
  before: ResourcePoolRow,
  after: ResourcePoolRow,
): Promise<readonly string[]> {
  if (!differ(before, after, ['capacity', 'paused'])) return [];
  const insightIds = (await insightsOfPools(writer, [after.id])).get(after.id) ?? [];
  // What an Agenda costs may be a part of the capacity; a pause is read by each batch.
  if (differ(before, after, ['capacity'])) await settleChanged(writer, insightIds);
  return insightIds;
}

/** Why it cannot be deleted, if so. */
export async function resourcePoolInUse(writer: Writer, id: string): Promise<string | undefined> {
  const [customers] = await writer
    .select({ count: sql<number>`count(*)::int` })
    .from(customer)
    .where(eq(customer.resourcePoolId, id));
  const [insights] = await writer
    .select({ count: sql<number>`count(*)::int` })
    .from(insight)
    .where(eq(insight.resourcePoolId, id));
  const uses = [counted(customers?.count ?? 0, 'Customer'), counted(insights?.count ?? 0, 'Insight')].filter(
    (use) => use !== undefined,
  );
  return uses.length === 0 ? undefined : uses.join(' and ');
}

function counted(count: number, noun: string): string | undefined {
  if (count === 0) return undefined;
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Ids of the Insights of these pools, by pool. */
export async function insightsOfPools(database: Writer, poolIds: readonly string[]): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>(poolIds.map((id) => [id, []]));
  if (poolIds.length === 0) return found;
  const rows = await database
    .select({ id: insight.id, resourcePoolId: insight.resourcePoolId })
    .from(insight)
    .where(inArray(insight.resourcePoolId, [...poolIds]))
    .orderBy(asc(insight.order), asc(insight.addedTime), asc(insight.id));
  for (const row of rows) found.get(row.resourcePoolId)?.push(row.id);
  return found;
}

/** Those of these pools that admit nothing. */
export async function pausedPools(database: Writer, poolIds: readonly string[]): Promise<ReadonlySet<string>> {
  if (poolIds.length === 0) return new Set();
  const paused = and(inArray(resourcePool.id, [...new Set(poolIds)]), eq(resourcePool.paused, true));
  const rows = await database.select({ id: resourcePool.id }).from(resourcePool).where(paused);
  return new Set(rows.map((row) => row.id));
}

/** Insights of this pool in which an Agenda waits. */
export async function waitingInsightsOfPool(database: Writer, poolId: string): Promise<string[]> {
  const waits = sql`exists (select 1 from ${readyAgenda} where ${readyAgenda.insightId} = ${insight.id})`;
  const rows = await database
    .select({ id: insight.id })
    .from(insight)
    .where(sql`${insight.resourcePoolId} = ${poolId} and ${waits}`);
  return rows.map((row) => row.id);
}
