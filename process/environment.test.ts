import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  databaseUrl,
  installationName,
  port,
  positiveNumber,
  readAll,
  required,
  SettingError,
  secret,
  WrongSettingError,
} from './environment.ts';

afterEach(() => vi.unstubAllEnvs());

test('a name of an installation is letters, digits and "-", at most 40; none is a name, too', () => {
  for (const name of ['', 'n', 'North-2', 'x'.repeat(40)]) expect(installationName(name)).toBe(name);
  expect(installationName(undefined)).toBe('');
});

test('another name is refused with the setting, the limit and the value', () => {
  for (const name of ['a.b', 'a b', '-a', 'ä', 'x'.repeat(41)]) {
    expect(() => installationName(name)).toThrow(SettingError);
    expect(() => installationName(name)).toThrow(`1 to 40 letters, digits and "-"`);
    expect(() => installationName(name)).toThrow(`not "${name}" (${name.length} characters)`);
  }
});

test('no name makes names that an installation without one may have', () => {
  for (const name of ['agenda-x', 'admission-x', 'pool-x']) expect(() => installationName(name)).toThrow(name);
});

test('what is missing and what is wrong is told all at once, each by its name', () => {
  vi.stubEnv('POP_TEST_NUMBER', 'many');
  vi.stubEnv('POP_TEST_PORT', '70000');
  const read = () =>
    readAll({
      here: () => 'here',
      missing: () => required('POP_TEST_MISSING'),
      number: () => positiveNumber('POP_TEST_NUMBER', 1),
      port: () => port('POP_TEST_PORT'),
    });
  expect(read).toThrow(
    new WrongSettingError(
      { setting: 'POP_TEST_MISSING', problem: 'is missing' },
      { setting: 'POP_TEST_NUMBER', problem: 'must be a number over 0, not "many"' },
      { setting: 'POP_TEST_PORT', problem: 'must be a port number, not "70000"' },
    ),
  );
  expect(read).toThrow('the setting POP_TEST_MISSING is missing; the setting POP_TEST_NUMBER must be');
  vi.stubEnv('POP_TEST_MISSING', 'found');
  vi.stubEnv('POP_TEST_NUMBER', '2.5');
  vi.stubEnv('POP_TEST_PORT', '');
  expect(read()).toEqual({ here: 'here', missing: 'found', number: 2.5, port: undefined });
});

test('a secret is in its setting or in the file that another names, never in both', async () => {
  await using scratch = await mkdtempDisposable(join(tmpdir(), 'pop-secret-'));
  const file = join(scratch.path, 'secret');
  expect(secret('KEY', {})).toBeUndefined();
  expect(secret('KEY', { KEY: 'plain' })).toBe('plain');
  expect(() => secret('KEY', { KEY_FILE: file })).toThrow('the setting KEY_FILE names a file that cannot be read');
  await writeFile(file, '\n');
  expect(() => secret('KEY', { KEY_FILE: file })).toThrow('names an empty file');
  await writeFile(file, 'of the file\n');
  expect(secret('KEY', { KEY_FILE: file })).toBe('of the file');
  expect(() => secret('KEY', { KEY: 'plain', KEY_FILE: file })).toThrow('KEY_FILE is set beside KEY');
});

describe('the URL of the database', () => {
  test.each([
    'postgres://user:secret@host/name',
    'postgresql://user:secret%2F%25@host:5432/name?sslmode=require',
    'postgres://user:secret@one:5432,two:5433/name',
    'postgres:///name',
  ])('%s is taken', (url) => {
    vi.stubEnv('DATABASE_URL', url);
    expect(databaseUrl()).toBe(url);
  });

  test.each([
    'mysql://user:secret@host/name',
    'postgres://user:secret/x@host/name',
    'postgres://user:secret#x@host/name',
    'postgres://user:secret%@host/name',
    'postgres://user:secret@host:port/name',
  ])('%s is refused, without a word of its password', (url) => {
    vi.stubEnv('DATABASE_URL', url);
    let refused: unknown;
    try {
      databaseUrl();
    } catch (error) {
      refused = error;
    }
    expect(String(refused)).toMatch(/DATABASE_URL must be a URL such as .* a password are written %2F/);
    expect(JSON.stringify([String(refused), (refused as Error).stack, (refused as Error).cause])).not.toContain(
      'secret',
    );
  });
});
