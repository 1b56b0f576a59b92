import { expect, test } from 'vitest';
import { openDatabase } from '../db/connect.ts';
import { testApp } from '../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../test/support/test-database.ts';
import { maximumBodyBytes } from './http/json-body.ts';

const json = { 'Content-Type': 'application/json' };

test('every answer carries the correlation id, and so does its log line', async () => {
  await using database: TestDatabase = await testDatabase();
  const api = testApp(database);
  const operator = await api.caller({ superUser: true });
  expect((await operator('GET', '/customer', undefined, { 'X-pop-cid': 'abc' })).body.cid).toBe('abc');
  const made = await operator('GET', '/customer');
  expect(made.headers.get('x-pop-cid')).toBe(made.body.cid);
  expect(made.body.cid).toMatch(/^[0-9a-f-]{36}$/);
  expect(await operator('GET', '/customer', undefined, { 'X-pop-cid': 'x'.repeat(201) })).toMatchObject({
    status: 400,
    body: { code: 'badParameter' },
  });
  expect(api.lines).toHaveLength(3);
  expect(api.lines[0]).toMatchObject({
    cid: 'abc',
    method: 'GET',
    path: '/v1/customer',
    status: 200,
    durationMilliseconds: expect.any(Number),
    actor: expect.any(String),
  });
  expect(api.lines[2]).toMatchObject({ status: 400 });
});

test('faults of a request have their own status and the same form', async () => {
  await using database: TestDatabase = await testDatabase();
  const api = testApp(database);
  const operator = await api.caller({ superUser: true });
  const problem = async (method: string, path: string, body?: string, headers?: Record<string, string>) => {
    const answer = await operator(method, path, body, headers);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    const cid = answer.headers.get('x-pop-cid');
    expect(answer.body).toMatchObject({
      type: `urn:pop:problem:${answer.body.code}`,
      title: expect.any(String),
      status: answer.status,
      detail: expect.any(String),
      description: answer.body.detail,
      responseCode: answer.status,
      correlationId: cid,
      instance: `/v1${path.split('?')[0]}`,
    });
    expect(JSON.stringify(answer.body)).not.toMatch(/\.ts:\d|node_modules/);
    return answer;
  };
  expect(await problem('POST', '/customer', '{"title": x}')).toMatchObject({
    status: 400,
    body: { code: 'malformedJson', detail: expect.stringContaining('line 1 column 11') },
  });
  expect(await problem('POST', '/customer', '', json)).toMatchObject({
    status: 400,
    body: { code: 'malformedRequest' },
  });
  expect(await problem('POST', '/customer', '{}', { 'Content-Type': 'text/plain' })).toMatchObject({ status: 415 });
  expect(await problem('POST', '/customer', '{}', { ...json, 'Content-Encoding': 'gzip' })).toMatchObject({
    status: 415,
  });
  expect(
    (await operator('POST', '/customer', '{}', { 'Content-Type': 'application/json; charset=utf-8' })).status,
  ).toBe(422);
  expect(await problem('POST', '/customer', '[1]')).toMatchObject({ status: 422 });
  expect(await problem('GET', '/customers')).toMatchObject({ status: 404, body: { code: 'notFound' } });
  const wrongMethod = await problem('PATCH', '/customer/x');
  expect(wrongMethod).toMatchObject({ status: 405, body: { code: 'methodNotAllowed' } });
  expect(wrongMethod.headers.get('allow')).toBe('GET, PUT, DELETE');
  expect((await problem('DELETE', '/agenda')).headers.get('allow')).toBe('GET, POST');
  expect(await problem('POST', '/customer', JSON.stringify({ title: 'x'.repeat(maximumBodyBytes) }))).toMatchObject({
    status: 413,
    body: { code: 'payloadTooLarge', detail: expect.stringContaining(String(maximumBodyBytes)) },
  });
  expect(await problem('POST', '/customer', '{}', { 'Content-Length': '99999999' })).toMatchObject({
    status: 413,
    body: { detail: expect.stringContaining('99999999') },
  });
  expect(await problem('POST', '/customer', `${'['.repeat(100_000)}${']'.repeat(100_000)}`)).toMatchObject({
    status: 422,
    body: { errors: [{ code: 'tooDeep' }] },
  });
  const many = await problem(
    'POST',
    '/customer',
    JSON.stringify(Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`field${index}`, 1]))),
  );
  expect(many.body.errors).toHaveLength(11);
  expect(many.body.errors.at(-1)).toMatchObject({
    code: 'truncated',
    message: '[Truncating additional issues] 32 in total',
  });
});

