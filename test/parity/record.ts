/** The record behind the running system, for what no interface shows: that nothing was left behind. */
import postgres from 'postgres';
import { system } from './running-system.ts';

/** A connection to the record. */
export type Sql = postgres.Sql;

/** Opens the record and closes it after `use`. */
export async function withRecord<T>(use: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = postgres(system.databaseUrl, { max: 1, onnotice: () => undefined });
  try {
    return await use(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** Rows per table, of all tables. */
export async function countRows(sql: Sql): Promise<Record<string, number>> {
  const tables = await sql<
    { name: string }[]
  >`select tablename as name from pg_tables where schemaname = 'public' order by 1`;
  const counts: Record<string, number> = {};
  for (const { name } of tables) {
    const [row] = await sql<{ count: number }[]>`select count(*)::int as count from ${sql(name)}`;
    counts[name] = row?.count ?? 0;
  }
  return counts;
}

/** How many waiting entries and places in the pool these Agendas hold. */
export async function countQueued(
  sql: Sql,
  agendaIds: readonly string[],
): Promise<{ waiting: number; admitted: number }> {
  const [row] = await sql<{ waiting: number; admitted: number }[]>`
    select (select count(*)::int from ready_agenda where agenda_id = any(${[...agendaIds]})) as waiting,
      (select count(*)::int from running_agenda where agenda_id = any(${[...agendaIds]})) as admitted`;
  return row ?? { waiting: 0, admitted: 0 };
}
