/** ResourcePools: places of compute. */
import { and, asc, eq, inArray, sql } from 'drizzle-orm';
import type { Peak } from '../../agenda/types.ts';
import { differ, settleChanged } from '../admission/settlement.ts';
import type { Database, Writer } from '../connect.ts';
import type { Page, Visibility } from '../list.ts';
import { customer, insight, poolRegistry, poolWorker, resourcePool, resourcePoolState } from '../schema.ts';
import { type SettingsFilter, settingsTable } from './settings-table.ts';

/** A row of `resource_pool`. */
export type ResourcePoolRow = typeof resourcePool.$inferSelect;

/** What a ResourcePool is set to. */
export interface ResourcePoolSettings {
  readonly customerId: string;
  readonly title: string | null;
  /** Absent resources are unlimited. */
  readonly capacity: Peak | null;
  readonly paused: boolean;
}

const pools = settingsTable<typeof resourcePool, ResourcePoolSettings>(resourcePool);

/** Lists ResourcePools. */
export const listResourcePools = (
  database: Database,
  visibility: Visibility,
  filter: SettingsFilter,
): Promise<Page<ResourcePoolRow>> => pools.list(database, visibility, filter);

/** Reads a ResourcePool. */
export const readResourcePool = pools.read;
/** Reads a ResourcePool that nobody else changes or deletes before the transaction ends. */
export const lockResourcePool = pools.lock;
/** Reads a ResourcePool that is not deleted before the transaction ends: for objects that will refer to it. */
export const holdResourcePool = pools.hold;
/** Adds a ResourcePool; undefined when the id is taken. */
export const insertResourcePool = pools.insert;
/** Changes all settings of a ResourcePool. */
export const updateResourcePool = pools.update;

/** Deletes a ResourcePool with what admission remembers of it and what its workers told. */
export async function deleteResourcePool(writer: Writer, id: string): Promise<void> {
  await writer.delete(poolWorker).where(eq(poolWorker.resourcePoolId, id));
  await writer.delete(poolRegistry).where(eq(poolRegistry.resourcePoolId, id));
  await writer.delete(resourcePoolState).where(eq(resourcePoolState.resourcePoolId, id));
  await pools.remove(writer, id);
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

/** Reads the ids of the Insights of these pools, by pool. */
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

/** Reads which of these pools admit nothing. */
export async function pausedPools(database: Writer, poolIds: readonly string[]): Promise<ReadonlySet<string>> {
  if (poolIds.length === 0) return new Set();
  const paused = and(inArray(resourcePool.id, [...new Set(poolIds)]), eq(resourcePool.paused, true));
  const rows = await database.select({ id: resourcePool.id }).from(resourcePool).where(paused);
  return new Set(rows.map((row) => row.id));
}
