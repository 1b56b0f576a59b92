/** Lists by keyset: stable order, every row once, no matter how many are added meanwhile. */
import { and, asc, count, desc, eq, gt, inArray, lt, or, type SQL, sql } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import type { Database } from './connect.ts';

/** Whose rows may be seen: all, or those of these owners. */
export type Visibility = 'all' | { readonly accounts: readonly string[] };

/** The condition that keeps to what the caller may see. */
export function visibleTo(visibility: Visibility, owner: PgColumn): SQL | undefined {
  return visibility === 'all' ? undefined : inArray(owner, [...visibility.accounts]);
}

/** What every list can be asked for. */
export interface ListFilter {
  /** Default 100. */
  readonly limit?: number | undefined;
  /** `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
  readonly addedAfter?: Date | undefined;
  readonly addedBefore?: Date | undefined;
  readonly countOnly?: boolean | undefined;
}

/** What a list is made from. */
export interface ListSource {
  /** Unique and ordered by; ids. */
  readonly key: PgColumn;
  readonly owner: PgColumn;
  readonly addedTime: PgColumn;
  /** Newest ids first. */
  readonly descending?: boolean;
  /** Also visible, whoever owns it. */
  readonly shared?: SQL | undefined;
}

/** A page of a list. */
export interface Page<Row> {
  /** Rows of this page; with `countOnly`, of all that match. */
  readonly count: number;
  readonly all: readonly Row[];
  readonly nextCursor?: string;
}

/** A cursor that this list never gave out. */
export class BadCursorError extends Error {}

/** Reads one page of what matches `conditions` and may be seen. @throws BadCursorError */
export function listRows<Table extends PgTable>(
  database: Database,
  source: ListSource & { readonly table: Table },
  visibility: Visibility,
  filter: ListFilter,
  conditions: readonly (SQL | undefined)[],
): Promise<Page<Table['$inferSelect']>> {
  const table: PgTable = source.table;
  const property = Object.entries(source.table).find(([, column]) => column === source.key)?.[0];
  if (property === undefined) throw new Error(`${source.key.name} is no column of the list's table`);
  return listPage<Table['$inferSelect']>(source, visibility, filter, conditions, {
    select: (where, order, limit) => database.select().from(table).where(where).orderBy(order).limit(limit),
    count: async (where) => (await database.select({ count: count() }).from(table).where(where))[0]?.count ?? 0,
    keyOf: (row) => String(row[property]),
  });
}

/** Reads a page as listRows does, for lists that join or choose columns themselves. */
export async function listPage<Row>(
  source: ListSource,
  visibility: Visibility,
  filter: ListFilter,
  conditions: readonly (SQL | undefined)[],
  read: {
    readonly select: (where: SQL | undefined, order: SQL, limit: number) => PromiseLike<Row[]>;
    readonly count: (where: SQL | undefined) => PromiseLike<number>;
    readonly keyOf: (row: Row) => string;
  },
): Promise<Page<Row>> {
  // Times go out cut to milliseconds, so they are compared so.
  const added = sql`date_trunc('milliseconds', ${source.addedTime})`;
  const matching = [
    ...conditions,
    visibility === 'all' ? undefined : or(inArray(source.owner, [...visibility.accounts]), source.shared),
    filter.addedAfter === undefined ? undefined : sql`${added} > ${filter.addedAfter.toISOString()}::timestamptz`,
    filter.addedBefore === undefined ? undefined : sql`${added} < ${filter.addedBefore.toISOString()}::timestamptz`,
  ];
  if (filter.countOnly === true) return { count: await read.count(and(...matching)), all: [] };
  const limit = filter.limit ?? 100;
  const after = filter.cursor === undefined ? undefined : readCursor(filter.cursor);
  const beyond = source.descending === true ? lt : gt;
  const where = and(...matching, after === undefined ? undefined : beyond(source.key, after));
  // One more than asked for tells whether there is a next page.
  const rows = await read.select(where, source.descending === true ? desc(source.key) : asc(source.key), limit + 1);
  const all = rows.slice(0, limit);
  const last = all.at(-1);
  return {
    count: all.length,
    all,
    ...(rows.length > limit && last !== undefined ? { nextCursor: writeCursor(read.keyOf(last)) } : {}),
  };
}

/** `column = value`, when there is a value to ask for. */
export function equals(column: PgColumn, value: string | undefined): SQL | undefined {
  return value === undefined ? undefined : eq(column, value);
}

function writeCursor(last: string): string {
  return Buffer.from(JSON.stringify([1, last])).toString('base64url');
}

function readCursor(cursor: string): string {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(parsed) && parsed[0] === 1 && typeof parsed[1] === 'string' && !parsed[1].includes('\u0000'))
      return parsed[1];
  } catch (error) {
    throw new BadCursorError('not a cursor of this list', { cause: error });
  }
  throw new BadCursorError('not a cursor of this list');
}
