import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../db/connect.ts';
import { readInstallation } from '../../db/installation.ts';
import { readMigrations } from '../../db/migrate.ts';
import manifest from '../../package.json' with { type: 'json' };
import { type Send, testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';

let database: TestDatabase;
let worker: Send;
let anonymous: Send;
let installationId: string;
beforeAll(async () => {
  database = await testDatabase();
  const app = testApp(database);
  anonymous = app.anonymous;
  worker = await app.caller({ scopes: ['pool:größe 1'] });
  installationId = (await readInstallation(database)).id;
});
afterAll(() => database[Symbol.asyncDispose]());

const progress = {
  items: [{ agendaId: 'a', attempt: 1, operation: 'o', operationAttempt: 1, launch: 1 }],
};
const pool = encodeURIComponent('größe 1');

test('/version tells which installation this is, its schema and what its pool service speaks', async () => {
  expect(await anonymous('GET', '/version')).toMatchObject({
    status: 200,
    body: { version: manifest.version, installationId, schema: readMigrations().length, resourcePoolProtocol: 2 },
  });
});

test('/version answers without the installation while the database is away', async () => {
  await using away = openDatabase('postgres://127.0.0.1:1/nothing', { connections: 1 });
  const { status, body } = await testApp(away).anonymous('GET', '/version');
  expect([status, body.version, body.installationId]).toEqual([200, manifest.version, undefined]);
});

test('a pool worker of this installation and of the pool of its key is taken, or that says neither', async () => {
  const own = { 'POP-Installation': installationId, 'POP-Pool': pool };
  expect(await worker('GET', '/resourcepool/service/pool', undefined, own)).toMatchObject({
    status: 200,
    body: { resourcePoolId: 'größe 1' },
  });
  expect((await worker('POST', '/resourcepool/service/reportProgress', progress, own)).status).toBe(200);
  expect((await worker('POST', '/resourcepool/service/reportProgress', progress)).status).toBe(200);
});

test('each request of a pool worker of another pool or another installation is refused, naming both', async () => {
  for (const operation of ['startOperation', 'reportProgress', 'finishOperation']) {
    const item = { agendaId: 'a', attempt: 1, operation: 'o' };
    const fence = { ...item, operationAttempt: 1, launch: 1 };
    const items = { startOperation: [{ ...item, place: 'p', worker: 'w' }], reportProgress: [fence] }[operation] ?? [
      { ...fence, outcome: 'succeeded' },
    ];
    const path = `/resourcepool/service/${operation}`;
    const wrongPool = await worker('POST', path, { items }, { 'POP-Pool': 'other' });
    expect([wrongPool.status, wrongPool.body.code]).toEqual([403, 'wrongPool']);
    expect(wrongPool.body.detail).toBe('The pool worker serves the ResourcePool "other", its key is for "größe 1".');
    const elsewhere = await worker('POST', path, { items }, { 'POP-Installation': 'elsewhere', 'POP-Pool': pool });
    expect([elsewhere.status, elsewhere.body.code]).toEqual([409, 'wrongInstallation']);
    expect(elsewhere.body.detail).toContain(`"elsewhere", this api to "${installationId}"`);
  }
});

test('the pool of a key is told to pool workers only', async () => {
  const caller = await testApp(database).caller({ scopes: ['admin'] });
  expect((await caller('GET', '/resourcepool/service/pool')).status).toBe(403);
  expect((await anonymous('GET', '/resourcepool/service/pool')).status).toBe(401);
});
