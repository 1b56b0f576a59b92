import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Send, type TestApp, testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';

let database: TestDatabase;
let api: TestApp;
let operator: Send;

beforeAll(async () => {
  database = await testDatabase();
  api = testApp(database);
  operator = await api.caller({ superUser: true });
  await operator('POST', '/resourcepool', { id: 'pool', customerId: 'operations' });
});
afterAll(() => database[Symbol.asyncDispose]());

const insight = (more: Record<string, unknown> = {}) => ({
  customerId: 'operations',
  title: 'Encodes',
  resourcePoolId: 'pool',
  isGlobal: true,
  mappers: { always: ['true'] },
  ...more,
});
const customer = (more: Record<string, unknown> = {}) => ({
  customerId: 'operations',
  title: 'A',
  resourcePoolId: 'pool',
  ...more,
});

/** What was told to admission since the last look, and who was woken. */
async function told(): Promise<{ rows: string[]; woken: string[] }> {
  const rows = await database.$client<{ row: string }[]>`
    with gone as (delete from settlement returning *)
    select concat_ws(' ', kind, insight_id, customer_id) as row from gone order by number`;
  return { rows: rows.map(({ row }) => row), woken: api.woken.splice(0) };
}
const nothing = { rows: [], woken: [] };

/** Creates it and returns its id. */
async function made(path: string, body: Record<string, unknown>): Promise<string> {
  const answer = await operator('POST', path, body);
  expect(answer).toMatchObject({ status: 201 });
  return answer.body.id;
}

const insightSettings = {
  maximumRunning: 7,
  weight: 0.001,
  guaranteed: 2,
  maximum: 9,
  admissionsPerSecond: 0.5,
  costModel: 'count',
  priorityStep: 0,
  floor: 2,
  promoteAfter: 0.5,
  bypassLimit: 0,
  bypassSeconds: 1.5,
  paused: true,
  customers: {
    acme: { weight: 2.5, band: 3, maximumRunning: 1, paused: false },
    'https://other.example/1': { paused: true },
  },
};
const customerSettings = { weight: 1e9, band: 9, maximumRunning: 3, paused: true };
/** Not of admission, and the pool's owner's to set as those are. */
const namespace = 'pop-acme';
const poolSettings = { capacity: { slots: 0, cpu: 0.5, memory: 2 ** 40, gpu: 8 }, paused: true };

const kinds: [string, Record<string, unknown>, Record<string, unknown>, Record<string, unknown>][] = [
  ['/insight', insight(), insightSettings, { weight: 1, costModel: 'shareTime', paused: false, customers: {} }],
  ['/customer', customer(), { ...customerSettings, namespace }, { weight: 1, band: 0, paused: false }],
  ['/resourcepool', { customerId: 'operations', title: 'P' }, poolSettings, { paused: false }],
];

describe.each(kinds)('%s', (path, plain, settings, defaults) => {
  test('keeps its settings, and a null brings each default back', async () => {
    const { body: bare } = await operator('POST', path, plain);
    expect(bare).toMatchObject(defaults);
    for (const field of Object.keys(settings)) if (!(field in defaults)) expect(bare).not.toHaveProperty(field);

    const { body } = await operator('PUT', `${path}/${bare.id}`, settings);
    expect(body).toMatchObject(settings);
    expect((await operator('GET', `${path}/${bare.id}`)).body).toEqual(body);
    const nulls = Object.fromEntries(Object.keys(settings).map((field) => [field, null]));
    expect((await operator('PUT', `${path}/${bare.id}`, nulls)).body).toEqual({
      ...bare,
      updatedTime: expect.any(Number),
    });
    expect((await operator('POST', path, { ...plain, ...settings })).body).toMatchObject(settings);
  });

  test('what was answered can be sent back, changes nothing and tells admission nothing', async () => {
    for (const each of [plain, { ...plain, ...settings }]) {
      const { body } = await operator('POST', path, each);
      await told();
      const back = await operator('PUT', `${path}/${body.id}`, body);
      expect(back).toMatchObject({ status: 200, body: { ...body, updatedTime: expect.any(Number) } });
      expect(await told()).toEqual(nothing);
    }
  });
});

