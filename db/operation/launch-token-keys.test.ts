import { afterEach, beforeEach, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { LaunchTokenKeys, rotateLaunchTokenKeys } from './launch-token-keys.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await testDatabase();
});
afterEach(() => database[Symbol.asyncDispose]());

const long = { believedSeconds: 3_600 };
const numbersOf = async (keys: LaunchTokenKeys, most: number) => {
  const found = await Promise.all(Array.from({ length: most }, (_, n) => keys.find(n + 1)));
  return found.flatMap((key) => key?.number ?? []);
};

test('migration made a key of 32 bytes', async () => {
  const key = await new LaunchTokenKeys(database).newest();
  expect(key.secret.export()).toHaveLength(32);
});

test('a rotation keeps the key before it, the next one retires that', async () => {
  const fresh = () => new LaunchTokenKeys(database);
  const { number: first, secret } = await fresh().newest();
  expect(await rotateLaunchTokenKeys(database)).toEqual({ made: first + 1, kept: [first], retired: [] });
  const second = await fresh().newest();
  expect(second.number).toBe(first + 1);
  expect(second.secret.equals(secret)).toBe(false);
  expect((await fresh().find(first))?.secret.equals(secret)).toBe(true);
  expect(await rotateLaunchTokenKeys(database)).toEqual({ made: first + 2, kept: [first + 1], retired: [first] });
  expect(await numbersOf(fresh(), first + 3)).toEqual([first + 1, first + 2]);
});

test('a rotation that retires all keeps none', async () => {
  const { number: first } = await new LaunchTokenKeys(database).newest();
  await rotateLaunchTokenKeys(database);
  expect(await rotateLaunchTokenKeys(database, { retireAll: true })).toEqual({
    made: first + 2,
    kept: [],
    retired: [first + 1, first],
  });
  expect(await numbersOf(new LaunchTokenKeys(database), first + 3)).toEqual([first + 2]);
});

test('of rotations at once each is whole, and two keys are left', async () => {
  const { number: first } = await new LaunchTokenKeys(database).newest();
  await Promise.all(Array.from({ length: 5 }, () => rotateLaunchTokenKeys(database)));
  expect(await numbersOf(new LaunchTokenKeys(database), first + 6)).toEqual([first + 4, first + 5]);
});

test('a key that another process has made is known when it is met, and signs from then on', async () => {
  const believing = new LaunchTokenKeys(database, long);
  const { number: first } = await believing.newest();
  const { made } = await rotateLaunchTokenKeys(database);
  expect((await believing.newest()).number).toBe(first);
  expect((await believing.find(made))?.number).toBe(made);
  expect((await believing.newest()).number).toBe(made);
  const brief = new LaunchTokenKeys(database, { believedSeconds: 0 });
  await brief.newest();
  await rotateLaunchTokenKeys(database);
  expect((await brief.newest()).number).toBe(made + 1);
  expect(await brief.find(first)).toBeUndefined();
});
