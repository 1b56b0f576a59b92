import { afterAll, beforeAll, expect, test } from 'vitest';
import { sweep } from '../../db/sweep.ts';
import { aliveSeconds, registryHours, type WorkerReport } from '../../messages/resource-pool.ts';
import { type Send, testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { registriesDiffer } from './registries-differ.ts';

let database: TestDatabase;
let operator: Send;
let owner: Send;
let stranger: Send;
let worker: Send;
beforeAll(async () => {
  database = await testDatabase();
  const api = testApp(database);
  operator = await api.caller({ superUser: true });
  owner = await api.caller({ accounts: ['operations'] });
  stranger = await api.caller({ accounts: ['acme'] });
  worker = await api.caller({ scopes: ['pool:pool'] });
  expect((await operator('POST', '/resourcepool', { id: 'pool', customerId: 'operations' })).status).toBe(201);
});
afterAll(() => database[Symbol.asyncDispose]());

const report: WorkerReport = {
  ...{ worker: 'a', version: '0.2.0', slots: 4, startedTime: 1_782_864_000_000, registryDigest: 'one' },
  types: { probe: {}, encode: { cpu: 4 } },
};
const tell = async (more: object = {}) => worker('POST', '/resourcepool/service/reportWorker', { ...report, ...more });
const workers = async (send = owner) => (await send('GET', '/resourcepool/pool/workers')).body;

test('workers are shown as they told, to who may see the pool', async () => {
  expect(await workers()).toEqual({ cid: expect.any(String), count: 0, all: [] });
  const begun = Date.now();
  expect((await tell()).status).toBe(200);
  expect(await workers()).toEqual({
    ...{ cid: expect.any(String), count: 1 },
    all: [
      {
        ...{
          name: 'a',
          version: '0.2.0',
          slots: 4,
          alive: true,
          startedTime: 1_782_864_000_000,
          lastSeenTime: expect.any(Number),
        },
        ...{ registryDigest: 'one', types: { probe: {}, encode: { cpu: 4 } } },
      },
    ],
  });
  expect(Math.abs((await workers()).all[0].lastSeenTime - begun)).toBeLessThan(60_000);
  expect((await stranger('GET', '/resourcepool/pool/workers')).status).toBe(404);
  expect((await owner('GET', '/resourcepool/none/workers')).status).toBe(404);
  expect((await worker('GET', '/resourcepool/pool/workers')).status).toBe(403);
});

test('registries that differ, and a broken edit, are said; one that is gone counts no more', async () => {
  const registryProblem = '/etc/registry.json:4 /encode: no';
  await tell({ worker: 'b', registryDigest: 'two', types: { probe: {} }, registryProblem });
  const both = await workers();
  expect(both.registriesDiffer).toBe(
    'The 2 pool workers that are there have 2 different registries. Not served by all: "encode".',
  );
  expect(both.all[1]).toMatchObject({ name: 'b', registryProblem });
  await database.$client`update pool_worker set seen_time = seen_time - make_interval(secs => ${aliveSeconds + 1})
    where name = 'b'`;
  const one = await workers();
  expect(one.all.map(({ alive }: { alive: boolean }) => alive)).toEqual([true, false]);
  expect(one).not.toHaveProperty('registriesDiffer');
  await tell({ worker: 'b', leaving: true });
  expect((await workers()).count).toBe(1);
  // The edit was mended.
  await tell({ worker: 'b' });
  expect((await workers()).all[1]).not.toHaveProperty('registryProblem');
});

test('workers and registries that were not seen for a day are forgotten, and with their pool', async () => {
  const hours = registryHours + 1;
  await tell({ worker: 'old', registryDigest: 'old', types: { old: {} } });
  await database.$client`
    update pool_worker set seen_time = seen_time - make_interval(hours => ${hours}) where name = 'old'`;
  await database.$client`
    update pool_registry set seen_time = seen_time - make_interval(hours => ${hours}) where digest = 'old'`;
  await sweep(database, { quietSeconds: 60, sweepSeconds: 5 });
  expect(await database.$client`select from pool_worker where name = 'old'`).toHaveLength(0);
  expect(await database.$client`select from pool_registry where digest = 'old'`).toHaveLength(0);
  expect((await workers()).all.map(({ name }: { name: string }) => name)).toEqual(['a', 'b']);
  expect((await operator('DELETE', '/resourcepool/pool')).status).toBe(200);
  expect(await database.$client`select from pool_registry union all select from pool_worker`).toHaveLength(0);
});

test.each([
  [{ types: { a: { cores: 1 } } }, '/types/a/cores'],
  [{ types: { a: { cpu: -1 } } }, '/types/a/cpu'],
  [{ types: { a: { slots: 1.5 } } }, '/types/a/slots'],
  [{ types: { ['x'.repeat(129)]: {} } }, undefined],
  [{ types: Object.fromEntries(Array.from({ length: 5_001 }, (_, n) => [`t${n}`, {}])) }, '/types'],
  [{ slots: 0 }, '/slots'],
  [{ worker: '' }, '/worker'],
  [{ registryDigest: undefined }, '/registryDigest'],
])('a worker cannot tell %o', async (wrong, pointer) => {
  const { status, body } = await tell(wrong);
  expect(status).toBe(422);
  if (pointer !== undefined) expect(body.errors[0].pointer).toBe(pointer);
});

test('only the key of a pool may tell, of that pool', async () => {
  expect((await operator('POST', '/resourcepool/service/reportWorker', report)).status).toBe(403);
  const other = await worker('POST', '/resourcepool/service/reportWorker', report, { 'POP-Pool': 'other' });
  expect([other.status, other.body.code]).toEqual([403, 'wrongPool']);
});

test('what is said of registries', () => {
  const of = (digest: string, ...types: string[]) => ({ digest, types: Object.fromEntries(types.map((t) => [t, {}])) });
  expect(registriesDiffer([])).toBeUndefined();
  expect(registriesDiffer([of('1', 'a'), of('1', 'a')])).toBeUndefined();
  expect(registriesDiffer([of('1', 'a'), of('2', 'a')])).toMatch(/All serve the same types, not in the same way\.$/);
  const many = Array.from({ length: 12 }, (_, n) => `t${n + 10}`);
  expect(registriesDiffer([of('1', 'a', ...many), of('2', 'a'), of('2', 'a')])).toMatch(
    /^The 3 pool workers that are there have 2 different registries\. Not served by all: "t10", .* and 2 more\.$/,
  );
});
