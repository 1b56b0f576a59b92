/** Insights: queue definitions. */
import { arrayOverlaps, eq, or, sql } from 'drizzle-orm';
import type { CostModel } from '../../scheduling/cost-models.ts';
import { differ, settleChanged } from '../admission/settlement.ts';
import { insightsThatWaitNow } from '../admission/wake.ts';
import { type Database, lockPool, type Writer } from '../connect.ts';
import { equals, type Page, type Visibility } from '../list.ts';
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
import { type SettingsFilter, settingsTable } from './settings-table.ts';

/** A row of `insight`. */
export type InsightRow = typeof insight.$inferSelect;

/** What an Insight is set to. */
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

/** Filters of a list of Insights. */
export interface InsightFilter extends SettingsFilter {
  readonly byResourcePoolId?: string | undefined;
}

const insights = settingsTable<typeof insight, InsightSettings>(insight);

/** Lists Insights: besides their owners', those shared with everybody or with one of these accounts. */
export function listInsights(
  database: Database,
  visibility: Visibility,
  filter: InsightFilter,
): Promise<Page<InsightRow>> {
  const accounts = visibility === 'all' ? [] : visibility.accounts.map((account) => account.toLowerCase());
  return insights.list(database, visibility, filter, {
    conditions: [equals(insight.resourcePoolId, filter.byResourcePoolId)],
    // Drizzle has no overlap with an empty array.
    shared: or(
      eq(insight.isGlobal, true),
      accounts.length === 0 ? undefined : arrayOverlaps(insight.allowedCustomerIds, accounts),
    ),
  });
}

/** Reads an Insight. */
export const readInsight = insights.read;
/** Reads an Insight that nobody else changes or deletes, or submits to, before the transaction ends. */
export const lockInsight = insights.lock;
/** Changes all settings of an Insight. */
export const updateInsight = insights.update;

/** Adds an Insight with its wake flag; undefined when the id is taken. */
export async function insertInsight(
  writer: Writer,
  id: string,
  cid: string,
  settings: InsightSettings,
): Promise<InsightRow | undefined> {
  const row = await insights.insert(writer, id, cid, settings);
  if (row !== undefined) await writer.insert(insightWake).values({ insightId: id }).onConflictDoNothing();
  return row;
}

/** Deletes an Insight with everything that admission remembers of it. */
export async function deleteInsight(writer: Writer, id: string): Promise<void> {
  // As admission does before it writes any of these: a batch under way is waited for, and what it wrote goes, too.
  await writer.execute(lockPool(sql, id));
  for (const table of [settlement, waitingQueue, customerLane, insightBand, insightState, learnedDuration])
    await writer.delete(table).where(eq(table.insightId, id));
  await writer.delete(insightWake).where(eq(insightWake.insightId, id));
  await insights.remove(writer, id);
}

/** Settings that its admission goes by. */
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

/** Settings that change how much of the pool it leaves to others. */
const divisionSettings = [
  'queueSize',
  'maximumRunning',
  'weight',
  'guaranteed',
  'maximum',
  'admissionsPerSecond',
  'paused',
] as const;

/**
 * Tells its admission what changed; the Insights to wake after the transaction: itself, and who shares the pool with
 * it.
 */
export async function settleInsight(writer: Writer, before: InsightRow, after: InsightRow): Promise<readonly string[]> {
  if (!differ(before, after, admissionSettings)) return [];
  // priorityStep is stored in the queue order, so waiting customers must be placed again. The other settings are read
  // by each batch.
  if (differ(before, after, ['priorityStep'])) await settleChanged(writer, [after.id]);
  const named = new Set([...Object.keys(before.customers), ...Object.keys(after.customers)]);
  const changed = [...named].filter((id) => differ(before.customers, after.customers, [id]));
  await settleChanged(writer, [after.id], changed);
  const others = differ(before, after, divisionSettings) ? await insightsThatWaitNow(writer, after.resourcePoolId) : [];
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
