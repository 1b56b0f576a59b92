import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LaunchTokenKeys } from '../../db/operation/launch-token-keys.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const program = fileURLToPath(new URL('../pop.ts', import.meta.url));
const run = promisify(execFile);
const pop = (args: readonly string[], environment: Record<string, string>) =>
  run(process.execPath, [program, ...args], { env: { PATH: process.env.PATH, ...environment } });

test('adds a key, keeps the one before it, retires older ones, and tells no secret', async () => {
  const { number: first, secret } = await new LaunchTokenKeys(database).newest();
  const url = { DATABASE_URL: database.url };
  const once = await pop(['key', 'rotate-launch-tokens'], url);
  expect(once.stdout).toContain(`Key ${first + 1} signs`);
  expect(once.stdout).toContain(`Tokens of key ${first} stay valid`);
  const twice = await pop(['key', 'rotate-launch-tokens'], url);
  expect(twice.stdout).toContain(`Retired: key ${first}.`);
  const all = await pop(['key', 'rotate-launch-tokens', '--retire-all'], url);
  expect(all.stdout).toContain(`Retired: key ${first + 2}, ${first + 1}.`);
  const newest = await new LaunchTokenKeys(database).newest();
  expect(newest.number).toBe(first + 3);
  const said = [once, twice, all].map(({ stdout, stderr }) => stdout + stderr).join('');
  for (const known of [secret, newest.secret]) expect(said).not.toContain(known.export().toString('hex'));
});

test('an action that is unknown or missing, and a database that is not named, are said', async () => {
  await expect(pop(['key', 'turn'], {})).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('there is no action "turn"'),
  });
  await expect(pop(['key'], {})).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('missing') });
  await expect(pop(['key', 'rotate-launch-tokens'], {})).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--database <url> (DATABASE_URL) is missing'),
  });
  await expect(
    pop(['key', 'rotate-launch-tokens', '--database', 'postgres://a@127.0.0.1:1/b'], {}),
  ).rejects.toMatchObject({ code: 5, stderr: expect.stringContaining('Postgres does not answer') });
});
