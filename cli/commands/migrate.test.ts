import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { readMigrations } from '../../db/migrate.ts';
import { freePort } from '../../machine/free-port.ts';
import { type Program, startProgram } from '../../test/support/program.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';

const known = readMigrations().length;
const programs: Program[] = [];
afterEach(async () => {
  for (const program of programs.splice(0)) await program[Symbol.asyncDispose]();
});
const migrate = (url: string, ...args: string[]) => {
  const program = startProgram('cli/pop.ts', { DATABASE_URL: url }, ['migrate', ...args]);
  programs.push(program);
  return program;
};

async function emptyDatabase(): Promise<TestDatabase> {
  const database = await testDatabase();
  await database.$client.unsafe('drop schema public cascade; create schema public; drop schema drizzle cascade');
  return database;
}

test('several at once leave one schema, and again nothing is missing', async () => {
  await using database = await emptyDatabase();
  const all = [migrate(database.url), migrate(database.url), migrate(database.url)];
  expect(await Promise.all(all.map(({ exited }) => exited))).toEqual([0, 0, 0]);
  const [row] = await database.$client<{ count: number }[]>`
    select count(*)::int as count from drizzle.__drizzle_migrations`;
  expect(row?.count).toBe(known);
  const again = migrate(database.url);
  expect(await again.exited).toBe(0);
  expect(again.lines).toEqual([`The database has ${known} migrations; none was missing.`]);
});

test('a Postgres that is away ends it with 5; it waits as long as it may', async () => {
  const nobody = `postgres://127.0.0.1:${await freePort(0)}/pop`;
  const atOnce = migrate(nobody);
  expect(await atOnce.exited).toBe(5);
  expect(atOnce.lines.join()).toContain('pop migrate: Postgres does not answer: connect ECONNREFUSED');
  const later = migrate(nobody, '--wait', '0.2');
  expect(await later.exited).toBe(5);
  expect(later.lines[0]).toBe('Postgres does not answer yet; waiting.');

  await using database = await emptyDatabase();
  const { hostname, port: behind } = new URL(database.url);
  const { connect } = await import('node:net');
  const door = createServer((socket) => {
    const through = connect(Number(behind), hostname);
    for (const one of [socket, through]) one.on('error', () => undefined);
    socket.pipe(through).pipe(socket);
  });
  const port = await freePort(0);
  const through = new URL(database.url);
  through.hostname = '127.0.0.1';
  through.port = String(port);
  const waiting = migrate(through.href, '--wait', '30');
  await waiting.says('Postgres does not answer yet');
  door.listen(port, '127.0.0.1');
  await once(door, 'listening');
  expect(await waiting.exited).toBe(0);
  await waiting.says(`${known} are new`);
  door.close();
});

test('wrong settings, a wrong password and a database of a newer release are told apart', async () => {
  await using database = await testDatabase();
  const missing = migrate('');
  expect(await missing.exited).toBe(2);
  await missing.says('--database <url> (DATABASE_URL) is missing');
  const noUrl = migrate('localhost/pop?password=hidden');
  expect(await noUrl.exited).toBe(2);
  await noUrl.says('--database <url> (DATABASE_URL) must be a URL such as postgres://');
  expect(JSON.stringify(noUrl.lines)).not.toContain('hidden');
  const words = migrate(database.url, '--wait', 'long');
  expect(await words.exited).toBe(2);
  const wrong = new URL(database.url);
  wrong.password = 'wrong';
  // The option wins over the variable.
  const refused = migrate(database.url, '--database', wrong.href);
  expect(await refused.exited).toBe(3);
  await refused.says('pop migrate: Postgres refuses: password authentication failed');
  await database.$client`update installation set oldest_schema = 1000`;
  const newer = migrate(database.url);
  expect(await newer.exited).toBe(3);
  await newer.says('start the release that migrated it');
});
