/** What all tables of settings have in common: how rows are listed, read, locked, inserted, updated and deleted. */
import { eq, type SQL } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type { Database, Writer } from '../connect.ts';
import { equals, type ListFilter, listRows, type Page, type Visibility } from '../list.ts';
import { updatedNow } from '../updated-now.ts';

/** Columns that every table of settings has. */
interface SettingsColumns {
  readonly id: PgColumn;
  readonly cid: PgColumn;
  readonly customerId: PgColumn;
  readonly title: PgColumn;
  readonly addedTime: PgColumn;
}

/** Filters that every list of settings has. */
export interface SettingsFilter extends ListFilter {
  readonly byId?: string | undefined;
  readonly byCid?: string | undefined;
  readonly byCustomerId?: string | undefined;
  readonly byTitle?: string | undefined;
}

/** The queries of one table of settings. */
export interface SettingsTable<Row, Settings> {
  /** Lists what matches; `shared` is also visible, whoever owns it. */
  list(
    database: Database,
    visibility: Visibility,
    filter: SettingsFilter,
    more?: { readonly conditions?: readonly (SQL | undefined)[]; readonly shared?: SQL | undefined },
  ): Promise<Page<Row>>;
  /** Reads one; undefined when there is none. */
  read(writer: Writer, id: string): Promise<Row | undefined>;
  /** Reads one that nobody else changes, deletes or refers to anew before the transaction ends. */
  lock(writer: Writer, id: string): Promise<Row | undefined>;
  /** Reads one that is not deleted before the transaction ends: for objects that will refer to it. */
  hold(writer: Writer, id: string): Promise<Row | undefined>;
  /** Undefined when the id is taken. */
  insert(writer: Writer, id: string, cid: string, settings: Settings): Promise<Row | undefined>;
  /** Undefined when there is none. */
  update(writer: Writer, id: string, settings: Settings): Promise<Row | undefined>;
  remove(writer: Writer, id: string): Promise<void>;
}

/** The queries of a table; `Settings` are its columns without `id`, `cid` and times. */
export function settingsTable<Table extends PgTable & SettingsColumns, Settings extends object>(
  given: Table,
): SettingsTable<Table['$inferSelect'], Settings> {
  type Row = Table['$inferSelect'];
  // Drizzle's types want a table that is known where it is written; columns and rows are those of `given`.
  const table: PgTable = given;
  const byId = (id: string): SQL => eq(given.id, id);
  const first = async (rows: PromiseLike<unknown[]>) => (await rows)[0] as Row | undefined;
  return {
    list: (database, visibility, filter, { conditions = [], shared } = {}) =>
      listRows(
        database,
        { table: given, key: given.id, owner: given.customerId, addedTime: given.addedTime, shared },
        visibility,
        filter,
        [
          equals(given.id, filter.byId),
          equals(given.cid, filter.byCid),
          equals(given.customerId, filter.byCustomerId),
          equals(given.title, filter.byTitle),
          ...conditions,
        ],
      ),
    read: (writer, id) => first(writer.select().from(table).where(byId(id))),
    lock: (writer, id) => first(writer.select().from(table).where(byId(id)).for('update')),
    hold: (writer, id) => first(writer.select().from(table).where(byId(id)).for('key share')),
    insert: (writer, id, cid, settings) =>
      first(
        writer
          .insert(table)
          .values({ id, cid, ...settings })
          .onConflictDoNothing()
          .returning(),
      ),
    update: (writer, id, settings) =>
      first(
        writer
          .update(table)
          .set({ ...settings, updatedTime: updatedNow(given.addedTime) })
          .where(byId(id))
          .returning(),
      ),
    async remove(writer, id) {
      await writer.delete(table).where(byId(id));
    },
  };
}
