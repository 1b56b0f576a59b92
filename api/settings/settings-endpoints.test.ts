import { eq } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditEntry, insightWake, readyAgenda } from '../../db/schema.ts';
import { type Send, type TestApp, testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';

let database: TestDatabase;
let api: TestApp;
let operator: Send;
let acme: Send;
let other: Send;

beforeAll(async () => {
  database = await testDatabase();
  api = testApp(database);
  operator = await api.caller({ superUser: true });
  acme = await api.caller({ accounts: ['acme'] });
  other = await api.caller({ accounts: ['other'] });
  await operator('POST', '/resourcepool', { id: 'pool', customerId: 'operations', title: 'Pool' });
  await operator('POST', '/resourcepool', { id: 'acme-pool', customerId: 'acme' });
});
afterAll(() => database[Symbol.asyncDispose]());

const insight = (more: Record<string, unknown> = {}) => ({
  customerId: 'acme',
  title: 'Encodes',
  resourcePoolId: 'pool',
  mappers: { operationType: ['sample'] },
  ...more,
});

const objects: [string, Record<string, unknown>][] = [
  ['/customer', { customerId: 'acme', title: 'Acme', billingCode: 'B1', resourcePoolId: 'pool' }],
  ['/resourcepool', { customerId: 'acme', title: 'East', capacity: { slots: 3 } }],
  ['/insight', insight({ queueSize: 7, schedulingAlgorithm: 'FirstInFirstOut', allowedCustomerIds: ['B', 'a', 'b'] })],
];

describe.each(objects)('%s', (path, given) => {
  test('is created, read, changed and deleted', async () => {
    const created = await operator('POST', path, given, { 'X-pop-cid': 'abc' });
    expect(created).toMatchObject({
      status: 201,
      body: { ...given, ...(path === '/insight' ? { allowedCustomerIds: ['a', 'b'] } : {}), cid: 'abc' },
    });
    expect(created.headers.get('x-pop-cid')).toBe('abc');
    const { id, addedTime, updatedTime } = created.body;
    expect(created.headers.get('location')).toBe(`/v1${path}/${id}`);
    expect(updatedTime).toBe(addedTime);

    const read = await operator('GET', `${path}/${id}`);
    expect(read).toMatchObject({ status: 200, body: created.body });

    const changed = await operator('PUT', `${path}/${id}`, { title: 'New' });
    expect(changed).toMatchObject({
      status: 200,
      body: { ...created.body, title: 'New', updatedTime: expect.any(Number) },
    });
    expect(changed.body.addedTime).toBe(addedTime);
    expect(changed.body.updatedTime).toBeGreaterThan(updatedTime);

    const deleted = await operator('DELETE', `${path}/${id}`);
    expect(deleted).toMatchObject({ status: 200, body: { count: 1, all: [changed.body] } });
    expect(await operator('GET', `${path}/${id}`)).toMatchObject({ status: 404, body: { code: 'notFound' } });
    expect((await operator('GET', `${path}?byId=${id}`)).body).toMatchObject({ count: 0, all: [] });
  });

  test('takes its own answer back unchanged', async () => {
    const { body } = await operator('POST', path, given);
    const plain = await operator('PUT', `${path}/${body.id}`, body);
    expect(plain).toMatchObject({ status: 200, body: { ...body, updatedTime: expect.any(Number) } });
    await operator('DELETE', `${path}/${body.id}`);
  });

  test('takes any id up to 200 bytes, URLs included', async () => {
    for (const id of ['http://my.customer.url/data/Account/3333333', 'a?b#c%2F d/ä\\:id', 'x'.repeat(200)]) {
      const created = await operator('POST', path, { ...given, id });
      expect(created).toMatchObject({ status: 201, body: { id } });
      expect(created.headers.get('location')).toBe(`/v1${path}/${encodeURIComponent(id)}`);
      expect(await operator('GET', `${path}/${encodeURIComponent(id)}`)).toMatchObject({ status: 200, body: { id } });
      expect((await operator('DELETE', `${path}/${encodeURIComponent(id)}`)).status).toBe(200);
    }
    expect(await operator('POST', path, { ...given, id: `${'x'.repeat(199)}ä` })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/id', code: 'tooLarge', message: 'id may have at most 200 bytes, has 201.' }] },
    });
    expect((await operator('GET', `${path}/a%00b`)).status).toBe(404);
    expect((await operator('POST', path, { ...given, id: null })).status).toBe(201);
  });

  test('refuses an id that exists without telling about the other object', async () => {
    expect((await other('POST', '/resourcepool', { customerId: 'other', id: 'other-pool' })).status).toBeOneOf([
      201, 409,
    ]);
    const mine = { ...given, id: `taken${path}`, title: 'secret' };
    expect((await operator('POST', path, mine)).status).toBe(201);
    const foreign = {
      ...given,
      ...(path === '/resourcepool' ? {} : { resourcePoolId: 'other-pool' }),
      customerId: 'other',
      id: `taken${path}`,
    };
    const refused = await other('POST', path, foreign);
    expect(refused).toMatchObject({ status: 409, body: { code: 'alreadyExists' } });
    expect(JSON.stringify(refused.body)).not.toMatch(/secret|acme/);
    expect((await operator('GET', `${path}/${encodeURIComponent(mine.id)}`)).body).toMatchObject({
      title: 'secret',
      customerId: 'acme',
    });
  });

  test('names every fault of a body', async () => {
    const { customerId: _, ...without } = given;
    expect(await operator('POST', path, without)).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/customerId', code: 'required', message: 'customerId is required.' }] },
    });
    const answer = await operator('POST', path, { ...given, customerId: 7, title: '', titel: 'x', 'a/b': 1 });
    expect(answer.status).toBe(422);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.body.errors.map((fault: { pointer: string }) => fault.pointer).sort()).toEqual([
      '/a~1b',
      '/customerId',
      '/titel',
      '/title',
    ]);
  });

  test('refuses characters that cannot be stored', async () => {
    const answer = await operator('POST', path, JSON.stringify({ ...given, title: 'a\u0000b' }));
    expect(answer).toMatchObject({ status: 422, body: { errors: [{ pointer: '/title', code: 'badCharacter' }] } });
    const half = await operator('POST', path, JSON.stringify({ ...given, title: 'a\ud800' }));
    expect(half).toMatchObject({ status: 422, body: { errors: [{ pointer: '/title', code: 'badCharacter' }] } });
    expect((await operator('GET', `${path}?byTitle=%00`)).status).toBe(400);
  });

  test('guards a PUT', async () => {
    const { body } = await operator('POST', path, given);
    expect(await operator('PUT', `${path}/${body.id}`, { id: 'else' })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/id' }] },
    });
    expect((await operator('PUT', `${path}/${body.id}`, { id: body.id })).status).toBe(200);
    expect((await operator('PUT', `${path}/nobody`, { title: 'x' })).status).toBe(404);
    expect(await operator('PUT', `${path}/${body.id}`, { customerId: null })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/customerId' }] },
    });
    expect(await operator('PUT', `${path}/${body.id}`, { titel: 'x' })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/titel' }] },
    });
    expect((await operator('PUT', `${path}/${body.id}`, [])).status).toBe(422);
  });

  test('honours If-Match', async () => {
    const created = await operator('POST', path, given);
    const url = `${path}/${created.body.id}`;
    const tag = created.headers.get('etag') ?? '';
    expect((await operator('GET', url)).headers.get('etag')).toBe(tag);
    expect((await operator('PUT', url, { title: 'first' }, { 'If-Match': tag })).status).toBe(200);
    expect(await operator('PUT', url, { title: 'second' }, { 'If-Match': tag })).toMatchObject({
      status: 412,
      body: { code: 'preconditionFailed' },
    });
    expect((await operator('DELETE', url, undefined, { 'If-Match': tag })).status).toBe(412);
    expect((await operator('GET', url)).body.title).toBe('first');
  });

  test('is there for its owner only, and only its owner may change it', async () => {
    const { body } = await operator('POST', path, given);
    const url = `${path}/${body.id}`;
    expect((await acme('GET', url)).status).toBe(200);
    expect((await acme('PUT', url, { title: 'mine' })).status).toBe(200);
    expect((await other('GET', url)).status).toBe(404);
    expect((await other('PUT', url, { title: 'theirs' })).status).toBe(404);
    expect((await other('DELETE', url)).status).toBe(404);
    expect((await other('GET', `${path}?byId=${body.id}`)).body).toMatchObject({ count: 0, all: [] });
    expect((await other('GET', `${path}?byId=${body.id}&countOnly=true`)).body).toMatchObject({ count: 0, all: [] });
    expect((await acme('GET', `${path}?byid=${body.id}&countonly=true`)).body).toMatchObject({ count: 1, all: [] });
    expect((await other('POST', path, { ...given, id: 'foreign' })).status).toBe(403);
    expect((await acme('PUT', url, { customerId: 'other' })).status).toBe(403);
    expect((await operator('GET', url)).body).toMatchObject({ title: 'mine', customerId: 'acme' });
  });

  test('writes who changed what', async () => {
    const { body } = await acme(
      'POST',
      path,
      path === '/resourcepool' ? given : { ...given, resourcePoolId: 'acme-pool' },
    );
    await acme('PUT', `${path}/${body.id}`, { title: 'after' });
    await acme('DELETE', `${path}/${body.id}`);
    const entries = await database
      .select()
      .from(auditEntry)
      .where(eq(auditEntry.objectId, body.id))
      .orderBy(auditEntry.number);
    const kind = path === '/resourcepool' ? 'resourcePool' : path.slice(1);
    expect(entries.map((entry) => entry.action)).toEqual([`${kind}.create`, `${kind}.update`, `${kind}.delete`]);
    expect(entries[1]).toMatchObject({
      customerId: 'acme',
      actor: expect.stringMatching(/^\w{12}$/),
      before: { title: given.title },
      after: { title: 'after' },
    });
    expect(entries[2]).toMatchObject({ before: { title: 'after' }, after: null });
  });
});

