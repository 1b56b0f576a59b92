import { expect, test } from 'vitest';
import { done, type Fields, newId, newTenant, operator } from './running-system.ts';

const pool = async (): Promise<string> =>
  (await done(operator, 'POST', '/resourcepool', { customerId: 'operations', title: 'Pool' })).id;

test('row 1: Customers, ResourcePools and Insights are created, read, changed and deleted', async () => {
  const resourcePoolId = await pool();
  const insight = {
    resourcePoolId,
    queueName: 'encodes',
    queueSize: 7,
    schedulingAlgorithm: 'FirstInFirstOut',
    mappers: { operationType: ['sample', 'Other'], paramMap: ['tier=gold'] },
    isGlobal: true,
  };
  const kinds: readonly [path: string, fields: Fields][] = [
    ['/customer', { billingCode: 'B-1', resourcePoolId }],
    ['/resourcepool', {}],
    ['/insight', insight],
  ];
  for (const [path, fields] of kinds) {
    const made = await done(operator, 'POST', path, { customerId: 'operations', title: 'First', ...fields });
    const at = `${path}/${made.id}`;
    expect(await done(operator, 'GET', at), at).toMatchObject({
      id: made.id,
      customerId: 'operations',
      title: 'First',
      ...fields,
    });
    await done(operator, 'PUT', at, { title: 'Second' });
    expect(await done(operator, 'GET', at), at).toMatchObject({
      id: made.id,
      customerId: 'operations',
      title: 'Second',
      ...fields,
    });
    await done(operator, 'DELETE', at);
    expect((await operator('GET', at)).status, at).toBe(404);
  }
});

test('row 4: ids are made by the server, and a given Agenda id is not used', async () => {
  const tenant = await newTenant({ queueSize: 0 });
  const agenda = { id: 'mine', customerId: tenant.customerId, operations: [{ name: 'a', type: 'sample' }] };
  const ids = [
    await done(tenant.send, 'POST', '/agenda', agenda),
    await done(tenant.send, 'POST', '/agenda', agenda),
  ].map(({ id }) => id);
  expect(new Set([...ids, 'mine']).size).toBe(3);
  for (const id of ids) expect((await tenant.send('GET', `/agenda/${id}`)).status).toBe(200);
  expect((await tenant.send('GET', '/agenda/mine')).status).toBe(404);
  const made = await done(operator, 'POST', '/customer', { customerId: 'operations', title: 'Without an id' });
  expect(made.id).toMatch(/^[0-9a-f-]{36}$/);
});

test('row 5: addedTime stays and updatedTime moves, whatever the caller sends', async () => {
  const begun = Date.now();
  const made = await done(operator, 'POST', '/customer', {
    customerId: 'operations',
    title: 'Timed',
    addedTime: 1,
    updatedTime: 2,
  });
  expect(made.addedTime).toBeGreaterThanOrEqual(begun - 1000);
  expect(made.updatedTime).toBeGreaterThanOrEqual(made.addedTime);
  const changed = await done(operator, 'PUT', `/customer/${made.id}`, {
    title: 'Timed again',
    addedTime: 1,
    updatedTime: 2,
  });
  expect(changed.addedTime).toBe(made.addedTime);
  expect(changed.updatedTime).toBeGreaterThan(made.updatedTime);
  expect(await done(operator, 'GET', `/customer/${made.id}`)).toEqual(changed);
});

test('row 6: answer and created object carry the given correlation id; without one there is a new one', async () => {
  const tenant = await newTenant({ queueSize: 0 });
  const agenda = { customerId: tenant.customerId, operations: [{ name: 'a', type: 'sample' }] };
  const cid = newId('cid');
  const given = await tenant.send('POST', '/agenda', agenda, { 'X-pop-cid': cid });
  expect(given.headers.get('x-pop-cid')).toBe(cid);
  expect(given.body.cid).toBe(cid);
  expect((await done(tenant.send, 'GET', `/agenda/${given.body.id}`)).cid).toBe(cid);
  const progress = await done(tenant.send, 'GET', `/progress/agenda/${given.body.progressId}`);
  expect([progress.cid, progress.operationProgress[0].cid]).toEqual([cid, cid]);
  const customer = await operator(
    'POST',
    '/customer',
    { customerId: 'operations', title: 'Carried' },
    { 'X-pop-cid': cid },
  );
  expect([customer.headers.get('x-pop-cid'), customer.body.cid]).toEqual([cid, cid]);
  expect((await tenant.send('GET', '/agenda/none', undefined, { 'X-pop-cid': cid })).body.correlationId).toBe(cid);

  const [first, second] = [await tenant.send('POST', '/agenda', agenda), await tenant.send('POST', '/agenda', agenda)];
  for (const { headers, body } of [first, second]) expect(body.cid).toBe(headers.get('x-pop-cid'));
  expect(first.body.cid).toMatch(/\S/);
  expect(first.body.cid).not.toBe(second.body.cid);
});

