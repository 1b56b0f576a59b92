import type postgres from 'postgres';
import { expect, test } from 'vitest';
import { testDatabase } from '../test/support/test-database.ts';
import { migrateDatabase } from './migrate.ts';

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
