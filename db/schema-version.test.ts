import { expect, test } from 'vitest';
import { testDatabase } from '../test/support/test-database.ts';
import { migrateDatabase, readMigrations } from './migrate.ts';
import { readSchemaVersion } from './schema-version.ts';

const known = readMigrations().length;

test('a migrated database fits', async () => {
  await using db = await testDatabase();
  expect(await readSchemaVersion(db)).toEqual({ kind: 'fits', schema: known });
});

test('an empty database, and one of an older release, are behind', async () => {
  await using db = await testDatabase();
  await db.$client.unsafe('drop schema public cascade; create schema public; drop schema drizzle cascade');
  expect(await readSchemaVersion(db)).toEqual({ kind: 'behind', schema: 0, needed: known });
  await migrateDatabase(db.url, readMigrations().slice(0, 5));
  expect(await readSchemaVersion(db)).toEqual({ kind: 'behind', schema: 5, needed: known });
});

test('a database that a newer release only added to fits; one that it took something away from does not', async () => {
  await using db = await testDatabase();
  await db.$client`insert into drizzle.__drizzle_migrations (hash, created_at) values ('newer', 9999999999999)`;
  expect(await readSchemaVersion(db)).toEqual({ kind: 'fits', schema: known + 1 });
  await db.$client`update installation set oldest_schema = ${known + 1}`;
  expect(await readSchemaVersion(db)).toEqual({ kind: 'ahead', schema: known + 1, oldest: known + 1, known });
});