test('while Postgres is away the answer is 503 and says when to try again', async () => {
  await using database = openDatabase('postgres://127.0.0.1:1/nothing');
  const api = testApp(database);
  expect((await api.anonymous('GET', '/livez')).status).toBe(200);
  const answer = await api.anonymous('GET', '/readyz');
  expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } });
  expect(answer.headers.get('retry-after')).toBe('5');
  expect((await api.app.request('/readyz')).status).toBe(503);
});

test('an error nobody foresaw is told as 500 without its stack, and logged with it', async () => {
  const database = openDatabase('postgres://127.0.0.1:1/nothing');
  const api = testApp(Object.assign(database, { execute: () => Promise.reject(new TypeError('secret detail')) }));
  const answer = await api.anonymous('GET', '/readyz');
  expect(answer).toMatchObject({ status: 500, body: { code: 'internal' } });
  expect(JSON.stringify(answer.body)).not.toContain('secret');
  expect(api.lines[0]).toMatchObject({
    level: 50,
    err: { message: 'secret detail', stack: expect.stringContaining('app.test.ts') },
  });
  await database[Symbol.asyncDispose]();
});

test('a failed query is logged without its parameters', async () => {
  await using database: TestDatabase = await testDatabase();
  const api = testApp(database);
  const operator = await api.caller({ superUser: true });
  await database.$client`drop table customer cascade`;
  expect(await operator('POST', '/customer', { customerId: 'acme', title: 'very secret' })).toMatchObject({
    status: 500,
  });
  expect(api.lines[0]).toMatchObject({
    level: 50,
    query: expect.stringContaining('insert into "customer"'),
    frames: expect.any(Array),
    err: { message: expect.stringContaining('customer') },
  });
  expect(JSON.stringify(api.lines[0])).not.toContain('very secret');
});

test('the document describes every endpoint with an example, and its page needs nothing from outside', async () => {
  await using database = openDatabase('postgres://127.0.0.1:1/nothing');
  const { app } = testApp(database);
  const document = JSON.parse(await (await app.request('/v1/openapi.json')).text());
  expect(document).toMatchObject({ openapi: '3.1.0', servers: [{ url: '/v1' }] });
  for (const [path, item] of Object.entries<
    Record<
      string,
      { responses: Record<string, { content?: Record<string, { example?: unknown }> }>; requestBody?: unknown }
    >
  >(document.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const good = Object.entries(operation.responses).filter(
        ([status, answer]) => status.startsWith('2') && answer.content !== undefined,
      );
      for (const [, { content }] of good)
        for (const media of Object.values(content ?? {})) expect(media, `${method} ${path}`).toHaveProperty('example');
      if (operation.requestBody !== undefined)
        expect(JSON.stringify(operation.requestBody), `${method} ${path}`).toContain('"example"');
    }
  }
  expect(Object.keys(document.paths)).toEqual(
    expect.arrayContaining([
      '/customer',
      '/customer/{id}',
      '/insight',
      '/resourcepool',
      '/apikey',
      '/agenda',
      '/readyz',
    ]),
  );
  expect(document.paths['/customer'].get.parameters.map((parameter: { name: string }) => parameter.name)).toEqual(
    expect.arrayContaining(['limit', 'cursor', 'byTitle', 'byResourcePoolId', 'countOnly', 'X-pop-cid']),
  );
  expect(document.paths['/insight'].post.requestBody.content['application/json'].schema).toEqual({
    $ref: '#/components/schemas/InsightCreate',
  });
  expect(document.components.schemas.InsightCreate.required.sort()).toEqual(['customerId', 'resourcePoolId', 'title']);

  expect(document.components.schemas.InsightUpdate.properties.queueSize).toMatchObject({
    type: ['integer', 'null'],
    minimum: 0,
  });

  const page = await app.request('/v1/docs');
  const html = await page.text();
  expect(html).not.toMatch(/https?:|<script>/);
  for (const [, file] of html.matchAll(/(?:src|href)="([^"]+)"/g))
    expect((await app.request(`/v1/${file}`)).status, file).toBe(200);
  expect((await app.request('/v1/docs/package.json')).status).toBe(404);
  expect((await app.request('/v1/docs/..%2Fpackage.json')).status).toBe(404);
});
