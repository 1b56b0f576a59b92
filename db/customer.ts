/** Customers: tenants, each belonging to one ResourcePool. */
import { and, eq, ne, sql } from 'drizzle-orm';
import type { Writer } from './audit.ts';
import type { Database } from './connect.ts';
import { equals, type ListFilter, listRows, type Page, type Visibility } from './list.ts';
import { agendaProgress, customer } from './schema.ts';
import { updatedNow } from './updated-now.ts';

export type CustomerRow = typeof customer.$inferSelect;

export interface CustomerSettings {
  readonly customerId: string;
  readonly title: string;
  readonly billingCode: string | null;
  readonly resourcePoolId: string | null;
}

export interface CustomerFilter extends ListFilter {
  readonly byId?: string | undefined;
  readonly byCid?: string | undefined;
  readonly byCustomerId?: string | undefined;
  readonly byTitle?: string | undefined;
  readonly byResourcePoolId?: string | undefined;
}

export function listCustomers(database: Database, visibility: Visibility, filter: CustomerFilter): Promise<Page<CustomerRow>> {
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

export async function updateCustomer(writer: Writer, id: string, settings: CustomerSettings): Promise<CustomerRow | undefined> {
  const changed = { ...settings, updatedTime: updatedNow(customer.addedTime) };
  return (await writer.update(customer).set(changed).where(eq(customer.id, id)).returning())[0];
}

export async function deleteCustomer(writer: Writer, id: string): Promise<void> {
  await writer.delete(customer).where(eq(customer.id, id));
}

/** Why it cannot be deleted, if so. */
export async function customerInUse(writer: Writer, id: string): Promise<string | undefined> {
  const unfinished = and(eq(agendaProgress.customerId, id), ne(agendaProgress.processingState, 'COMPLETE'));
  const [row] = await writer.select({ count: sql<number>`count(*)::int` }).from(agendaProgress).where(unfinished);
  return row === undefined || row.count === 0 ? undefined : `${row.count} unfinished ${row.count === 1 ? 'Agenda' : 'Agendas'}`;
}
