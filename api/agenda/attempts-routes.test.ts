import { afterAll, beforeAll, expect, test } from 'vitest';
import { admitBatch } from '../../db/admission/admit-batch.ts';
import { type Send, type TestApp, testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';

let database: TestDatabase;
let api: TestApp;
let operator: Send;
let acme: Send;
let other: Send;
let poolOwner: Send;
let pool: Send;
let agendaId: string;
let progressId: string;

const service = '/resourcepool/service';
const time = 1_782_864_000_000;
const fence = (operation: string, launch = 1) => ({ agendaId, attempt: 1, operation, operationAttempt: 1, launch });
const ask = (operation: string, more: Record<string, unknown> = {}) =>
  pool('POST', `${service}/startOperation`, {
    items: [
      {
        ...{ agendaId, attempt: 1, operation, place: 'local:host:/runs', worker: 'host:1', launcher: 'local' },
        ...{ understands: ['later'], scheduledTime: time, pulledTime: time + 1 },
        ...more,
      },
    ],
  });
const end = (operation: string, more: Record<string, unknown>, launch = 1) =>
  pool('POST', `${service}/finishOperation`, { items: [{ ...fence(operation, launch), ...more }] });

beforeAll(async () => {
  database = await testDatabase();
  api = testApp(database);
  operator = await api.caller({ superUser: true });
  acme = await api.caller({ accounts: ['acme'] });
  other = await api.caller({ accounts: ['other'] });
  poolOwner = await api.caller({ accounts: ['acme', 'operations'] });
  pool = await api.caller({ scopes: ['pool:pool'] });
  await operator('POST', '/resourcepool', { id: 'pool', customerId: 'operations', title: 'Pool' });
  await operator('POST', '/customer', { id: 'acme', customerId: 'acme', title: 'Acme', resourcePoolId: 'pool' });
  const of = { customerId: 'operations', resourcePoolId: 'pool', isGlobal: true };
  await operator('POST', '/insight', { id: 'all', title: 'All', ...of, mappers: { operationType: ['sample'] } });

  const operations = ['a', 'b'].map((name) => ({ name, type: 'sample' }));
  const { body } = await acme('POST', '/agenda', { customerId: 'acme', operations });
  agendaId = body.id;
  progressId = body.progressId;
  await admitBatch(database, { insightId: 'all', batchId: 'batch' });
  await ask('a');
  const lost = { outcome: 'failed', ending: 'lost', category: 'infrastructure', code: 'lost' };
  const times = { startedTime: time + 2, noticedTime: time + 5 };
  const diagnosticEvents = [{ code: 'lost', message: 'The host is gone.' }];
  await end('a', { ...lost, ...times, diagnosticEvents, log: { output: 'first words', totalBytes: 11 } });
});
afterAll(() => database[Symbol.asyncDispose]());

test('a lost launch shows why, where its output is, and when the next one comes; so does its Operation', async () => {
  const { status, body } = await operator('GET', `/agenda/${agendaId}/attempts`);
  expect(status).toBe(200);
  expect(body.all).toEqual([
    {
      ...{ operation: 'a', attempt: 1, operationAttempt: 1, launch: 1, launcher: 'local' },
      ...{ place: 'local:host:/runs', worker: 'host:1', admittedTime: expect.any(Number) },
      ...{ scheduledTime: time, pulledTime: time + 1, startedTime: time + 2, noticedTime: time + 5 },
      ...{ ending: 'lost', category: 'infrastructure', code: 'lost', decision: 'again' },
      ...{ againTime: expect.any(Number), diagnosticEvents: [{ code: 'lost', message: 'The host is gone.' }] },
      output: { totalBytes: 11, path: `/v1/agenda/${agendaId}/logs?operation=a&attempt=1&launch=1` },
    },
  ]);
  expect((await acme('GET', `/progress/operation/${progressId}-a`)).body).toMatchObject({
    ...{ processingState: 'EXECUTING', failureCategory: 'infrastructure', failureCode: 'lost', launch: 1 },
    againTime: body.all[0].againTime,
  });
});

test('the next launch stands beside the one before, each with its own output', async () => {
  await database.$client`update operation_progress set again_time = clock_timestamp() where agenda_id = ${agendaId}`;
  await ask('a');
  await end('a', { outcome: 'succeeded', ending: 'succeeded', log: { output: 'second', totalBytes: 6 } }, 2);
  const { body } = await acme('GET', `/agenda/${agendaId}/attempts?operation=a`);
  expect(body.all).toMatchObject([
    { launch: 1, ending: 'lost', decision: 'again', diagnosticEvents: [{ message: 'The host is gone.' }] },
    { launch: 2, ending: 'succeeded', decision: 'ended' },
  ]);
  const outputs = [];
  for (const { output } of body.all)
    outputs.push(
      (await acme('GET', output.path.replace('/v1', ''))).body.all.map((log: { output: string }) => log.output),
    );
  expect(outputs).toEqual([['first words'], ['second']]);
  const progress = (await acme('GET', `/progress/operation/${progressId}-a`)).body;
  expect(progress).toMatchObject({ processingStateMessage: 'succeeded', launch: 2 });
  for (const gone of ['failureCategory', 'failureCode', 'againTime', 'diagnosticEvents'])
    expect(progress).not.toHaveProperty(gone);
});

test('what cannot be started says why and since when, until it starts', async () => {
  await ask('b');
  const blocked = { ...fence('b'), worker: 'host:1', blocked: { reason: 'ENOSPC: no space left on device' } };
  const report = (item: object) => pool('POST', `${service}/reportProgress`, { items: [item] });
  const answer = await report(blocked);
  expect(answer.body.items).toEqual([{ verdict: 'ok', inMilliseconds: expect.any(Number) }]);
  const shown = async () => (await acme('GET', `/progress/operation/${progressId}-b`)).body;
  const first = await shown();
  expect(first).toMatchObject({
    processingState: 'EXECUTING',
    blocked: { reason: 'ENOSPC: no space left on device', since: expect.any(Number) },
  });
  await report({ ...blocked, blocked: { reason: 'EAGAIN' } });
  expect((await shown()).blocked).toEqual({ reason: 'EAGAIN', since: first.blocked.since });
  await report({ ...fence('b'), startedTime: time });
  expect(await shown()).not.toHaveProperty('blocked');
});

test('names of hosts are for the owner of the pool and super users; strangers see nothing of it', async () => {
  const first = async (send: Send) => (await send('GET', `/agenda/${agendaId}/attempts`)).body.all[0];
  expect(await first(poolOwner)).toMatchObject({ place: 'local:host:/runs', worker: 'host:1' });
  const own = await first(acme);
  expect(own).not.toHaveProperty('place');
  expect(own).not.toHaveProperty('worker');
  expect((await other('GET', `/agenda/${agendaId}/attempts`)).status).toBe(404);
});

test('pages follow one another; filters keep to one Operation and one attempt of the Agenda', async () => {
  const launches: [string, number][] = [];
  for (let cursor = ''; ; ) {
    const { body } = await acme('GET', `/agenda/${agendaId}/attempts?limit=1${cursor}`);
    expect(body.count).toBe(1);
    launches.push([body.all[0].operation, body.all[0].launch]);
    if (body.nextCursor === undefined) break;
    cursor = `&cursor=${body.nextCursor}`;
  }
  expect(launches).toEqual([
    ['a', 1],
    ['a', 2],
    ['b', 1],
  ]);
  const none = await acme('GET', `/agenda/${agendaId}/attempts?attempt=2`);
  expect(none.body).toMatchObject({ count: 0, all: [] });
  expect((await acme('GET', `/agenda/${agendaId}/attempts?operation=none`)).status).toBe(404);
  expect((await acme('GET', `/agenda/${agendaId}/attempts?cursor=x`)).status).toBe(400);
});
