/** Insights: queue definitions. */
import { arrayOverlaps, eq, or, sql } from 'drizzle-orm';
import type { CostModel } from '../../scheduling/cost-models.ts';
import { differ, settleChanged } from '../admission/settlement.ts';
import type { Writer } from '../audit.ts';
import type { Database } from '../connect.ts';
import { equals, type ListFilter, listRows, type Page, type Visibility } from '../list.ts';
import {
  type CustomerInInsight,
  customerLane,
  insight,
  insightBand,
  insightState,
  insightWake,
  learnedDuration,
  readyAgenda,
  runningAgenda,
  settlement,
  waitingQueue,
} from '../schema.ts';
import { updatedNow } from '../updated-now.ts';
import { waitingInsightsOfPool } from './resource-pool.ts';

export type InsightRow = typeof insight.$inferSelect;

export interface InsightSettings {
  readonly customerId: string;
  readonly title: string;
  readonly resourcePoolId: string;
  readonly queueName: string | null;
  readonly queueSize: number;
  readonly schedulingAlgorithm: string;
  readonly maximumRunning: number | null;
  readonly weight: number;
  readonly guaranteed: number | null;
  readonly maximum: number | null;
  readonly admissionsPerSecond: number | null;
  readonly costModel: CostModel;
  readonly priorityStep: number | null;
  readonly floor: number | null;
  readonly promoteAfter: number | null;
  readonly bypassLimit: number | null;
  readonly bypassSeconds: number | null;
  readonly paused: boolean;
  readonly customers: Record<string, CustomerInInsight>;
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
export function listInsights(
  database: Database,
  visibility: Visibility,
  filter: InsightFilter,
): Promise<Page<InsightRow>> {
  const accounts = visibility === 'all' ? [] : visibility.accounts.map((account) => account.toLowerCase());
  // Drizzle has no overlap with an empty array.
  const shared = or(
    eq(insight.isGlobal, true),
    accounts.length === 0 ? undefined : arrayOverlaps(insight.allowedCustomerIds, accounts),
  );
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
export async function insertInsight(
  writer: Writer,
  id: string,
  cid: string,
  settings: InsightSettings,
): Promise<InsightRow | undefined> {
  const [row] = await writer
    .insert(insight)
    .values({ id, cid, ...settings })
    .onConflictDoNothing()
    .returning();
  if (row !== undefined) await writer.insert(insightWake).values({ insightId: id }).onConflictDoNothing();
  return row;
}

export async function updateInsight(
  writer: Writer,
  id: string,
  settings: InsightSettings,
): Promise<InsightRow | undefined> {
  const changed = { ...settings, updatedTime: updatedNow(insight.addedTime) };
  return (await writer.update(insight).set(changed).where(eq(insight.id, id)).returning())[0];
}

/** With everything that admission remembers of it. */
export async function deleteInsight(writer: Writer, id: string): Promise<void> {
  // As admission does before it writes any of these: a batch under way is waited for, and what it wrote goes, too.
  await writer.execute(
    sql`select pg_advisory_xact_lock(hashtextextended('resource-pool:' || ${insight.resourcePoolId}, 0)) from ${insight} where ${insight.id} = ${id}`,
  );
  for (const table of [settlement, waitingQueue, customerLane, insightBand, insightState, learnedDuration])
    await writer.delete(table).where(eq(table.insightId, id));
  await writer.delete(insightWake).where(eq(insightWake.insightId, id));
  await writer.delete(insight).where(eq(insight.id, id));
}

/** What its admission goes by. */
const admissionSettings = [
  'resourcePoolId',
  'queueSize',
  'schedulingAlgorithm',
  'maximumRunning',
  'weight',
  'guaranteed',
  'maximum',
  'admissionsPerSecond',
  'costModel',
  'priorityStep',
  'floor',
  'promoteAfter',
  'bypassLimit',
  'bypassSeconds',
  'paused',
  'customers',
] as const satisfies readonly (keyof InsightSettings)[];

/** Of these, what changes how much of the pool it leaves to others. */
const divisionSettings = [
  'queueSize',
  'maximumRunning',
  'weight',
  'guaranteed',
  'maximum',
  'admissionsPerSecond',
  'paused',
] as const;

/** Tells its admission what changed; the Insights to wake after the transaction: itself, and who shares the pool with it. */
export async function settleInsight(writer: Writer, before: InsightRow, after: InsightRow): Promise<readonly string[]> {
  if (!differ(before, after, admissionSettings)) return [];
  // The others are read by each batch, or begin anew; this one is in the place of whoever waits.
  if (differ(before, after, ['priorityStep'])) await settleChanged(writer, [after.id]);
  const named = new Set([...Object.keys(before.customers), ...Object.keys(after.customers)]);
  const changed = [...named].filter((id) => differ(before.customers, after.customers, [id]));
  await settleChanged(writer, [after.id], changed);
  const others = differ(before, after, divisionSettings)
    ? await waitingInsightsOfPool(writer, after.resourcePoolId)
    : [];
  return [...new Set([after.id, ...others])];
}

/** Why it cannot be deleted or moved to another pool, if so. */
export async function insightInUse(writer: Writer, id: string): Promise<string | undefined> {
  const [waiting] = await writer
    .select({ count: sql<number>`count(*)::int` })
    .from(readyAgenda)
    .where(eq(readyAgenda.insightId, id));
  const [running] = await writer
    .select({ count: sql<number>`count(*)::int` })
    .from(runningAgenda)
    .where(eq(runningAgenda.insightId, id));
  const uses = [
    waiting !== undefined && waiting.count > 0 ? `${waiting.count} waiting` : undefined,
    running !== undefined && running.count > 0 ? `${running.count} running` : undefined,
  ].filter((use) => use !== undefined);
  return uses.length === 0 ? undefined : `Agendas: ${uses.join(', ')}`;
}
