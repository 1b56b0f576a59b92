/**
 * Brings a database to the current schema: the checked-in SQL of `db/migrations/`, each file once, noted where drizzle
 * notes them.
 *
 *   usual file                          one transaction, with its note; a lock that is not had within seconds is given
 *                                       up and asked for again
 *   `-- outside a transaction` on top   statement by statement, and may be broken off anywhere: each says the same
 *                                       when it runs again
 *
 * In a file of the second kind an index made CONCURRENTLY that an interruption left invalid is dropped first and made
 * anew.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type MigrationMeta, readMigrationFiles } from 'drizzle-orm/migrator';
import postgres from 'postgres';

/** Where the SQL lies. */
export const migrationsFolder = fileURLToPath(new URL('./migrations', import.meta.url));
/** Any constant; every program that migrates takes this advisory lock. */
const migrationLock = 7_067_001;
/** Longest wait for a lock that others hold: whoever comes behind a waiting ALTER TABLE stands, too. */
const lockTimeout = '2s';
const waitMilliseconds = 250;
const outsideMark = '-- outside a transaction';

/** Postgres' codes of a lock that was not had in time, and of a deadlock. */
const lockCodes = new Set(['55P03', '40P01']);

/**
 * Runs the migrations that are missing; of several callers at once one works and the others wait for it. Tests stop at
 * an earlier one.
 */
export async function migrateDatabase(url: string, migrations = readMigrations()): Promise<void> {
  // One connection: the advisory lock is the session's.
  await using client = connect(url);
  await takeLock(client.sql);
  await client.sql`/* migrate: schema of notes */ create schema if not exists drizzle`;
  await client.sql`
    /* migrate: table of notes */
    create table if not exists drizzle.__drizzle_migrations (
      id serial primary key, hash text not null, created_at bigint
    )`;
  const [last] = await client.sql<{ when: number | null }[]>`
    /* migrate: newest note */
    select max(created_at)::float8 as when from drizzle.__drizzle_migrations`;
  for (const migration of migrations) {
    if (migration.folderMillis > (last?.when ?? 0)) await apply(client.sql, migration);
  }
}

/** The checked-in migrations, oldest first. */
export function readMigrations(): readonly MigrationMeta[] {
  return readMigrationFiles({ migrationsFolder });
}

/** Whether a migration runs statement by statement. */
export function isOutsideTransaction(migration: MigrationMeta): boolean {
  return migration.sql[0]?.startsWith(outsideMark) === true;
}

function connect(url: string): { readonly sql: postgres.Sql } & AsyncDisposable {
  const sql = postgres(url, {
    max: 1,
    connect_timeout: 10,
    connection: { application_name: 'pop migrate' },
    onnotice: () => undefined,
  });
  return { sql, [Symbol.asyncDispose]: () => sql.end({ timeout: 5 }) };
}

/**
 * Asks again and again: whoever waited inside a statement would hold a snapshot, which CREATE INDEX CONCURRENTLY waits
 * for in its turn.
 */
async function takeLock(sql: postgres.Sql): Promise<void> {
  for (;;) {
    const [lock] = await sql<{ got: boolean }[]>`
      /* migrate: lock */
      select pg_try_advisory_lock(${migrationLock}) as got`;
    if (lock?.got === true) return;
    await delay(waitMilliseconds);
  }
}

async function apply(sql: postgres.Sql, migration: MigrationMeta): Promise<void> {
  if (!isOutsideTransaction(migration)) return applyAtOnce(sql, migration);
  for (const statement of migration.sql) await applyAlone(sql, statement);
  await note(sql, migration);
}

async function applyAtOnce(sql: postgres.Sql, migration: MigrationMeta): Promise<void> {
  for (;;) {
    try {
      await sql.begin(async (transaction) => {
        await transaction.unsafe(`set local lock_timeout = '${lockTimeout}'`);
        for (const statement of migration.sql) await transaction.unsafe(statement);
        await note(transaction, migration);
      });
      return;
    } catch (error) {
      if (!(error instanceof postgres.PostgresError && lockCodes.has(error.code))) throw error;
      // Nothing is half done; those who queued behind it go first.
      await delay(waitMilliseconds);
    }
  }
}

async function applyAlone(sql: postgres.Sql, text: string): Promise<void> {
  const statement = text.trim();
  const index = /create (?:unique )?index concurrently if not exists "([^"]+)"/i.exec(statement)?.[1];
  if (index !== undefined) await dropInvalid(sql, index);
  await sql.unsafe(statement);
}

/** An interrupted CREATE INDEX CONCURRENTLY leaves an index that is kept up to date and never used. */
async function dropInvalid(sql: postgres.Sql, index: string): Promise<void> {
  const [found] = await sql<{ isValid: boolean }[]>`
    /* migrate: invalid index */
    select i.indisvalid as "isValid" from pg_class c join pg_index i on i.indexrelid = c.oid
    where c.relname = ${index} and c.relnamespace = 'public'::regnamespace`;
  if (found?.isValid === false) await sql`/* migrate: drop invalid index */ drop index concurrently ${sql(index)}`;
}

const note = (sql: postgres.Sql | postgres.TransactionSql, { hash, folderMillis }: MigrationMeta) => sql`
  /* migrate: note */
  insert into drizzle.__drizzle_migrations (hash, created_at) values (${hash}, ${folderMillis})`;