const wrong: [string, Record<string, unknown>, string, string][] = [
  [
    '/insight',
    { maximumRunning: 0 },
    '/maximumRunning',
    'maximumRunning must be at least 1, is 0; set paused where nothing is to be admitted.',
  ],
  ['/insight', { maximumRunning: 1.5 }, '/maximumRunning', 'maximumRunning must be a whole number, is 1.5.'],
  ['/insight', { weight: 0 }, '/weight', 'weight must be at least 1e-9, is 0.'],
  ['/insight', { weight: -1 }, '/weight', 'weight must be at least 1e-9, is -1.'],
  ['/insight', { weight: 2e9 }, '/weight', 'weight must be at most 1000000000, is 2000000000.'],
  ['/insight', { weight: '2' }, '/weight', 'weight must be a number, is "2".'],
  ['/insight', { guaranteed: -1 }, '/guaranteed', 'guaranteed must be at least 0, is -1.'],
  ['/insight', { guaranteed: 0.5 }, '/guaranteed', 'guaranteed must be a whole number, is 0.5.'],
  ['/insight', { maximum: 0 }, '/maximum', 'maximum must be at least 1, is 0.'],
  ['/insight', { guaranteed: 5, maximum: 4 }, '/maximum', 'maximum must not be below guaranteed, which is 5; is 4.'],
  [
    '/insight',
    { admissionsPerSecond: 0 },
    '/admissionsPerSecond',
    'admissionsPerSecond must be at least 0.0001, is 0.',
  ],
  [
    '/insight',
    { costModel: 'price' },
    '/costModel',
    'costModel must be one of "count", "slots", "share", "shareTime", is "price".',
  ],
  ['/insight', { priorityStep: -1 }, '/priorityStep', 'priorityStep must be at least 0, is -1.'],
  ['/insight', { priorityStep: 31_536_001 }, '/priorityStep', 'priorityStep must be at most 31536000, is 31536001.'],
  ['/insight', { floor: 1 }, '/floor', 'floor must be at least 2, is 1.'],
  ['/insight', { promoteAfter: 0 }, '/promoteAfter', 'promoteAfter must be above 0, is 0.'],
  ['/insight', { bypassLimit: 0.5 }, '/bypassLimit', 'bypassLimit must be a whole number, is 0.5.'],
  ['/insight', { bypassSeconds: -1 }, '/bypassSeconds', 'bypassSeconds must be at least 0, is -1.'],
  ['/insight', { paused: 'no' }, '/paused', 'paused must be a boolean, is "no".'],
  ['/insight', { customers: [] }, '/customers', 'customers must be an object, is an array.'],
  [
    '/insight',
    { customers: { a: { weight: 0 } } },
    '/customers/a/weight',
    'customers.a.weight must be at least 1e-9, is 0.',
  ],
  [
    '/insight',
    { customers: { 'a/b': { band: 10 } } },
    '/customers/a~1b/band',
    'customers.a/b.band must be at most 9, is 10.',
  ],
  [
    '/insight',
    { customers: { a: { maximumRunning: 0 } } },
    '/customers/a/maximumRunning',
    'customers.a.maximumRunning must be at least 1, is 0; set paused where nothing is to be admitted.',
  ],
  [
    '/insight',
    { customers: { a: { queueSize: 1 } } },
    '/customers/a/queueSize',
    'queueSize is not a field of customers.a; /docs lists those that are.',
  ],
  ['/insight', { customers: { '': {} } }, '/customers/', 'customers. must not be empty.'],
  [
    '/insight',
    { customers: Object.fromEntries(Array.from({ length: 10_001 }, (_, n) => [`c${n}`, {}])) },
    '/customers',
    'customers may name 10000 customers, names 10001.',
  ],
  ['/customer', { weight: 0 }, '/weight', 'weight must be at least 1e-9, is 0.'],
  ['/customer', { band: -1 }, '/band', 'band must be at least 0, is -1.'],
  ['/customer', { band: 10 }, '/band', 'band must be at most 9, is 10.'],
  ['/customer', { band: 0.5 }, '/band', 'band must be a whole number, is 0.5.'],
  [
    '/customer',
    { maximumRunning: 0 },
    '/maximumRunning',
    'maximumRunning must be at least 1, is 0; set paused where nothing is to be admitted.',
  ],
  ['/customer', { paused: 1 }, '/paused', 'paused must be a boolean, is 1.'],
  ['/customer', { namespace: 7 }, '/namespace', 'namespace must be a string, is 7.'],
  [
    '/customer',
    { namespace: 'x'.repeat(64) },
    '/namespace',
    `namespace may have at most 63 characters, has 64: "${'x'.repeat(64)}".`,
  ],
  ...['', 'Acme', 'a.b', '-a', 'a-'].map((name): [string, Record<string, unknown>, string, string] => [
    '/customer',
    { namespace: name },
    '/namespace',
    'namespace must be a DNS label: lower case letters, digits and "-", and neither its first nor its last character ' +
      `is "-"; is ${JSON.stringify(name)}.`,
  ]),
  ...['default', 'kube-system'].map((name): [string, Record<string, unknown>, string, string] => [
    '/customer',
    { namespace: name },
    '/namespace',
    `namespace must not be "default" or begin with "kube-", is "${name}".`,
  ]),
  ['/resourcepool', { capacity: { slots: 0.5 } }, '/capacity/slots', 'capacity.slots must be a whole number, is 0.5.'],
  ['/resourcepool', { capacity: { cpu: -0.5 } }, '/capacity/cpu', 'capacity.cpu must be at least 0, is -0.5.'],
  ['/resourcepool', { capacity: { memory: '1Gi' } }, '/capacity/memory', 'capacity.memory must be a number, is "1Gi".'],
  [
    '/resourcepool',
    { capacity: { gpu: 1_000_001 } },
    '/capacity/gpu',
    'capacity.gpu must be at most 1000000, is 1000001.',
  ],
  [
    '/resourcepool',
    { capacity: { disk: 1 } },
    '/capacity/disk',
    'disk is not a field of capacity; /docs lists those that are.',
  ],
];
test.each(wrong)('%s is refused with %o', async (path, fields, pointer, message) => {
  const plain = kinds.find(([each]) => each === path)?.[1] ?? {};
  const refused = { status: 422, body: { errors: [{ pointer, message }] } };
  expect(await operator('POST', path, { ...plain, ...fields })).toMatchObject(refused);
  const id = await made(path, plain);
  expect(await operator('PUT', `${path}/${id}`, fields)).toMatchObject(refused);
});