test('a list is complete and each row comes once over its pages', async () => {
  const owner = await api.caller({ accounts: ['many'] });
  for (let number = 0; number < 120; number += 1)
    await operator('POST', '/customer', { customerId: 'many', title: `t${number % 3}` });
  const first = await owner('GET', '/customer');
  expect(first.body).toMatchObject({ count: 100, nextCursor: expect.any(String) });
  const seen = new Set<string>();
  let cursor: string | undefined = '';
  let pages = 0;
  while (cursor !== undefined) {
    const page: { body: { all: { id: string }[]; nextCursor?: string } } = await owner(
      'GET',
      `/customer?limit=25${cursor === '' ? '' : `&cursor=${cursor}`}`,
    );
    for (const { id } of page.body.all) expect(seen.add(id));
    cursor = page.body.nextCursor;
    pages += 1;
  }
  expect([seen.size, pages]).toEqual([120, 5]);
  expect((await owner('GET', '/customer?limit=5')).body.all).toHaveLength(5);
  expect((await owner('GET', '/customer?byTitle=t1&countOnly=true')).body.count).toBe(40);
  expect((await owner('GET', '/customer?bytitle=t1&bycustomerid=many&limit=1000')).body.count).toBe(40);
  const { addedTime } = first.body.all[0];
  const [after, before] = await Promise.all([
    owner('GET', `/customer?addedAfter=${addedTime}&countOnly=true`),
    owner('GET', `/customer?addedBefore=${new Date(addedTime + 1).toISOString()}&countOnly=true`),
  ]);
  expect(after.body.count + before.body.count).toBe(120);
  expect(Object.keys((await owner('GET', '/customer?fields=id,title&limit=1')).body.all[0])).toEqual(['id', 'title']);
});

