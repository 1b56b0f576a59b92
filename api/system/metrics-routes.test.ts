import { afterAll, beforeAll, expect, test } from 'vitest';
import { testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

test('metrics are for super users, for they name all customers', async () => {
  const api = testApp(database);
  expect((await api.anonymous('GET', '/metrics')).status).toBe(401);
  expect((await api.app.request('/metrics')).status).toBe(401);
  const acme = await api.caller({ accounts: ['acme'] });
  expect((await acme('GET', '/metrics')).body).toMatchObject({ status: 403, code: 'forbidden' });
});

test('requests are counted by route, with and without the base path, whatever their ids are', async () => {
  const api = testApp(database);
  const operator = await api.caller({ superUser: true, scopes: ['read'] });
  for (const id of ['one', 'two']) expect((await operator('GET', `/agenda/${id}`)).status).toBe(404);
  await operator('GET', '/nowhere/to/be/found');
  await api.app.request('/livez');
  const text = (await operator('GET', '/metrics')).body;
  expect(text).toContain('pop_http_request_seconds_count{method="GET",route="/v1/agenda/:id",status="4xx"} 2');
  expect(text).toContain('pop_http_request_seconds_count{method="GET",route="other",status="4xx"} 1');
  expect(text).toContain('pop_http_request_seconds_count{method="GET",route="/livez",status="2xx"} 1');
  expect(text).toContain('pop_record_up 1');
});
