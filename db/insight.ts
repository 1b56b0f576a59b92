/** Insights: queue definitions. */
import { arrayOverlaps, eq, or, sql } from 'drizzle-orm';
import type { Writer } from './audit.ts';
import type { Database } from './connect.ts';
import { equals, type ListFilter, listRows, type Page, type Visibility } from './list.ts';
import { insight, insightWake, readyAgenda, runningAgenda } from './schema.ts';
import { updatedNow } from './updated-now.ts';

export type InsightRow = typeof insight.$inferSelect;

export interface InsightSettings {
  readonly customerId: string;
  readonly title: string;
  readonly resourcePoolId: string;
  readonly queueName: string | null;
  readonly queueSize: number;
  readonly schedulingAlgorithm: string;
  readonly maximumRunning: number | null;
  readonly mappers: Record<string, string[]>;
  readonly isGlobal: boolean;
  /** Lower-cased and sorted. */
  readonly allowedCustomerIds: string[];
  readonly order: number;
}

export interface InsightFilter extends ListFilter {
  readonly byId?: string | undefined;
  readonly byCid?: string | undefined;
  readonly byCustomerId?: string | undefined;
  readonly byTitle?: string | undefined;
  readonly byResourcePoolId?: string | undefined;
}

/** Besides their owners', those shared with everybody or with one of these accounts. */
export function listInsights(database: Database, visibility: Visibility, filter: InsightFilter): Promise<Page<InsightRow>> {
  const accounts = visibility === 'all' ? [] : visibility.accounts.map((account) => account.toLowerCase());
  // Drizzle has no overlap with an empty array.
  const shared = or(eq(insight.isGlobal, true), accounts.length === 0 ? undefined : arrayOverlaps(insight.allowedCustomerIds, accounts));
  return listRows(
    database,
    { table: insight, key: insight.id, owner: insight.customerId, addedTime: insight.addedTime, shared },
    visibility,
    filter,
    [
      equals(insight.id, filter.byId),
      equals(insight.cid, filter.byCid),
      equals(insight.customerId, filter.byCustomerId),
      equals(insight.title, filter.byTitle),
      equals(insight.resourcePoolId, filter.byResourcePoolId),
    ],
  );
}

export async function readInsight(database: Writer, id: string): Promise<InsightRow | undefined> {
  return (await database.select().from(insight).where(eq(insight.id, id)))[0];
}

/** As readInsight, and nobody else changes or deletes it, or submits to it, before the transaction ends. */
export async function lockInsight(writer: Writer, id: string): Promise<InsightRow | undefined> {
  return (await writer.select().from(insight).where(eq(insight.id, id)).for('update'))[0];
}

/** With its wake flag. Undefined when the id is taken. */
export async function insertInsight(writer: Writer, id: string, cid: string, settings: InsightSettings): Promise<InsightRow | undefined> {
  const [row] = await writer
    .insert(insight)
    .values({ id, cid, ...settings })
    .onConflictDoNothing()
    .returning();
  if (row !== undefined) await writer.insert(insightWake).values({ insightId: id }).onConflictDoNothing();
  return row;
}

export async function updateInsight(writer: Writer, id: string, settings: InsightSettings): Promise<InsightRow | undefined> {
  const changed = { ...settings, updatedTime: updatedNow(insight.addedTime) };
  return (await writer.update(insight).set(changed).where(eq(insight.id, id)).returning())[0];
}

export async function deleteInsight(writer: Writer, id: string): Promise<void> {
  await writer.delete(insightWake).where(eq(insightWake.insightId, id));
  await writer.delete(insight).where(eq(insight.id, id));
}

/** Why it cannot be deleted or moved to another pool, if so. */
export async function insightInUse(writer: Writer, id: string): Promise<string | undefined> {
  const [waiting] = await writer.select({ count: sql<number>`count(*)::int` }).from(readyAgenda).where(eq(readyAgenda.insightId, id));
  const [running] = await writer.select({ count: sql<number>`count(*)::int` }).from(runningAgenda).where(eq(runningAgenda.insightId, id));
  const uses = [
    waiting !== undefined && waiting.count > 0 ? `${waiting.count} waiting` : undefined,
    running !== undefined && running.count > 0 ? `${running.count} running` : undefined,
  ].filter((use) => use !== undefined);
  return uses.length === 0 ? undefined : `Agendas: ${uses.join(', ')}`;
}