test('a number that is too large for any is refused as the body is read', async () => {
  const answer = await operator(
    'POST',
    '/insight',
    '{"customerId":"o","title":"t","resourcePoolId":"pool","weight":1e999,"floor":0}',
  );
  expect(answer).toMatchObject({ status: 422, body: { errors: [{ pointer: '/weight', code: 'notFinite' }] } });
});

test('all faults are told together', async () => {
  const answer = await operator('POST', '/insight', {
    customerId: 'o',
    title: 't',
    resourcePoolId: 'pool',
    weight: -1,
    floor: 0,
  });
  expect(answer.status).toBe(422);
  expect(answer.body.errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual(['/floor', '/weight']);
});

test('an Insight goes by Fairness unless it says otherwise, and takes each algorithm there is', async () => {
  const { body } = await operator('POST', '/insight', insight());
  expect(body.schedulingAlgorithm).toBe('Fairness');
  for (const schedulingAlgorithm of ['FirstInFirstOut', 'RoundRobin', 'Priority', 'Fairness']) {
    expect(await operator('PUT', `/insight/${body.id}`, { schedulingAlgorithm })).toMatchObject({
      status: 200,
      body: { schedulingAlgorithm },
    });
  }
  expect((await operator('PUT', `/insight/${body.id}`, { schedulingAlgorithm: null })).body.schedulingAlgorithm).toBe(
    'Fairness',
  );
});

test('a null in customers or in capacity counts as absent', async () => {
  const { body } = await operator(
    'POST',
    '/insight',
    insight({ customers: { a: { weight: null, band: 1 }, b: null } }),
  );
  expect(body.customers).toEqual({ a: { band: 1 } });
  const pool = await operator('POST', '/resourcepool', { customerId: 'operations', capacity: { slots: null } });
  expect(pool.body).not.toHaveProperty('capacity');
});

test('an Insight says why it admits nothing', async () => {
  const resourcePoolId = await made('/resourcepool', { customerId: 'operations' });
  const { body } = await operator('POST', '/insight', insight({ resourcePoolId }));
  const put = async (fields: Record<string, unknown>) => (await operator('PUT', `/insight/${body.id}`, fields)).body;
  expect(body).not.toHaveProperty('pausedBy');
  expect(await put({ queueSize: 0 })).toMatchObject({ paused: false, pausedBy: 'queueSize' });
  expect(await put({ paused: true })).toMatchObject({ paused: true, pausedBy: 'setting' });
  expect(await put({ paused: false, queueSize: 1, pausedBy: 'setting' })).not.toHaveProperty('pausedBy');
  await operator('PUT', `/resourcepool/${resourcePoolId}`, { paused: true });
  expect((await operator('GET', `/insight?byResourcePoolId=${resourcePoolId}`)).body.all).toMatchObject([
    { paused: false, pausedBy: 'resourcePool' },
  ]);
});

describe('admission is told', () => {
  let resourcePoolId: string;
  let one: string;
  let two: string;
  let acme: string;
  beforeEach(async () => {
    resourcePoolId = await made('/resourcepool', { customerId: 'operations' });
    one = await made('/insight', insight({ resourcePoolId }));
    two = await made('/insight', insight({ resourcePoolId, mappers: { operationType: ['two'] }, order: -1 }));
    acme = await made('/customer', customer({ resourcePoolId }));
    await told();
  });
  const wait = async (customerId: string, type: string): Promise<void> => {
    await made('/agenda', { customerId, operations: [{ name: 'a', type }] });
    await told();
  };

  test.each(Object.entries({ ...insightSettings, queueSize: 3, schedulingAlgorithm: 'Priority' }))(
    'that the Insight has another %s: by waking it, and by rows only where those that wait stand elsewhere now',
    async (field, value) => {
      await operator('PUT', `/insight/${one}`, { [field]: value });
      const { rows, woken } = await told();
      const named =
        field === 'customers' ? Object.keys(insightSettings.customers).map((id) => `changed ${one} ${id}`) : [];
      expect(rows.sort()).toEqual(field === 'priorityStep' ? [`changed ${one}`] : named.sort());
      expect(woken).toEqual([one]);
    },
  );

  test('of the customers of an Insight whose settings changed, and of no other', async () => {
    await operator('PUT', `/insight/${one}`, { customers: { [acme]: { weight: 2 }, other: { weight: 3 } } });
    await told();
    await operator('PUT', `/insight/${one}`, { customers: { [acme]: { weight: 5 }, other: { weight: 3 } } });
    expect(await told()).toEqual({ rows: [`changed ${one} ${acme}`], woken: [one] });
  });

  test('nothing of what does not matter to it', async () => {
    await wait(acme, 'two');
    await operator('PUT', `/insight/${one}`, { title: 'Other', order: 9, mappers: {}, queueName: 'q' });
    await operator('PUT', `/customer/${acme}`, { title: 'Other', billingCode: 'B', namespace });
    await operator('PUT', `/resourcepool/${resourcePoolId}`, { title: 'Other' });
    expect(await told()).toEqual(nothing);
  });

  test('and those woken that share the pool, when their part may be another', async () => {
    await wait(acme, 'two');
    await operator('PUT', `/insight/${one}`, { weight: 3 });
    expect(await told()).toEqual({ rows: [], woken: [one, two] });
    await operator('PUT', `/insight/${one}`, { costModel: 'slots' });
    expect(await told()).toEqual({ rows: [], woken: [one] });
  });

  test.each([{ capacity: { slots: 4 } }, { paused: true }])('in every Insight of the pool of %o', async (fields) => {
    await operator('PUT', `/resourcepool/${resourcePoolId}`, fields);
    const { rows, woken } = await told();
    expect(rows.sort()).toEqual('capacity' in fields ? [`changed ${one}`, `changed ${two}`].sort() : []);
    expect(woken.sort()).toEqual([one, two].sort());
  });

  test.each(Object.entries(customerSettings))(
    'of another %s of a customer where it waits or has been',
    async (field, value) => {
      await operator('PUT', `/customer/${acme}`, { [field]: value });
      expect(await told()).toEqual(nothing);
      await wait(acme, 'two');
      await operator('PUT', `/customer/${acme}`, { [field]: null });
      expect(await told()).toEqual({ rows: [`changed ${two} ${acme}`], woken: [two] });
      await database.$client`
      insert into customer_lane (insight_id, customer_id, level, tag, tag_error, state, weight, band)
      values (${one}, ${acme}, 0, 0, 0, 'dormant', 1, 0)`;
      await operator('PUT', `/customer/${acme}`, { [field]: value });
      expect((await told()).rows.sort()).toEqual([`changed ${one} ${acme}`, `changed ${two} ${acme}`].sort());
    },
  );
});

test('with an Insight goes what admission remembers of it', async () => {
  const id = await made('/insight', insight());
  const lane = { insight_id: id, customer_id: 'acme' };
  const { $client: sql } = database;
  await sql`insert into settlement ${sql({ ...lane, kind: 'ended' })}`;
  await sql`insert into waiting_queue ${sql({ ...lane, promoted: 0, need: '1,0,0,0', priorities: [0] })}`;
  const standing = { level: 0, tag: 5, tag_error: 0, state: 'dormant', weight: 1, band: 0 };
  await sql`insert into customer_lane ${sql({ ...lane, ...standing })}`;
  await sql`insert into insight_state ${sql({ insight_id: id, algorithm: 'Fairness', cost_model: 'count' })}`;
  expect((await operator('DELETE', `/insight/${id}`)).status).toBe(200);
  const [left] = await sql`
    select (select count(*) from settlement where insight_id = ${id})
      + (select count(*) from waiting_queue where insight_id = ${id})
      + (select count(*) from customer_lane where insight_id = ${id})
      + (select count(*) from insight_state where insight_id = ${id}) as n`;
  expect(left).toEqual({ n: '0' });
});

test('a Customer stays in its pool while it has Agendas that wait or run', async () => {
  const [from, to] = [
    await made('/resourcepool', { customerId: 'operations' }),
    await made('/resourcepool', { customerId: 'operations' }),
  ];
  await made('/insight', insight({ resourcePoolId: from }));
  const id = await made('/customer', customer({ resourcePoolId: from }));
  const agenda = await made('/agenda', { customerId: id, operations: [{ name: 'a', type: 'sample' }] });
  for (const resourcePoolId of [to, null]) {
    expect(await operator('PUT', `/customer/${id}`, { resourcePoolId })).toMatchObject({
      status: 409,
      body: { code: 'inUse', detail: `Customer "${id}" cannot move to another pool while it has 1 unfinished Agenda.` },
    });
  }
  expect((await operator('PUT', `/customer/${id}`, { resourcePoolId: from, title: 'B' })).status).toBe(200);
  expect((await operator('POST', `/agenda/${agenda}/cancel`)).status).toBe(202);
  expect((await operator('PUT', `/customer/${id}`, { resourcePoolId: to })).status).toBe(200);
});

describe('what somebody gets of a pool is set by the owner of the pool', () => {
  let acme: Send;
  let pools: Send;
  beforeAll(async () => {
    acme = await api.caller({ accounts: ['acme'] });
    pools = await api.caller({ accounts: ['pools', 'acme'] });
    await operator('POST', '/resourcepool', { id: 'theirs', customerId: 'pools' });
    await operator('POST', '/resourcepool', { id: 'own', customerId: 'acme' });
  });
  const refusal = (fields: readonly string[], message: RegExp) => ({
    status: 403,
    body: {
      code: 'forbidden',
      errors: fields.map((field) => ({
        pointer: `/${field}`,
        code: 'forbidden',
        message: expect.stringMatching(message),
      })),
    },
  });

  test.each(Object.entries({ ...customerSettings, namespace }))('%s of a Customer', async (field, value) => {
    const { body } = await operator('POST', '/customer', { customerId: 'acme', title: 'A', resourcePoolId: 'theirs' });
    const url = `/customer/${body.id}`;
    const refused = refusal(
      [field],
      new RegExp(`^${field} of a Customer is set by the owner of its ResourcePool; this one belongs to`),
    );
    expect(await acme('PUT', url, { [field]: value, title: 'B' })).toMatchObject(refused);
    expect((await operator('GET', url)).body).toEqual(body);
    for (const scope of ['submit', 'operate']) {
      const weak = await api.caller({ accounts: ['pools', 'acme'], scopes: ['read', scope] });
      expect(await weak('PUT', url, { [field]: value })).toMatchObject({
        status: 403,
        body: { detail: 'This needs the scope admin.' },
      });
    }
    expect(await pools('PUT', url, { [field]: value })).toMatchObject({ status: 200, body: { [field]: value } });
    // What was set may stay, and may not be taken back.
    expect((await acme('PUT', url, { [field]: value, title: 'B' })).status).toBe(200);
    expect(await acme('PUT', url, { [field]: null })).toMatchObject(refused);
    // In a pool of its own it is its own business.
    expect(
      (await acme('POST', '/customer', { customerId: 'acme', title: 'A', resourcePoolId: 'own', [field]: value }))
        .status,
    ).toBe(201);
  });

  test('of a Customer without a pool they are for a super user', async () => {
    const bare = { customerId: 'acme', title: 'A' };
    expect(await acme('POST', '/customer', { ...bare, weight: 5, band: 1, namespace })).toMatchObject(
      refusal(['weight', 'band', 'namespace'], /this Customer has none/),
    );
    const { body } = await operator('POST', '/customer', { ...bare, resourcePoolId: 'theirs' });
    expect((await acme('PUT', `/customer/${body.id}`, { resourcePoolId: null, weight: 5 })).status).toBe(403);
    expect((await operator('POST', '/customer', { ...bare, weight: 5 })).status).toBe(201);
  });

  test('weight and guaranteed of an Insight', async () => {
    const { body } = await operator(
      'POST',
      '/insight',
      insight({ customerId: 'acme', resourcePoolId: 'theirs', weight: 2 }),
    );
    const url = `/insight/${body.id}`;
    expect(await acme('PUT', url, { weight: 3, guaranteed: 1, maximumRunning: 5 })).toMatchObject(
      refusal(['weight', 'guaranteed'], /of an Insight is set by the owner of its ResourcePool/),
    );
    expect((await acme('PUT', url, { weight: 2, customers: { acme: { weight: 2 } }, maximumRunning: 5 })).status).toBe(
      200,
    );
    expect((await pools('PUT', url, { weight: 3, guaranteed: 1 })).status).toBe(200);
  });
});
