import { expect, test } from 'vitest';
import {
  anonymous,
  done,
  ended,
  type Fields,
  newId,
  newTenant,
  operator,
  sample,
  sender,
  submit,
  system,
  type Tenant,
} from './running-system.ts';

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly security?: readonly unknown[] }>>>>;
}

/** Every endpoint, as the product itself documents them; paths without the base path. */
async function endpoints(): Promise<{ method: string; path: string; open: boolean }[]> {
  const { paths } = (await done(anonymous, 'GET', '/openapi.json')) as Document;
  const base = new URL(system.url).pathname;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { security = [] }]) => ({
      method: method.toUpperCase(),
      path: path.startsWith(base) ? path.slice(base.length) : path,
      open: security.length === 0,
    })),
  );
}

/** A tenant whose key may also change settings. */
async function newAdministrator(): Promise<Tenant> {
  const tenant = await newTenant();
  const { key } = await done(operator, 'POST', '/apikey', { accounts: [tenant.customerId], scopes: ['admin'] });
  return { ...tenant, send: sender(key) };
}

test('row 103: without a credential every endpoint answers 401, but the probes and the reference', async () => {
  const all = await endpoints();
  expect(all.length).toBeGreaterThan(20);
  const open = all.filter((endpoint) => endpoint.open).map(({ path }) => path);
  expect([...new Set(open)].sort()).toEqual(['/livez', '/openapi.json', '/readyz', '/version']);
  for (const { method, path } of all.filter((endpoint) => !endpoint.open)) {
    const body = method === 'POST' || method === 'PUT' ? {} : undefined;
    for (const authorization of [undefined, 'Bearer no-key', 'Basic YTpi']) {
      const headers = authorization === undefined ? {} : { authorization };
      expect((await anonymous(method, path.replace('{id}', 'any'), body, headers)).status, `${method} ${path}`).toBe(
        401,
      );
    }
  }
});

test('row 104: at every endpoint a customer meets only its own objects', async () => {
  const [owner, stranger] = [await newAdministrator(), await newAdministrator()];
  const agenda = await submit(owner, { operations: [sample('a', { resultPayload: 1 })] });
  await ended(owner, agenda);
  const pool = await done(owner.send, 'POST', '/resourcepool', { customerId: owner.customerId, title: 'Own' });
  const apiKey = await done(owner.send, 'POST', '/apikey', { accounts: [owner.customerId], scopes: ['read'] });
  const idsByPath: Readonly<Record<string, string>> = {
    '/customer': owner.customerId,
    '/insight': owner.insightId,
    '/resourcepool': pool.id,
    '/apikey': apiKey.id,
    '/agenda': agenda.id,
    '/progress/agenda': agenda.progressId,
    '/progress/operation': `${agenda.progressId}-a`,
  };
  // The ResourcePool service asks for the key of a pool.
  const all = (await endpoints()).filter(({ open, path }) => !open && !path.startsWith('/resourcepool/service/'));
  const met = new Set<string>();
  for (const { method, path } of all) {
    const at = path.split('/{id}')[0] ?? '';
    const id = idsByPath[at];
    const what = `${method} ${path}`;
    if (at === '/metrics') {
      // It counts for all Insights: no customer reads it.
      expect((await owner.send('GET', path)).status, what).toBe(403);
      continue;
    }
    met.add(at);
    if (path.includes('{id}')) {
      expect(id, what).toBeDefined();
      const url = path.replace('{id}', encodeURIComponent(id ?? ''));
      const body =
        method === 'PUT' ? { title: 'Taken over' } : path.endsWith('/priority') ? { priority: 1 } : undefined;
      if (method === 'GET') expect((await owner.send(method, url)).status, what).toBe(200);
      expect((await stranger.send(method, url, body)).status, what).toBe(404);
    } else if (method === 'GET') {
      const seen = async ({ send }: Tenant) =>
        (await done(send, 'GET', `${path}?limit=1000`)).all.map((object: { id: string }) => object.id);
      expect(await seen(owner), what).toContain(id);
      expect(await seen(stranger), what).not.toContain(id);
    } else if (method === 'POST') {
      const plain: Fields = { customerId: owner.customerId, title: 'Foreign' };
      const bodies: Readonly<Record<string, Fields>> = {
        '/apikey': { accounts: [owner.customerId], scopes: ['read'] },
        '/customer': { ...plain, resourcePoolId: pool.id },
        '/insight': { ...plain, resourcePoolId: pool.id },
        '/resourcepool': plain,
      };
      const sent = bodies[at] ?? { ...plain, operations: [sample('a')] };
      expect((await stranger.send('POST', path, sent)).status, what).toBe(403);
    }
  }
  for (const at of Object.keys(idsByPath)) expect(met).toContain(at);
  expect(await done(owner.send, 'GET', `/customer/${owner.customerId}`)).toMatchObject({ title: owner.customerId });
});
test('row 106: a shared Insight can be read by strangers and not changed', async () => {
  const [owner, stranger] = [await newAdministrator(), await newAdministrator()];
  for (const shared of [{ isGlobal: true }, { isGlobal: false, allowedCustomerIds: [stranger.customerId] }]) {
    const insight = await done(operator, 'PUT', `/insight/${owner.insightId}`, shared);
    expect(await done(stranger.send, 'GET', `/insight/${owner.insightId}`)).toEqual(insight);
    expect((await stranger.send('PUT', `/insight/${owner.insightId}`, { title: 'Mine' })).status).toBe(403);
    expect((await stranger.send('DELETE', `/insight/${owner.insightId}`)).status).toBe(403);
    expect(await done(owner.send, 'GET', `/insight/${owner.insightId}`)).toEqual(insight);
  }
});

test('row 109: every error has title, description, responseCode and correlationId', async () => {
  const { send, customerId } = await newTenant();
  const cid = newId('cid');
  const answers = [
    await send('GET', '/agenda?colour=red', undefined, { 'X-pop-cid': cid }),
    await send('POST', '/agenda', '{', { 'X-pop-cid': cid }),
    await anonymous('GET', '/agenda', undefined, { 'X-pop-cid': cid }),
    await send('POST', '/insight', {}, { 'X-pop-cid': cid }),
    await send('GET', '/agenda/none', undefined, { 'X-pop-cid': cid }),
    await send('PATCH', '/agenda', undefined, { 'X-pop-cid': cid }),
    await operator('POST', '/customer', { id: customerId, customerId, title: 'Twice' }, { 'X-pop-cid': cid }),
    await send('POST', '/agenda', {}, { 'X-pop-cid': cid, 'content-type': 'text/plain' }),
    await send('POST', '/agenda', { customerId, operations: [] }, { 'X-pop-cid': cid }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([400, 400, 401, 403, 404, 405, 409, 415, 422]);
  for (const { status, body } of answers) {
    expect(body).toMatchObject({
      title: expect.stringMatching(/\S/),
      description: expect.stringMatching(/\S/),
      responseCode: status,
      correlationId: cid,
    });
  }
});
