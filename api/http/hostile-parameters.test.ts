/** Values that a column cannot hold are refused by name; they are no internal errors. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKey } from '../../db/settings/first-key.ts';
import { type Send, type TestApp, testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addAgenda, addInsight } from '../../test/support/test-records.ts';

let database: TestDatabase;
let api: TestApp;
let operator: Send;

beforeAll(async () => {
  database = await testDatabase();
  api = testApp(database);
  operator = await api.caller({ superUser: true });
});
afterAll(() => database[Symbol.asyncDispose]());

const cursor = (text: string) => Buffer.from(text).toString('base64url');

test.each(['[01,1,1]', '[3000000000,1,1]', '[1,1,03]', '[999999999999999,1,1]'])(
  'the cursor %s of logs is not ours',
  async (text) => {
    const { agendaId } = await addAgenda(database, await addInsight(database));
    expect(await operator('GET', `/agenda/${agendaId}/logs?cursor=${cursor(text)}`)).toMatchObject({ status: 400 });
  },
);

test('the cursor [01] of an audit trail is not ours', async () => {
  const { agendaId } = await addAgenda(database, await addInsight(database));
  expect(await operator('GET', `/agenda/${agendaId}/audit?cursor=${cursor('[01]')}`)).toMatchObject({ status: 400 });
});

test.each(['8640000000000000', '-271821-04-20', '+275760-09-13T00:00:00.000Z', '-000001-01-01T00:00:00Z'])(
  'the time %s is outside of what can be asked for',
  async (time) => {
    const answer = await operator('GET', `/agenda?addedAfter=${encodeURIComponent(time)}`);
    expect(answer).toMatchObject({ status: 400, body: { code: 'badParameter' } });
  },
);

test('a key cannot expire after the year 9999', async () => {
  const answer = await operator('POST', '/apikey', {
    accounts: ['a'],
    scopes: ['read'],
    expiresTime: 8_640_000_000_000_000,
  });
  expect(answer).toMatchObject({ status: 422, body: { errors: [{ pointer: '/expiresTime' }] } });
});

test.each([
  ['startOperation', { place: 'p', worker: 'w' }],
  ['reportProgress', { operationAttempt: 1, launch: 1 }],
  ['finishOperation', { operationAttempt: 1, launch: 1, outcome: 'succeeded' }],
])('%s with an attempt that no column holds is refused', async (service, more) => {
  const pool = await api.caller({ scopes: ['pool:p'] });
  const item = { agendaId: 'a', attempt: 3_000_000_000, operation: 'o', ...more };
  expect(await pool('POST', `/resourcepool/service/${service}`, { items: [item] })).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '/items/0/attempt' }] },
  });
});

test("a setting that was given an Agenda's id does not appear in its audit trail", async () => {
  const { agendaId } = await addAgenda(database, await addInsight(database));
  const stranger = await api.caller({ accounts: ['stranger'] });
  expect(
    (await stranger('POST', '/customer', { id: agendaId, customerId: 'stranger', title: 'Not yours' })).status,
  ).toBe(201);
  const { body } = await operator('GET', `/agenda/${agendaId}/audit`);
  expect(body.all.filter((entry: { action: string }) => !entry.action.startsWith('agenda.'))).toEqual([]);
});

test('a wait whose caller went away reads nothing more', async () => {
  const { agendaId } = await addAgenda(database, await addInsight(database));
  const { key } = await createKey(database, 'test', { accounts: [], superUser: true, scopes: ['read'] });
  const gone = new AbortController();
  const answer = api.app.request(`/v1/progress/agenda/${agendaId}-progress?wait=300s`, {
    headers: { Authorization: `Bearer ${key}` },
    signal: gone.signal,
  });
  gone.abort();
  expect((await answer).status).toBe(499);
});
