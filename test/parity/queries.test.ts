import { expect, test } from 'vitest';
import {
  done,
  type Fields,
  newId,
  newTenant,
  operator,
  progressOf,
  sample,
  submit,
  type Tenant,
} from './running-system.ts';

/** Stores an Agenda that never runs. */
const store = (tenant: Tenant, more: Fields = {}) =>
  submit(tenant, { params: { doNotRun: true }, operations: [sample('a'), sample('b')], ...more });

/** Ids that a list answers to this query, sorted. */
async function idsOf(
  { send }: Pick<Tenant, 'send'>,
  path: string,
  query: Readonly<Record<string, string>>,
): Promise<string[]> {
  const { all } = await done(send, 'GET', `${path}?${new URLSearchParams(query)}`);
  return all.map(({ id }: { id: string }) => id).sort();
}

/** Stores many Agendas, some at a time. */
async function storeMany(tenant: Tenant, count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) {
    const some = Array.from({ length: Math.min(25, count - ids.length) }, () => store(tenant));
    ids.push(...(await Promise.all(some)).map(({ id }) => id));
  }
  return ids;
}

test('row 15: each key finds exactly the objects that have the value', async () => {
  const tenant = await newTenant();
  const [one, two] = [
    await store(tenant, { title: newId('title'), linkId: newId('link') }),
    await store(tenant, { title: newId('title'), linkId: newId('link') }),
  ];
  const both = [one.id, two.id].sort();
  const agendas: readonly [key: string, value: string, ids: string[]][] = [
    ['byId', one.id, [one.id]],
    ['byCid', one.cid, [one.id]],
    ['byLinkId', one.linkId, [one.id]],
    ['byTitle', one.title, [one.id]],
    ['byCustomerId', tenant.customerId, both],
    ['byInsightId', tenant.insightId, both],
    ['bylinkId', two.linkId, [two.id]],
    ['byTitle', newId('nothing'), []],
  ];
  for (const [key, value, ids] of agendas) expect(await idsOf(tenant, '/agenda', { [key]: value }), key).toEqual(ids);
  expect(await idsOf(tenant, '/agenda', { byResourcePoolId: one.agendaInsight.resourcePoolId })).toEqual(both);
  expect(await idsOf(tenant, '/progress/agenda', { byAgendaId: two.id })).toEqual([two.progressId]);
  expect(await idsOf(tenant, '/progress/agenda', { byLinkId: one.linkId })).toEqual([one.progressId]);
  const parts = [`${one.progressId}-a`, `${one.progressId}-b`];
  expect(await idsOf(tenant, '/progress/operation', { byAgendaProgressId: one.progressId })).toEqual(parts);
  const asOperator = { send: operator };
  expect(await idsOf(asOperator, '/customer', { byTitle: tenant.customerId })).toEqual([tenant.customerId]);
  expect(await idsOf(asOperator, '/insight', { byCustomerId: tenant.customerId })).toEqual([tenant.insightId]);
  const pool = await done(operator, 'POST', '/resourcepool', { customerId: 'operations', title: newId('pool') });
  const insight = await done(operator, 'POST', '/insight', {
    customerId: 'operations',
    title: 'In it',
    resourcePoolId: pool.id,
  });
  expect(await idsOf(asOperator, '/insight', { byResourcePoolId: pool.id })).toEqual([insight.id]);
  expect(await idsOf(asOperator, '/resourcepool', { byTitle: pool.title })).toEqual([pool.id]);
});

test('row 16: two keys together find what has both', async () => {
  const tenant = await newTenant();
  const [linkId, title] = [newId('link'), newId('title')];
  const wanted = await store(tenant, { linkId, title });
  await store(tenant, { linkId, title: 'another' });
  await store(tenant, { linkId: 'another', title });
  for (const path of ['/agenda', '/progress/agenda']) {
    const id = path === '/agenda' ? wanted.id : wanted.progressId;
    expect(await idsOf(tenant, path, { byLinkId: linkId, byTitle: title })).toEqual([id]);
    expect(await idsOf(tenant, path, { byLinkId: linkId })).toHaveLength(2);
  }
});

test('row 17: a list has 100 objects unless another limit is asked for', async () => {
  const tenant = await newTenant();
  await storeMany(tenant, 120);
  expect(await idsOf(tenant, '/agenda', {})).toHaveLength(100);
  expect(await idsOf(tenant, '/agenda', { limit: '5' })).toHaveLength(5);
  expect(await idsOf(tenant, '/agenda', { limit: '1000' })).toHaveLength(120);
});

test('row 18: only the asked fields come back, of the caller’s own objects', async () => {
  const [tenant, other] = [await newTenant(), await newTenant()];
  const agenda = await store(tenant, { title: 'Mine' });
  await store(other, { title: 'Theirs' });
  expect((await done(tenant.send, 'GET', '/agenda?fields=id,title')).all).toEqual([{ id: agenda.id, title: 'Mine' }]);
  expect((await done(tenant.send, 'GET', '/progress/agenda?fields=id,title')).all).toEqual([
    { id: agenda.progressId, title: 'Mine' },
  ]);
});

test('row 19: a count is of what the caller may see', async () => {
  const [tenant, other] = [await newTenant(), await newTenant()];
  const linkId = newId('link');
  for (const owner of [tenant, tenant, other]) await store(owner, { linkId });
  const query = new URLSearchParams({ byLinkId: linkId, countOnly: 'true' });
  const counted = async ({ send }: Pick<Tenant, 'send'>) => done(send, 'GET', `/agenda?${query}`);
  expect(await counted(tenant)).toMatchObject({ count: 2, all: [] });
  expect(await counted(other)).toMatchObject({ count: 1, all: [] });
  expect(await counted({ send: operator })).toMatchObject({ count: 3, all: [] });
});

test('row 20: an AgendaProgress has one entry per Operation', async () => {
  const tenant = await newTenant();
  const names = ['a', 'b', 'c', 'd'];
  const progress = await progressOf(tenant, await store(tenant, { operations: names.map((name) => sample(name)) }));
  expect(progress.operationProgress.map(({ operation }: { operation: string }) => operation)).toEqual(names);
  for (const part of progress.operationProgress) expect(part.agendaProgressId).toBe(progress.id);
});

test('row X2: paging returns each of 250 objects once', async () => {
  const tenant = await newTenant();
  const stored = await storeMany(tenant, 250);
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const query = new URLSearchParams({ limit: '60', ...(cursor === undefined ? {} : { cursor }) });
    const page = await done(tenant.send, 'GET', `/agenda?${query}`);
    seen.push(...page.all.map(({ id }: { id: string }) => id));
    cursor = page.nextCursor;
    // What is added meanwhile does not move the pages.
    await store(tenant);
  } while (cursor !== undefined);
  expect(seen.filter((id) => stored.includes(id)).sort()).toEqual(stored.sort());
  expect(new Set(seen).size).toBe(seen.length);
});

test('row X3: an unknown query parameter is refused and named', async () => {
  const { send } = await newTenant();
  for (const path of ['/agenda', '/customer', '/insight', '/resourcepool', '/progress/agenda', '/progress/operation']) {
    const { status, body } = await send('GET', `${path}?byNothing=1`);
    expect(status, path).toBe(400);
    expect(body.detail, path).toContain('byNothing');
  }
  expect((await send('GET', '/agenda/any?colour=red')).body.detail).toContain('colour');
});