test.each([
  ['byTitel=x', 'unknownParameter', /byTitel/],
  ['limit=0', 'badParameter', /limit/],
  ['limit=1001', 'badParameter', /1001/],
  ['limit=5&limit=6', 'badParameter', /twice/],
  ['cursor=x', 'badParameter', /cursor/],
  ['addedAfter=yesterday', 'badParameter', /addedAfter/],
  ['fields=nope', 'badParameter', /nope/],
  ['countOnly=maybe', 'badParameter', /countOnly/],
])('a list refuses %s', async (query, code, detail) => {
  const answer = await operator('GET', `/customer?${query}`);
  expect(answer).toMatchObject({
    status: 400,
    body: { code, responseCode: 400, detail: expect.stringMatching(detail) },
  });
});

test('an explicit null clears a field, and a default comes back', async () => {
  const { body } = await operator(
    'POST',
    '/insight',
    insight({ queueSize: 5, maximumRunning: 2, queueName: 'q', isGlobal: true }),
  );
  const cleared = await operator('PUT', `/insight/${body.id}`, {
    queueSize: null,
    maximumRunning: null,
    queueName: null,
    mappers: null,
    isGlobal: null,
  });
  expect(cleared).toMatchObject({ status: 200, body: { queueSize: 100, mappers: {}, isGlobal: false } });
  expect(cleared.body).not.toHaveProperty('maximumRunning');
  expect(cleared.body).not.toHaveProperty('queueName');
  const pool = await operator('POST', '/resourcepool', { customerId: 'acme', title: 't', capacity: { slots: 2 } });
  expect((await operator('PUT', `/resourcepool/${pool.body.id}`, { capacity: null, title: null })).body).toEqual({
    id: pool.body.id,
    cid: pool.body.cid,
    customerId: 'acme',
    paused: false,
    insightIds: [],
    addedTime: pool.body.addedTime,
    updatedTime: expect.any(Number),
  });
  expect(await operator('PUT', `/insight/${body.id}`, { title: null })).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '/title' }] },
  });
});