test('row 9: an omitted customerId or title is refused and named', async () => {
  const resourcePoolId = await pool();
  const omissions: readonly [path: string, body: Fields, field: string][] = [
    ['/customer', { title: 'A' }, 'customerId'],
    ['/resourcepool', { title: 'A' }, 'customerId'],
    ['/insight', { title: 'A', resourcePoolId }, 'customerId'],
    ['/agenda', { operations: [{ name: 'a', type: 'sample' }] }, 'customerId'],
    ['/customer', { customerId: 'operations' }, 'title'],
    ['/insight', { customerId: 'operations', resourcePoolId }, 'title'],
  ];
  for (const [path, body, field] of omissions) {
    const { status, body: answer } = await operator('POST', path, body);
    expect(status, path).toBe(422);
    expect(answer.detail, path).toContain(field);
    expect(answer.errors, path).toContainEqual(expect.objectContaining({ pointer: `/${field}` }));
  }
});

test('row 7: a PUT of the title alone leaves the other fields as they were', async () => {
  const resourcePoolId = await pool();
  const kinds: readonly [path: string, fields: Fields][] = [
    ['/customer', { billingCode: 'B-1', resourcePoolId, weight: 2, maximumRunning: 3 }],
    ['/resourcepool', { capacity: { slots: 3, memory: 1e9 } }],
    [
      '/insight',
      {
        ...{
          resourcePoolId,
          queueSize: 7,
          maximumRunning: 2,
          mappers: { operationName: ['a'] },
          allowedCustomerIds: ['x'],
          order: 4,
        },
        ...{ weight: 0.5, customers: { x: { weight: 3 } } },
      },
    ],
  ];
  for (const [path, fields] of kinds) {
    const { updatedTime: _before, ...made } = await done(operator, 'POST', path, {
      customerId: 'operations',
      title: 'First',
      ...fields,
    });
    expect(made).toMatchObject(fields);
    const { updatedTime: _after, ...changed } = await done(operator, 'PUT', `${path}/${made.id}`, { title: 'Second' });
    expect(changed, path).toEqual({ ...made, title: 'Second' });
  }
});

test('row 8: a PUT with another id than the URL’s is refused, and of an unknown object too', async () => {
  const resourcePoolId = await pool();
  for (const path of ['/customer', '/resourcepool', '/insight']) {
    const fields = { customerId: 'operations', title: 'First', ...(path === '/insight' ? { resourcePoolId } : {}) };
    const made = await done(operator, 'POST', path, fields);
    expect((await operator('PUT', `${path}/${made.id}`, { id: 'another', title: 'Second' })).status, path).toBe(422);
    expect(await done(operator, 'GET', `${path}/${made.id}`), path).toEqual(made);
    expect((await operator('PUT', `${path}/${newId('unknown')}`, { title: 'Second' })).status, path).toBe(404);
  }
});

test('row 10: a ResourcePool names its Insights', async () => {
  const resourcePoolId = await pool();
  const make = async (): Promise<string> =>
    (await done(operator, 'POST', '/insight', { customerId: 'operations', title: 'In it', resourcePoolId })).id;
  const ids = [await make(), await make()].sort();
  expect((await done(operator, 'GET', `/resourcepool/${resourcePoolId}`)).insightIds.sort()).toEqual(ids);
});

test('row X1: an explicit null clears a field', async () => {
  const resourcePoolId = await pool();
  const customer = await done(operator, 'POST', '/customer', {
    customerId: 'operations',
    title: 'A',
    billingCode: 'B-1',
    resourcePoolId,
  });
  const cleared = await done(operator, 'PUT', `/customer/${customer.id}`, { billingCode: null });
  expect(cleared).not.toHaveProperty('billingCode');
  expect(cleared).toMatchObject({ title: 'A', resourcePoolId });
  const insight = await done(operator, 'POST', '/insight', {
    customerId: 'operations',
    title: 'A',
    resourcePoolId,
    maximumRunning: 1,
  });
  expect(await done(operator, 'PUT', `/insight/${insight.id}`, { maximumRunning: null })).not.toHaveProperty(
    'maximumRunning',
  );
  expect(await done(operator, 'GET', `/insight/${insight.id}`)).not.toHaveProperty('maximumRunning');
  expect((await operator('PUT', `/customer/${customer.id}`, { title: null })).status).toBe(422);
});
