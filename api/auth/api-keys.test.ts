import { eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../db/connect.ts';
import { apiKey } from '../../db/schema.ts';
import { makeKey, prefixOf } from '../../db/settings/api-key-text.ts';
import { createKey } from '../../db/settings/first-key.ts';
import { type TestApp, testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { authorizeByKey } from './api-keys.ts';

let database: TestDatabase;
let api: TestApp;
beforeAll(async () => {
  database = await testDatabase();
  api = testApp(database);
});
afterAll(() => database[Symbol.asyncDispose]());

const request = (authorization?: string) =>
  new Request('http://localhost/', authorization === undefined ? {} : { headers: { authorization } });
const stored = { accounts: ['acme'], superUser: false, scopes: ['read'] };

test('a key has the documented form and its checksum finds every single wrong character', () => {
  const { key, prefix, hash } = makeKey('dev');
  expect(key).toMatch(/^pop_dev_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}$/);
  expect(prefixOf(key)).toBe(prefix);
  expect(hash).toMatch(/^[0-9a-f]{64}$/);
  for (let at = 0; at < key.length; at += 1) {
    const wrong = key.slice(0, at) + (key[at] === 'x' ? 'y' : 'x') + key.slice(at + 1);
    expect(prefixOf(wrong), wrong).toBeUndefined();
  }
  expect(() => makeKey('Dev_')).toThrow(/environment/);
});

test('a malformed key is refused without asking the database', async () => {
  await using nowhere = openDatabase('postgres://127.0.0.1:1/nothing');
  const authorize = authorizeByKey(nowhere);
  for (const header of [
    undefined,
    '',
    'Basic abc',
    'Bearer',
    'Bearer pop_live_x_y',
    `Bearer ${makeKey('live').key}x`,
  ]) {
    await expect(authorize(request(header))).rejects.toMatchObject({
      code: 'unauthenticated',
      headers: { 'WWW-Authenticate': 'Bearer realm="pop"' },
    });
  }
});

test('a key is known by its secret, until it expires', async () => {
  const authorize = authorizeByKey(database, { cacheSeconds: 0 });
  const { key, prefix } = await createKey(database, 'test', { ...stored, scopes: ['read', 'pool:p1'] });
  expect(await authorize(request(`Bearer ${key}`))).toEqual({
    userId: prefix,
    accounts: ['acme'],
    superUser: false,
    scopes: ['read', 'pool:p1'],
    pool: 'p1',
  });
  expect(await authorize(request(`bearer   ${key}`))).toMatchObject({ userId: prefix });
  await expect(authorize(request(`Bearer ${makeKey('test').key}`))).rejects.toMatchObject({ code: 'unauthenticated' });
  await database
    .update(apiKey)
    .set({ hash: makeKey('test').hash })
    .where(eq(apiKey.prefix, prefix));
  await expect(authorize(request(`Bearer ${key}`))).rejects.toMatchObject({ code: 'unauthenticated' });

  const brief = await createKey(database, 'test', { ...stored, expiresTime: new Date(Date.now() - 1000) });
  await expect(authorize(request(`Bearer ${brief.key}`))).rejects.toThrow(/expired/);
});

test('the last use is written at most once a minute', async () => {
  const authorize = authorizeByKey(database, { cacheSeconds: 0 });
  const { key, prefix } = await createKey(database, 'test', stored);
  const lastUsed = async () => (await database.select().from(apiKey).where(eq(apiKey.prefix, prefix)))[0]?.lastUsedTime;
  await authorize(request(`Bearer ${key}`));
  const first = await lastUsed();
  expect(first).toBeInstanceOf(Date);
  await authorize(request(`Bearer ${key}`));
  expect(await lastUsed()).toEqual(first);
  await database
    .update(apiKey)
    .set({ lastUsedTime: sql`clock_timestamp() - interval '61 seconds'` })
    .where(eq(apiKey.prefix, prefix));
  await authorize(request(`Bearer ${key}`));
  expect((await lastUsed())?.getTime()).toBeGreaterThanOrEqual(first?.getTime() ?? 0);
});

test('a deleted key works no longer than the cache believes it', async () => {
  const cached = authorizeByKey(database, { cacheSeconds: 0.3 });
  const { key, prefix } = await createKey(database, 'test', stored);
  const use = () => cached(request(`Bearer ${key}`));
  await use();
  await database.delete(apiKey).where(eq(apiKey.prefix, prefix));
  await use();
  await expect
    .poll(
      () =>
        use().then(
          () => 'accepted',
          () => 'refused',
        ),
      { timeout: 3_000 },
    )
    .toBe('refused');
});

test('a key made over HTTP is shown once and works until it is revoked', async () => {
  const operator = await api.caller({ superUser: true });
  const made = await operator('POST', '/apikey', {
    title: 'CI',
    accounts: ['acme', 'acme'],
    scopes: ['read'],
    expiresTime: Date.now() + 60_000,
  });
  expect(made).toMatchObject({
    status: 201,
    body: {
      title: 'CI',
      accounts: ['acme'],
      superUser: false,
      scopes: ['read'],
      key: expect.stringMatching(/^pop_live_/),
    },
  });
  const bearer = { Authorization: `Bearer ${made.body.key}` };
  expect((await api.anonymous('GET', '/customer', undefined, bearer)).status).toBe(200);
  const { key, ...shown } = made.body;
  const listed = await operator('GET', `/apikey?byId=${shown.id}`);
  expect(listed.body.all).toEqual([{ ...shown, lastUsedTime: expect.any(Number) }]);
  expect(JSON.stringify(listed.body)).not.toContain(key);
  expect(await operator('DELETE', `/apikey/${shown.id}`)).toMatchObject({
    status: 200,
    body: { count: 1, all: [{ id: shown.id }] },
  });
  expect((await api.anonymous('GET', '/customer', undefined, bearer)).status).toBe(401);
  expect((await operator('DELETE', `/apikey/${shown.id}`)).status).toBe(404);
});

test('a key that expires makes no key that outlives it', async () => {
  const operator = await api.caller({ superUser: true });
  const expiresTime = Date.now() + 60_000;
  const parent = await operator('POST', '/apikey', { accounts: ['acme'], scopes: ['admin'], expiresTime });
  const make = (body: object) =>
    api.anonymous(
      'POST',
      '/apikey',
      { accounts: ['acme'], scopes: ['read'], ...body },
      { Authorization: `Bearer ${parent.body.key}` },
    );
  expect(await make({})).toMatchObject({ status: 201, body: { expiresTime } });
  expect(await make({ expiresTime: expiresTime - 1 })).toMatchObject({
    status: 201,
    body: { expiresTime: expiresTime - 1 },
  });
  expect(await make({ expiresTime: expiresTime + 1 })).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '/expiresTime' }] },
  });
});