test.each([
  [{ queueSize: -1 }, '/queueSize', /at least 0, is -1/],
  [{ queueSize: 1.5 }, '/queueSize', /whole number/],
  [{ queueSize: 'ten' }, '/queueSize', /"ten"/],
  [{ schedulingAlgorithm: 'Coin' }, '/schedulingAlgorithm', /FirstInFirstOut.*"Coin"/],
  [{ mappers: { paramMap: ['k='] } }, '/mappers/paramMap/0', /key=value/],
  [{ mappers: { nope: ['x'] } }, '/mappers/nope', /nope/],
  [{ mappers: { operationType: 'sample' } }, '/mappers/operationType', /array/],
  [{ resourcePoolId: 'nowhere' }, '/resourcePoolId', /nowhere/],
])('an Insight is refused with %o', async (wrong, pointer, message) => {
  expect(await operator('POST', '/insight', insight(wrong))).toMatchObject({
    status: 422,
    body: { errors: [{ pointer, message: expect.stringMatching(message) }] },
  });
});

test('nobody refers to a pool that is not theirs to see, but keeps the one that was given', async () => {
  expect((await acme('POST', '/insight', insight())).status).toBe(422);
  const { body } = await operator('POST', '/insight', insight());
  expect((await acme('PUT', `/insight/${body.id}`, { title: 'mine' })).status).toBe(200);
});

