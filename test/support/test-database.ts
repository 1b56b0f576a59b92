import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { type Database, openDatabase } from '../../db/connect.ts';
import { startTestPostgres, templateDatabase, testPostgresVariable } from './test-postgres.ts';

/** A database with the address of its server. */
export type TestDatabase = Database & { readonly url: string };

/**
 * A migrated, empty database of its own on the test run's Postgres: `await using db = await testDatabase()`. Dropped on
 * dispose.
 */
export async function testDatabase(): Promise<TestDatabase> {
  const given = process.env[testPostgresVariable];
  const own = given === undefined ? await startTestPostgres() : undefined;
  const serverUrl = given ?? own?.url ?? '';
  const name = `test_${randomBytes(6).toString('hex')}`;
  // Cloning is refused while another session is connected to the template, and cloners connect elsewhere: they may
  // overlap.
  await administer(serverUrl, (client) => client`create database ${client(name)} template ${client(templateDatabase)}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const database = openDatabase(url.href, { applicationName: 'test' });
  const close = database[Symbol.asyncDispose].bind(database);
  return Object.assign(database, {
    url: url.href,
    async [Symbol.asyncDispose]() {
      await close();
      // Forced: processes that a test started on this database may still be connected.
      if (own === undefined)
        await administer(serverUrl, (client) => client`drop database if exists ${client(name)} with (force)`);
      else await own[Symbol.asyncDispose]();
    },
  });
}

async function administer(url: string, statement: (client: postgres.Sql) => Promise<unknown>): Promise<void> {
  const client = postgres(url, { max: 1, onnotice: () => undefined });
  try {
    await statement(client);
  } finally {
    await client.end({ timeout: 5 });
  }
}
