/** U28: a mistyped `dependsOn` was dropped without a word, and the Operations ran in another order. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admitBatch } from '../../db/admission/admit-batch.ts';
import { type Send, testApp } from '../support/test-app.ts';
import { type TestDatabase, testDatabase } from '../support/test-database.ts';
import { tellTypes } from '../support/test-records.ts';

let database: TestDatabase;
let operator: Send;
let acme: Send;

beforeAll(async () => {
  database = await testDatabase();
  const api = testApp(database);
  operator = await api.caller({ superUser: true });
  acme = await api.caller({ accounts: ['acme'] });
  const sent = [
    await operator('POST', '/resourcepool', {
      id: 'pool',
      customerId: 'operations',
      title: 'Pool',
      capacity: { slots: 8 },
    }),
    await operator('POST', '/customer', {
      id: 'acme',
      customerId: 'acme',
      title: 'Acme',
      resourcePoolId: 'pool',
      maximumRunning: 4,
    }),
    await operator('POST', '/insight', {
      ...{ id: 'all', customerId: 'operations', title: 'All', resourcePoolId: 'pool', isGlobal: true, queueSize: 0 },
      ...{ mappers: { operationType: ['noop'] }, customers: { acme: { weight: 2 } }, maximumRunning: 5 },
    }),
  ];
  expect(sent.map(({ status }) => status)).toEqual([201, 201, 201]);
  await tellTypes(database, 'pool', 'noop');
});
afterAll(() => database[Symbol.asyncDispose]());

const mistyped = {
  customerId: 'acme',
  operations: [
    { name: 'a', type: 'noop' },
    { name: 'b', type: 'noop', dependOn: ['a'] },
  ],
};
const told = {
  pointer: '/operations/1/dependOn',
  code: 'unknownField',
  message: 'dependOn is not a field of an Operation; did you mean dependsOn?',
};
const countAgendas = async () => (await database.$client`select count(*)::int as count from agenda`)[0]?.count;

describe('a mistyped field', () => {
  test('is refused by submission and validation, with the name that was meant', async () => {
    const before = await countAgendas();
    for (const path of ['/agenda', '/agenda/service/validate', '/agenda?fieldValidation=Strict']) {
      expect(await acme('POST', path, mistyped)).toMatchObject({
        status: 422,
        body: { code: 'invalid', detail: told.message, errors: [told] },
      });
    }
    expect(await countAgendas()).toBe(before);
  });

  test.each([
    [{ prioritty: 1 }, '/prioritty', 'prioritty is not a field of an Agenda; did you mean priority?'],
    [
      { operations: [{ name: 'a', type: 'noop', paylod: {} }] },
      '/operations/0/paylod',
      'paylod is not a field of an Operation; did you mean payload?',
    ],
    [
      { operations: [{ name: 'a', type: 'noop', timeout: { runSecond: 1 } }] },
      '/operations/0/timeout/runSecond',
      'runSecond is not a field of operations.0.timeout; did you mean runSeconds?',
    ],
    [{ zzUnknown: 1 }, '/zzUnknown', 'zzUnknown is not a field of an Agenda; /docs lists those that are.'],
  ])('is told for %o', async (fields, pointer, message) => {
    const { body } = await acme('POST', '/agenda', {
      ...mistyped,
      operations: [{ name: 'a', type: 'noop' }],
      ...fields,
    });
    expect(body.errors).toEqual([{ pointer, code: 'unknownField', message }]);
  });

  test('is told beside every other fault', async () => {
    const { body } = await acme('POST', '/agenda', { ...mistyped, customerId: 7, priority: 'high', zz: 1 });
    expect(body.errors.map((fault: { pointer: string }) => fault.pointer).sort()).toEqual(
      ['/customerId', '/operations/1/dependOn', '/priority', '/zz'].sort(),
    );
    const customer = await operator('PUT', '/customer/acme', { titel: 'x', weight: -1 });
    expect(customer.body.errors).toMatchObject([
      { pointer: '/titel', message: 'titel is not a field of a Customer; did you mean title?' },
      { pointer: '/weight', code: 'tooSmall' },
    ]);
    const { body: pool } = await operator('POST', '/resourcepool', { id: '', Title: 'x', capacity: { slots: -1 } });
    expect(pool.errors.map((fault: { pointer: string }) => fault.pointer)).toEqual([
      '/Title',
      '/id',
      '/customerId',
      '/capacity/slots',
    ]);
  });

  test('is one of ten in an answer that counts the rest', async () => {
    const many = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`prioritty${index}`, index]));
    const { status, body } = await acme('POST', '/agenda', { ...mistyped, ...many });
    expect(status).toBe(422);
    expect(body.errors).toHaveLength(11);
    expect(body.errors[10]).toMatchObject({ code: 'truncated', message: expect.stringContaining('50001') });
  });
});

describe('fieldValidation', () => {
  test('Warn takes the rest and says what was dropped', async () => {
    const submitted = await acme('POST', '/agenda?fieldValidation=Warn', mistyped, { 'Idempotency-Key': 'warned' });
    expect(submitted).toMatchObject({
      status: 201,
      body: { warnings: [told], operations: [{ name: 'a' }, { name: 'b' }] },
    });
    expect(submitted.headers.get('location')).toBe(`/v1/agenda/${submitted.body.id}`);
    const again = await acme('POST', '/agenda?fieldValidation=Warn', mistyped, { 'Idempotency-Key': 'warned' });
    expect(again).toMatchObject({ status: 201, body: { id: submitted.body.id, warnings: [told] } });
    expect(await acme('POST', '/agenda/service/validate?fieldvalidation=Warn', mistyped)).toMatchObject({
      status: 200,
      body: { valid: true, warnings: [told] },
    });
    expect((await acme('GET', `/agenda/${submitted.body.id}`)).body).not.toHaveProperty('warnings');
  });

  test('Warn warns of settings too, ten at most and then the number', async () => {
    const many = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`other${index}`, index]));
    const { status, body } = await operator('PUT', '/customer/acme?fieldValidation=Warn', {
      billingCode: 'B',
      ...many,
    });
    expect({ status, billingCode: body.billingCode }).toEqual({ status: 200, billingCode: 'B' });
    expect(body.warnings).toHaveLength(11);
    expect(body.warnings[10].message).toContain('12');
  });

  test('Warn with nothing to say answers no warnings, and other faults are refused all the same', async () => {
    expect(
      (await operator('PUT', '/customer/acme?fieldValidation=Warn', { billingCode: 'C' })).body,
    ).not.toHaveProperty('warnings');
    const { status, body } = await acme('POST', '/agenda?fieldValidation=Warn', { ...mistyped, priority: 'high' });
    expect({ status, pointers: body.errors.map((fault: { pointer: string }) => fault.pointer) }).toEqual({
      status: 422,
      pointers: ['/priority'],
    });
  });

  test('Ignore drops it without a word', async () => {
    const { status, body } = await acme('POST', '/agenda?fieldValidation=Ignore', mistyped);
    expect(status).toBe(201);
    expect(body).not.toHaveProperty('warnings');
    expect(JSON.stringify(body)).not.toContain('dependOn');
  });

  test('of another value is refused, and where there is no body it is unknown', async () => {
    for (const path of [
      '/agenda?fieldValidation=strict',
      '/agenda?fieldValidation=',
      '/customer?fieldValidation=Loose',
    ]) {
      expect(await operator('POST', path, mistyped)).toMatchObject({ status: 400, body: { code: 'badParameter' } });
    }
    expect(await operator('GET', '/agenda?fieldValidation=Warn')).toMatchObject({
      status: 400,
      body: { code: 'unknownParameter' },
    });
  });
});

describe('what is known', () => {
  test("POP's names that do nothing are taken, of their own objects only", async () => {
    const agenda = { ...mistyped, operations: [{ name: 'a', type: 'noop' }], jobId: 'j' };
    expect((await acme('POST', '/agenda', agenda)).body).not.toHaveProperty('jobId');
    expect((await operator('PUT', '/customer/acme', { availableInsightIds: ['all'] })).status).toBe(200);
    expect(await operator('PUT', '/insight/all', { global: false })).toMatchObject({
      status: 200,
      body: { isGlobal: true },
    });
    expect((await operator('PUT', '/customer/acme', { global: true })).status).toBe(422);
  });

  test('keys below payload and params are free', async () => {
    const free = { dependOn: ['a'], zzUnknown: { dependOn: 1 } };
    const operations = [{ name: 'a', type: 'noop', payload: free, params: { zzUnknown: 1 } }];
    const { status, body } = await acme('POST', '/agenda', { customerId: 'acme', params: free, operations });
    expect({ status, params: body.params, operations: body.operations }).toEqual({
      status: 201,
      params: free,
      operations,
    });
  });

  test.each(['/resourcepool/pool', '/customer/acme', '/insight/all'])(
    '%s can be read, and written back unchanged',
    async (path) => {
      const { body } = await operator('GET', path);
      const put = await operator('PUT', path, body);
      expect(put).toMatchObject({ status: 200, body: { ...body, updatedTime: expect.any(Number) } });
      const collection = path.slice(0, path.lastIndexOf('/'));
      const other = await operator('POST', collection, { ...put.body, warnings: [], id: `${body.id}-2` });
      expect(other).toMatchObject({ status: 201, body: { title: body.title, customerId: body.customerId } });
      expect((await operator('DELETE', `${collection}/${body.id}-2`)).status).toBe(200);
    },
  );

  test('an ApiKey can be read or made, and sent again', async () => {
    const made = await operator('POST', '/apikey', {
      title: 'CI',
      accounts: ['acme'],
      scopes: ['read'],
      expiresTime: Date.now() + 3_600_000,
    });
    const { body } = await operator('GET', `/apikey?byId=${made.body.id}`);
    for (const given of [made.body, body.all[0]]) {
      const again = await operator('POST', '/apikey', given);
      expect(again).toMatchObject({
        status: 201,
        body: { title: 'CI', accounts: ['acme'], expiresTime: made.body.expiresTime },
      });
      expect([again.body.id, again.body.key]).not.toContain(made.body.id);
      expect(again.body.key).not.toBe(made.body.key);
    }
  });

  test('an Agenda can be read, whether it waits or runs, and submitted again as another', async () => {
    const given = {
      ...{
        customerId: 'acme',
        title: 'T',
        linkId: 'l',
        params: { k: 1 },
        parallelism: 2,
        priority: 3,
        peak: { slots: 1 },
      },
      ...{ expectedSeconds: 5, notBefore: 1_782_864_000_000 },
      operations: [
        {
          name: 'a',
          type: 'noop',
          id: '1',
          payload: { x: 1 },
          params: { p: 1 },
          weight: 2,
          timeout: { runSeconds: 5 },
        },
        { name: 'b', type: 'noop', dependsOn: ['a'] },
      ],
    };
    expect((await operator('PUT', '/insight/all', { queueSize: 10 })).status).toBe(200);
    await database.$client`update insight set paused = false`;
    const first = await acme('POST', '/agenda', given);
    expect((await admitBatch(database, { insightId: 'all', batchId: 'u28' })).admitted).toBeGreaterThan(0);
    const runs = (await acme('GET', `/agenda/${first.body.id}`)).body;
    for (const answer of [first.body, runs]) {
      const again = await acme('POST', '/agenda', answer);
      expect(again).toMatchObject({ status: 201, body: given });
      expect([again.body.id, again.body.progressId]).not.toEqual([first.body.id, first.body.progressId]);
    }
    expect(await acme('POST', '/agenda', { ...given, progressId: first.body.progressId })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/progressId' }] },
    });
  });
});