test('a shared Insight is read by those it is shared with and written by its owner', async () => {
  const { body: open } = await operator('POST', '/insight', insight({ isGlobal: true }));
  const { body: some } = await operator('POST', '/insight', insight({ allowedCustomerIds: ['OTHER'] }));
  const { body: own } = await operator('POST', '/insight', insight());
  for (const { id } of [open, some]) {
    expect((await other('GET', `/insight/${id}`)).status).toBe(200);
    expect(await other('PUT', `/insight/${id}`, { title: 'x' })).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    });
    expect((await other('DELETE', `/insight/${id}`)).status).toBe(403);
  }
  expect((await other('GET', `/insight/${own.id}`)).status).toBe(404);
  const ids = (await other('GET', '/insight?limit=1000')).body.all.map((each: { id: string }) => each.id);
  expect(ids).toEqual(expect.arrayContaining([open.id, some.id]));
  expect(ids).not.toContain(own.id);
});

test('a pool lists its Insights and is not deleted while it is in use', async () => {
  await operator('POST', '/resourcepool', { id: 'busy', customerId: 'acme' });
  const insights = [
    await operator('POST', '/insight', insight({ resourcePoolId: 'busy' })),
    await operator('POST', '/insight', insight({ resourcePoolId: 'busy' })),
  ];
  const customer = await operator('POST', '/customer', { customerId: 'acme', title: 'x', resourcePoolId: 'busy' });
  expect((await operator('GET', '/resourcepool/busy')).body.insightIds).toEqual(insights.map(({ body }) => body.id));
  expect(await operator('DELETE', '/resourcepool/busy')).toMatchObject({
    status: 409,
    body: { code: 'inUse', detail: expect.stringMatching(/1 Customer and 2 Insights/) },
  });
  for (const { body } of insights) await operator('DELETE', `/insight/${body.id}`);
  await operator('DELETE', `/customer/${customer.body.id}`);
  expect((await operator('DELETE', '/resourcepool/busy')).status).toBe(200);
});

test('an Insight in which Agendas wait is neither deleted nor moved', async () => {
  const { body } = await operator('POST', '/insight', insight());
  expect(await database.select().from(insightWake).where(eq(insightWake.insightId, body.id))).toHaveLength(1);
  await database
    .insert(readyAgenda)
    .values({ agendaId: 'a1', insightId: body.id, resourcePoolId: 'pool', customerId: 'acme', attempt: 1 });
  expect(await operator('DELETE', `/insight/${body.id}`)).toMatchObject({
    status: 409,
    body: { detail: expect.stringMatching(/1 waiting/) },
  });
  await operator('POST', '/resourcepool', { id: 'second', customerId: 'operations' });
  expect((await operator('PUT', `/insight/${body.id}`, { resourcePoolId: 'second' })).status).toBe(409);

  await database.delete(readyAgenda).where(eq(readyAgenda.agendaId, 'a1'));
  expect((await operator('DELETE', `/insight/${body.id}`)).status).toBe(200);
  expect(await database.select().from(insightWake).where(eq(insightWake.insightId, body.id))).toHaveLength(0);
});

test('a caller needs the scope', async () => {
  const reader = await api.caller({ superUser: true, scopes: ['read'] });
  expect((await reader('GET', '/customer')).status).toBe(200);
  expect(await reader('POST', '/customer', {})).toMatchObject({
    status: 403,
    body: { detail: expect.stringMatching(/admin/) },
  });
  expect(await api.anonymous('GET', '/customer')).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
});

test('a Customer with an unfinished Agenda is not deleted', async () => {
  await operator('POST', '/customer', { id: 'working', customerId: 'working', title: 'W', resourcePoolId: 'pool' });
  await operator('POST', '/insight', insight({ customerId: 'working', title: 'for working' }));
  const agenda = await operator('POST', '/agenda', {
    customerId: 'working',
    operations: [{ name: 'a', type: 'sample' }],
  });
  expect(agenda.status).toBe(201);
  expect(await operator('DELETE', '/customer/working')).toMatchObject({
    status: 409,
    body: { code: 'inUse', detail: expect.stringMatching(/1 unfinished Agenda\./) },
  });
  expect((await operator('POST', `/agenda/${agenda.body.id}/cancel`)).status).toBe(202);
  expect((await operator('DELETE', '/customer/working')).status).toBe(200);
});
