import { mkdtempDisposable, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { knowsKey } from '../../db/settings/first-key.ts';
import { type Program, startProgram } from '../../test/support/program.ts';
import { testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';

const programs: Program[] = [];
afterEach(async () => {
  for (const program of programs.splice(0)) await program[Symbol.asyncDispose]();
});
const create = (database: Pick<TestDatabase, 'url'>, ...args: string[]) => {
  const program = startProgram('cli/pop.ts', { DATABASE_URL: database.url }, ['key', 'create', ...args]);
  programs.push(program);
  return program;
};
const keysOf = async (database: TestDatabase) =>
  (await database.$client<{ prefix: string }[]>`select prefix from api_key`).length;

test('of several at once one prints the first key, the others are refused; it may do everything', async () => {
  await using database = await testDatabase();
  const all = [create(database, '--first'), create(database, '--first'), create(database, '--first')];
  expect((await Promise.all(all.map(({ exited }) => exited))).sort()).toEqual([0, 3, 3]);
  const said = all.flatMap(({ lines }) => lines.map(String));
  const [key = '', ...more] = said.filter((line) => line.startsWith('pop_live_'));
  expect(more).toEqual([]);
  expect(said.filter((line) => line.includes('there is a key already, nothing was made'))).toHaveLength(2);
  expect(await keysOf(database)).toBe(1);
  expect(await knowsKey(database, key, 'admin')).toBe(true);
  const answer = await testApp(database).app.request('/v1/customer', { headers: { authorization: `Bearer ${key}` } });
  expect(answer.status).toBe(200);
  const audit = await database.$client`select actor from audit_entry where action = 'apiKey.create'`;
  expect(audit).toEqual([{ actor: 'system' }]);
});

test('in a file only its owner can read it; a file that is there, or a refusal, leaves no trace', async () => {
  await using database = await testDatabase();
  await using folder = await mkdtempDisposable(join(tmpdir(), 'pop-key-'));
  const file = join(folder.path, 'operator.key');
  const nowhere = create(database, '--first', '--file', join(folder.path, 'none', 'key'));
  expect(await nowhere.exited).toBe(1);
  expect(await keysOf(database)).toBe(0);

  const made = create(database, '--first', '--file', file, '--key-environment', 'test');
  expect(await made.exited).toBe(0);
  const text = await readFile(file, 'utf8');
  expect(text).toMatch(/^pop_test_\w+\n$/);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await knowsKey(database, text.trim(), 'admin')).toBe(true);
  expect(made.lines.join()).not.toContain(text.trim());

  const again = create(database, '--first', '--file', file);
  expect(await again.exited).toBe(3);
  await again.says('is there already');
  expect(await readFile(file, 'utf8')).toBe(text);
  const other = join(folder.path, 'other.key');
  expect(await create(database, '--first', '--file', other).exited).toBe(3);
  await expect(stat(other)).rejects.toThrow('ENOENT');
  expect(await keysOf(database)).toBe(1);
});

test('what is missing is said: --first, the database, its schema', async () => {
  await using database = await testDatabase();
  const notFirst = create(database);
  expect(await notFirst.exited).toBe(2);
  await notFirst.says('--first is missing');
  expect(await create({ url: '' }, '--first').exited).toBe(2);
  expect(await create({ url: 'postgres://127.0.0.1:1/pop' }, '--first').exited).toBe(5);
  await database.$client.unsafe('drop schema public cascade; create schema public; drop schema drizzle cascade');
  const bare = create(database, '--first');
  expect(await bare.exited).toBe(1);
  await bare.says('the database lacks its schema: pop migrate');
});
