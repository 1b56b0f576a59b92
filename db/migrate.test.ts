import type postgres from 'postgres';
import { expect, test } from 'vitest';
import { testDatabase } from '../test/support/test-database.ts';
import { migrateDatabase, readMigrations } from './migrate.ts';

test('migrating a migrated database again, and by several at once, changes nothing', async () => {
  await using db = await testDatabase();
  const before = await db.$client`select hash from drizzle.__drizzle_migrations order by id`;
  await Promise.all([migrateDatabase(db.url), migrateDatabase(db.url), migrateDatabase(db.url)]);
  const after = await db.$client`select hash from drizzle.__drizzle_migrations order by id`;
  expect(after).toEqual(before);
});

test('several programs that migrate an empty database at once leave one schema', async () => {
  await using db = await testDatabase();
  await db.$client.unsafe('drop schema public cascade; create schema public; drop schema drizzle cascade');
  await Promise.all([migrateDatabase(db.url), migrateDatabase(db.url), migrateDatabase(db.url)]);
  const [row] = await db.$client`select count(*)::int as tables from pg_tables where schemaname = 'public'`;
  expect(row?.tables).toBeGreaterThan(10);
});

test('an index that an interruption left invalid is made anew, as it should be', async () => {
  await using db = await testDatabase();
  const sql = db.$client;
  await sql`drop index agenda_progress_by_outcome`;
  for (const id of ['1', '2'])
    await sql`insert into agenda_progress (id, cid, customer_id, agenda_id) values (${id}, 'same', 'o', ${id})`;
  // Two of the same: it breaks off, and what was begun stays.
  await expect(
    sql`create unique index concurrently agenda_progress_by_outcome on agenda_progress (cid)`,
  ).rejects.toThrow('could not create unique index');
  const when = whenOf('agenda_progress_by_outcome');
  await sql`delete from drizzle.__drizzle_migrations where created_at >= ${when}`;

  // Those behind it are done already.
  await migrateDatabase(
    db.url,
    readMigrations().filter(({ folderMillis }) => folderMillis <= when),
  );

  const [index] = await sql`
    select i.indisvalid as valid, pg_get_indexdef(i.indexrelid) as definition from pg_index i
    where i.indexrelid = 'agenda_progress_by_outcome'::regclass`;
  expect(index).toEqual({ valid: true, definition: expect.stringContaining('(outcome, id)') });
});

test('a migration that waits for a lock lets others through, and is done when the lock is free', async () => {
  await using db = await testDatabase();
  const sql = db.$client;
  await sql.unsafe('drop schema public cascade; create schema public; drop schema drizzle cascade');
  await migrateDatabase(db.url, readMigrations().slice(0, 5));
  const release = Promise.withResolvers<void>();
  const holding = sql.begin(async (reader) => {
    await reader`select from operation_progress`;
    await release.promise;
  });
  const migrating = migrateDatabase(db.url);
  const waits = async () => {
    const [row] = await sql`
      select count(*)::int as count from pg_locks where relation = 'operation_progress'::regclass and not granted`;
    return row?.count === 1;
  };
  while (!(await waits()));
  // It gives up after 2 s at most, and reads that queued behind it go on, though the first reader still holds its lock.
  await expect(sql`select count(*)::int as count from operation_progress`).resolves.toEqual([{ count: 0 }]);
  release.resolve();
  await Promise.all([holding, migrating]);
  const [column] =
    await sql`select count(*)::int as count from information_schema.columns where column_name = 'again_time'`;
  expect(column?.count).toBe(2);
});

test('limit_breach is empty while limits hold and names each limit that is exceeded', async () => {
  await using db = await testDatabase();
  const sql = db.$client;
  await sql`insert into resource_pool (id, cid, customer_id, capacity) values ('p', 'c', 'o', '{"slots": 2}'), ('free',
    'c', 'o', null)`;
  await sql`insert into insight (id, cid, customer_id, title, resource_pool_id, queue_size, maximum_running)
    values ('i', 'c', 'o', 'i', 'p', 1, 2), ('j', 'c', 'o', 'j', 'free', 100, null)`;
  await admit(sql, 'a1', 'i', 'p', true);
  await admit(sql, 'a2', 'i', 'p', false);
  for (const id of ['b1', 'b2', 'b3', 'b4']) await admit(sql, id, 'j', 'free', false);
  expect(await sql`select * from limit_breach`).toHaveLength(0);
  await admit(sql, 'a3', 'i', 'p', false);
  const rows = await sql`select kind, id, "limit"::int, actual::int from limit_breach order by kind`;
  expect([...rows]).toEqual([
    { kind: 'insight.maximumRunning', id: 'i', limit: 2, actual: 3 },
    { kind: 'insight.queueSize', id: 'i', limit: 1, actual: 2 },
    { kind: 'resourcePool.capacity.slots', id: 'p', limit: 2, actual: 3 },
  ]);
});

async function admit(
  sql: postgres.Sql,
  agendaId: string,
  insightId: string,
  poolId: string,
  left: boolean,
): Promise<void> {
  await sql`insert into running_agenda (agenda_id, insight_id, resource_pool_id, customer_id, attempt, batch_id,
    left_queue_time)
    values (${agendaId}, ${insightId}, ${poolId}, 'o', 1, 'b', case when ${left} then now() end)`;
}

/** When the migration was made that says this. */
function whenOf(text: string): number {
  const migration = readMigrations().find(({ sql }) => sql.some((statement) => statement.includes(text)));
  if (migration === undefined) throw new Error(`no migration says ${text}`);
  return migration.folderMillis;
}
