/** Customers: tenants, each belonging to one ResourcePool. */
import { and, asc, eq, ne, or, sql } from 'drizzle-orm';
import { differ, settleChanged } from '../admission/settlement.ts';
import type { Database, Writer } from '../connect.ts';
import { equals, type Page, type Visibility } from '../list.ts';
import { agendaProgress, customer, customerLane, insight, readyAgenda, waitingQueue } from '../schema.ts';
import { type SettingsFilter, settingsTable } from './settings-table.ts';

/** A row of `customer`. */
export type CustomerRow = typeof customer.$inferSelect;

/** What a Customer is set to. */
export interface CustomerSettings {
  readonly customerId: string;
  readonly title: string;
  readonly billingCode: string | null;
  readonly resourcePoolId: string | null;
  readonly weight: number;
  readonly band: number;
  readonly maximumRunning: number | null;
  readonly paused: boolean;
  readonly namespace: string | null;
}

/** Default entitlements of a customer, in its pool and inside an Insight. */
export const plainEntitlements = { weight: 1, band: 0, maximumRunning: null, paused: false } as const;
/** Names of the entitlements. */
export const entitlements = ['weight', 'band', 'maximumRunning', 'paused'] as const;

/** Filters of a list of Customers. */
export interface CustomerFilter extends SettingsFilter {
  readonly byResourcePoolId?: string | undefined;
}

const customers = settingsTable<typeof customer, CustomerSettings>(customer);

/** Lists Customers. */
export const listCustomers = (
  database: Database,
  visibility: Visibility,
  filter: CustomerFilter,
): Promise<Page<CustomerRow>> =>
  customers.list(database, visibility, filter, {
    conditions: [equals(customer.resourcePoolId, filter.byResourcePoolId)],
  });

/** Reads a Customer. */
export const readCustomer = customers.read;
/** Reads a Customer that nobody else changes or deletes before the transaction ends. */
export const lockCustomer = customers.lock;
/** Adds a Customer; undefined when the id is taken. */
export const insertCustomer = customers.insert;
/** Changes all settings of a Customer. */
export const updateCustomer = customers.update;
/** Deletes a Customer. */
export const deleteCustomer = customers.remove;

/** Tells admission what changed, wherever it knows the customer; the Insights to wake after the transaction. */
export async function settleCustomer(
  writer: Writer,
  before: CustomerRow,
  after: CustomerRow,
): Promise<readonly string[]> {
  if (!differ(before, after, entitlements)) return [];
  // What waits counts beside what admission has written of it: a batch under way may be reading the settings as they
  // were.
  const knows = (table: typeof waitingQueue | typeof customerLane | typeof readyAgenda, more = sql``) =>
    sql`exists (
      select from ${table}
      where ${more} ${table.insightId} = ${insight.id} and ${table.customerId} = ${after.id})`;
  const known = [
    knows(waitingQueue),
    knows(customerLane),
    // Each has an index of its own.
    knows(readyAgenda, sql`${readyAgenda.isDue} and`),
    knows(readyAgenda, sql`not ${readyAgenda.isDue} and`),
  ];
  const rows = await writer
    .select({ id: insight.id })
    .from(insight)
    .where(or(...known))
    .orderBy(asc(insight.id));
  const insightIds = rows.map((row) => row.id);
  await settleChanged(writer, insightIds, [after.id]);
  return insightIds;
}

/** Why it cannot be deleted or moved to another pool, if so. */
export async function customerInUse(writer: Writer, id: string): Promise<string | undefined> {
  const unfinished = and(eq(agendaProgress.customerId, id), ne(agendaProgress.processingState, 'COMPLETE'));
  const [row] = await writer.select({ count: sql<number>`count(*)::int` }).from(agendaProgress).where(unfinished);
  return row === undefined || row.count === 0
    ? undefined
    : `${row.count} unfinished ${row.count === 1 ? 'Agenda' : 'Agendas'}`;
}
