/**
 * Migrations run while older programs work: none may scan, rewrite or change many rows while it holds a lock that
 * blocks them. Each migration since 0.1.0 is run statement by statement over tables that are filled, and after each it
 * is asked which locks are held and what was read.
 */
import type postgres from 'postgres';
import { beforeAll, describe, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../test/support/test-database.ts';
import { isOutsideTransaction, migrateDatabase, readMigrations } from './migrate.ts';

/** Migrations of 0.1.0 and before ran when there were no large tables. */
const ofFirstRelease = 5;
const rows = 3_000;
/** Fewer rows read or changed than this is no scan of a table. */
const few = 100;
const migrations = readMigrations();

/** Tables that grow, filled before each look. */
const growing = ['agenda', 'operation', 'agenda_progress', 'operation_progress', 'audit_entry', 'admission'];

async function databaseBefore(migration: number): Promise<TestDatabase> {
  const db = await testDatabase();
  await db.$client.unsafe('drop schema public cascade; create schema public; drop schema drizzle cascade');
  await migrateDatabase(db.url, migrations.slice(0, migration));
  await fill(db.$client);
  return db;
}

async function fill(sql: postgres.Sql): Promise<void> {
  await sql.unsafe(`
    insert into agenda (id, cid, customer_id, progress_id, insight_id, resource_pool_id)
      select n::text, 'c', 'o', n::text, 'i', 'p' from generate_series(1, ${rows}) n;
    insert into operation (agenda_id, index, name, type) select n::text, 0, 'a', 't' from generate_series(1, ${rows}) n;
    insert into agenda_progress (id, cid, customer_id, agenda_id, processing_state, processing_state_message)
      select n::text, 'c', 'o', n::text, 'COMPLETE', 'failed' from generate_series(1, ${rows}) n;
    insert into operation_progress (agenda_id, index, id, agenda_progress_id, customer_id, cid, operation)
      select n::text, 0, n::text || '-a', n::text, 'o', 'c', 'a' from generate_series(1, ${rows}) n;
    insert into audit_entry (customer_id, actor, action, object_id, cid)
      select 'o', 'x', 'y', n::text, 'c' from generate_series(1, ${rows}) n;
    insert into admission (agenda_id, attempt, insight_id, resource_pool_id, customer_id, number, batch_id,
      admitted_time, ready_time, algorithm, cost_model, epoch, reason, agenda_type, need, level, expected_seconds, cost,
      weight)
      select n::text, 1, 'i', 'p', 'o', n, 'b', now(), now(), 'Fairness', 'count', 0, 'share', '', '1,0,0,0', 0, 1, 1, 1
      from generate_series(1, ${rows}) n;
  `);
}

interface Look {
  readonly table: string;
  readonly touched: number;
  readonly file: number;
  readonly blocks: boolean;
}

/**
 * Of each filled table: rows that this transaction read or changed so far, its file, and whether a lock on it blocks
 * readers or writers.
 */
const look = (sql: postgres.TransactionSql) => sql<Look[]>`
  select c.relname as table, c.relfilenode::int as file,
    (pg_stat_get_xact_tuples_returned(c.oid) + pg_stat_get_xact_tuples_updated(c.oid)
      + pg_stat_get_xact_tuples_deleted(c.oid))::int as touched,
    exists (select from pg_locks l where l.relation = c.oid and l.pid = pg_backend_pid()
      and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')) as blocks
  from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relname = any(${growing})
  order by c.relname`;

/** Statements of one transaction that would hold others up, each with why. */
async function blockingStatements(db: TestDatabase, statements: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  const rollback = new Error('rolled back');
  await db.$client
    .begin(async (sql) => {
      let before = await look(sql);
      for (const statement of statements) {
        await sql.unsafe(statement);
        const after = await look(sql);
        const blocked = after.filter(({ blocks }) => blocks).map(({ table }) => table);
        for (const [n, { table, touched, file }] of after.entries()) {
          const readOrChanged = touched - (before[n]?.touched ?? 0);
          const isRewritten = file !== before[n]?.file;
          // Rows changed are locked by themselves, whatever the lock on their table.
          const changes = /^\s*(update|delete)\b/i.test(withoutComments(statement));
          if ((blocked.length > 0 || changes) && (readOrChanged > few || isRewritten))
            found.push(
              `${statement.trim()}: ${isRewritten ? 'rewrites' : `${readOrChanged} rows of`} ${table}, ` +
                `blocking ${blocked.join() || 'its rows'}`,
            );
        }
        before = after;
      }
      throw rollback;
    })
    .catch((error: unknown) => {
      if (error !== rollback) throw error;
    });
  return found;
}

const withoutComments = (statement: string) => statement.replace(/--.*$/gm, '').trim();

describe('migrations hold nobody up', () => {
  for (const [n, migration] of [...migrations.entries()].slice(ofFirstRelease)) {
    test(`migration ${n}`, async () => {
      if (isOutsideTransaction(migration)) {
        for (const statement of migration.sql)
          expect(withoutComments(statement)).toMatch(/^(create|drop) (unique )?index concurrently if (not )?exists /i);
        return;
      }
      await using db = await databaseBefore(n);
      expect(await blockingStatements(db, migration.sql)).toEqual([]);
    });
  }
});

describe('what would hold others up is found', () => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await databaseBefore(migrations.length);
    return () => db[Symbol.asyncDispose]();
  });

  test.each([
    ['an index that is not made concurrently', ['create index x on operation_progress (cid)']],
    ['a constraint that is checked at once', ['alter table operation_progress add constraint x check (launch >= 0)']],
    [
      'a column that becomes NOT NULL by a scan',
      ["alter table operation_progress alter column place set default ''", "update operation_progress set place = ''"],
    ],
    [
      'a default that differs by row',
      ['alter table operation_progress add column x text default gen_random_uuid()::text'],
    ],
    ['another type', ['alter table operation_progress alter column launch type bigint']],
    ['all rows changed in one statement', ['update agenda_progress set title = cid']],
    [
      'a scan of one table while another is locked',
      ['alter table agenda_progress add column x text', "select count(*) from operation_progress where cid = 'x'"],
    ],
  ])('%s', async (_, statements) => {
    expect(await blockingStatements(db, statements)).not.toEqual([]);
  });

  test('a column with a constant default, and a table of its own, hold nobody up', async () => {
    const statements = [
      'alter table operation_progress add column x boolean not null default false',
      'create table y (id text primary key)',
      'create index z on y (id)',
    ];
    expect(await blockingStatements(db, statements)).toEqual([]);
  });
});