test('nobody gives away more than they have', async () => {
  const operator = await api.caller({ superUser: true });
  const acme = await api.caller({ accounts: ['acme'] });
  await operator('POST', '/resourcepool', { id: 'foreign', customerId: 'operations' });
  await operator('POST', '/resourcepool', { id: 'own', customerId: 'acme' });
  const status = async (body: unknown) => (await acme('POST', '/apikey', body)).status;
  expect(await status({ accounts: ['acme'], scopes: ['submit'] })).toBe(201);
  expect(await status({ accounts: ['acme', 'other'], scopes: ['read'] })).toBe(403);
  expect(await status({ superUser: true, scopes: ['read'] })).toBe(403);
  expect(await status({ scopes: ['pool:foreign'] })).toBe(422);
  expect(await status({ scopes: ['read'] })).toBe(422);
  expect(await status({ accounts: ['*'], scopes: ['read'] })).toBe(422);
  expect(await status({ accounts: ['acme'], scopes: ['rule'] })).toBe(422);
  expect(await status({ accounts: ['acme'], scopes: [] })).toBe(422);
  expect(await status({ accounts: ['acme'], scopes: ['read'], expiresTime: 1 })).toBe(422);
  const pool = await acme('POST', '/apikey', { scopes: ['pool:own'] });
  expect(pool).toMatchObject({ status: 201, body: { accounts: ['acme'], scopes: ['pool:own'] } });

  const theirs = await operator('POST', '/apikey', { accounts: ['acme', 'other'], scopes: ['read'] });
  const ids = (await acme('GET', '/apikey?limit=1000')).body.all.map((each: { id: string }) => each.id);
  expect(ids).toContain(pool.body.id);
  expect(ids).not.toContain(theirs.body.id);
  expect((await acme('DELETE', `/apikey/${theirs.body.id}`)).status).toBe(404);
  expect((await acme('DELETE', `/apikey/${pool.body.id}`)).status).toBe(200);
});
