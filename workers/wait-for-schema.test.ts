import { type Logger, pino } from 'pino';
import { expect, test } from 'vitest';
import { openDatabase } from '../db/connect.ts';
import { migrateDatabase, readMigrations } from '../db/migrate.ts';
import { testDatabase } from '../test/support/test-database.ts';
import { waitForSchema } from './wait-for-schema.ts';

/** A log that keeps what is said. */
function listening(): { log: Logger; said: string[] } {
  const said: string[] = [];
  return {
    log: pino({}, { write: (line: string) => void said.push((JSON.parse(line) as { msg: string }).msg) }),
    said,
  };
}

test('a program waits for a database that is not migrated yet, says so once, and begins when it is', async () => {
  await using db = await testDatabase();
  await db.$client.unsafe('drop schema public cascade; create schema public; drop schema drizzle cascade');
  await migrateDatabase(db.url, readMigrations().slice(0, 5));
  const { log, said } = listening();
  const begun = waitForSchema(db, log, new AbortController().signal);
  while (said.length === 0) await new Promise(setImmediate);
  await migrateDatabase(db.url);
  await begun;
  expect(said).toEqual([
    `the database has 5 of ${readMigrations().length} migrations; waiting for an api of this release to migrate it`,
  ]);
});

test('a program of an older release ends when the database was made too new for it', async () => {
  await using db = await testDatabase();
  await db.$client`update installation set oldest_schema = 1000`;
  const waiting = waitForSchema(db, listening().log, new AbortController().signal);
  await expect(waiting).rejects.toThrow(`The database needs programs that know 1000 migrations`);
});

test('a program that is told to end while Postgres is away ends', async () => {
  await using away = openDatabase('postgres://127.0.0.1:1/nothing', { connections: 1 });
  const { log, said } = listening();
  const stop = new AbortController();
  const waiting = waitForSchema(away, log, stop.signal);
  while (said.length === 0) await new Promise(setImmediate);
  stop.abort();
  await waiting;
  expect(said).toEqual(['Postgres does not answer yet; trying on']);
});
