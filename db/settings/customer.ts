/** Customers: tenants, each belonging to one ResourcePool. */
import { and, asc, eq, ne, or, sql } from 'drizzle-orm';
import { differ, settleChanged } from '../admission/settlement.ts';
import type { Writer } from '../audit.ts';
import type { Database } from '../connect.ts';
import { equals, type ListFilter, listRows, type Page, type Visibility } from '../list.ts';
import { agendaProgress, customer, customerLane, insight, readyAgenda, waitingQueue } from '../schema.ts';
import { updatedNow } from '../updated-now.ts';

export type CustomerRow = typeof customer.$inferSelect;

export interface CustomerSettings {
  readonly customerId: string;
  readonly title: string;
  readonly billingCode: string | null;
  readonly resourcePoolId: string | null;
  readonly weight: number;
  readonly band: number;
  readonly maximumRunning: number | null;
  readonly paused: boolean;
}

/** What it is entitled to in its pool, and to what a Customer is entitled of which nothing is said. */
export const plainEntitlements = { weight: 1, band: 0, maximumRunning: null, paused: false } as const;
export const entitlements = ['weight', 'band', 'maximumRunning', 'paused'] as const;

export interface CustomerFilter extends ListFilter {
  readonly byId?: string | undefined;
  readonly byCid?: string | undefined;
  readonly byCustomerId?: string | undefined;
  readonly byTitle?: string | undefined;
  readonly byResourcePoolId?: string | undefined;
}

export function listCustomers(
  database: Database,
  visibility: Visibility,
  filter: CustomerFilter,
): Promise<Page<CustomerRow>> {
  return listRows(
    database,
    { table: customer, key: customer.id, owner: customer.customerId, addedTime: customer.addedTime },
    visibility,
    filter,
    [
      equals(customer.id, filter.byId),
      equals(customer.cid, filter.byCid),
      equals(customer.customerId, filter.byCustomerId),
      equals(customer.title, filter.byTitle),
      equals(customer.resourcePoolId, filter.byResourcePoolId),
    ],
  );
}

export async function readCustomer(database: Writer, id: string): Promise<CustomerRow | undefined> {
  return (await database.select().from(customer).where(eq(customer.id, id)))[0];
}

/** As readCustomer, and nobody else changes or deletes it before the transaction ends. */
export async function lockCustomer(writer: Writer, id: string): Promise<CustomerRow | undefined> {
  return (await writer.select().from(customer).where(eq(customer.id, id)).for('update'))[0];
}

/** Undefined when the id is taken. */
export async function insertCustomer(
  writer: Writer,
  id: string,
  cid: string,
  settings: CustomerSettings,
): Promise<CustomerRow | undefined> {
  return (
    await writer
      .insert(customer)
      .values({ id, cid, ...settings })
      .onConflictDoNothing()
      .returning()
  )[0];
}

export async function updateCustomer(
  writer: Writer,
  id: string,
  settings: CustomerSettings,
): Promise<CustomerRow | undefined> {
  const changed = { ...settings, updatedTime: updatedNow(customer.addedTime) };
  return (await writer.update(customer).set(changed).where(eq(customer.id, id)).returning())[0];
}

export async function deleteCustomer(writer: Writer, id: string): Promise<void> {
  await writer.delete(customer).where(eq(customer.id, id));
}

/** Tells admission what changed, wherever it knows the customer; the Insights to wake after the transaction. */
export async function settleCustomer(
  writer: Writer,
  before: CustomerRow,
  after: CustomerRow,
): Promise<readonly string[]> {
  if (!differ(before, after, entitlements)) return [];
  // What waits counts beside what admission has written of it: a batch under way may be reading the settings as they were.
  const known = [
    sql`exists (select from ${waitingQueue} where ${waitingQueue.insightId} = ${insight.id} and ${waitingQueue.customerId} = ${after.id})`,
    sql`exists (select from ${customerLane} where ${customerLane.insightId} = ${insight.id} and ${customerLane.customerId} = ${after.id})`,
    ...[sql`${readyAgenda.isDue}`, sql`not ${readyAgenda.isDue}`].map(
      // Each has an index of its own.
      (due) =>
        sql`exists (select from ${readyAgenda} where ${due} and ${readyAgenda.insightId} = ${insight.id} and ${readyAgenda.customerId} = ${after.id})`,
    ),
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
