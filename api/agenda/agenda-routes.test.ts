import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admitBatch } from '../../db/admission/admit-batch.ts';
import { type Send, type TestApp, testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { tellTypes } from '../../test/support/test-records.ts';
import { createApp } from '../app.ts';

let database: TestDatabase;
let api: TestApp;
let operator: Send;
let acme: Send;
let other: Send;

beforeAll(async () => {
  database = await testDatabase();
  api = testApp(database);
  operator = await api.caller({ superUser: true });
  acme = await api.caller({ accounts: ['acme', 'nobody'] });
  other = await api.caller({ accounts: ['other'] });
  const sent = [
    await operator('POST', '/resourcepool', { id: 'pool', customerId: 'operations', title: 'Pool' }),
    await operator('POST', '/resourcepool', { id: 'elsewhere', customerId: 'operations', title: 'Elsewhere' }),
    await operator('POST', '/customer', { id: 'acme', customerId: 'acme', title: 'Acme', resourcePoolId: 'pool' }),
    await operator('POST', '/customer', { id: 'other', customerId: 'other', title: 'Other', resourcePoolId: 'pool' }),
    await operator('POST', '/customer', { id: 'homeless', customerId: 'homeless', title: 'No pool' }),
    await operator('POST', '/insight', insight('all', { mappers: { operationType: ['SAMPLE'] }, isGlobal: true })),
    await operator(
      'POST',
      '/insight',
      insight('gold', { mappers: { paramMap: ['tier=gold'] }, isGlobal: true, order: 1 }),
    ),
    await operator(
      'POST',
      '/insight',
      insight('private', { mappers: { operationType: ['secret'] }, allowedCustomerIds: ['Acme'] }),
    ),
    await operator(
      'POST',
      '/insight',
      insight('far', { resourcePoolId: 'elsewhere', mappers: { operationType: ['far'] }, isGlobal: true }),
    ),
  ];
  expect(sent.map((answer) => answer.status)).toEqual(sent.map(() => 201));
  await tellTypes(database, 'pool', 'sample', 'secret', 'far', 'unheard');
});
afterAll(() => database[Symbol.asyncDispose]());

const insight = (id: string, more: Record<string, unknown>) => ({
  id,
  title: `Insight ${id}`,
  customerId: 'operations',
  resourcePoolId: 'pool',
  ...more,
});
const sample = (name: string, more: Record<string, unknown> = {}) => ({ name, type: 'sample', ...more });
const agenda = (more: Record<string, unknown> = {}) => ({ customerId: 'acme', operations: [sample('a')], ...more });

async function rowCounts(): Promise<Record<string, number>> {
  const [row] = await database.$client<Record<string, number>[]>`
    select (select count(*)::int from agenda) as agenda, (select count(*)::int from operation) as operation,
      (select count(*)::int from agenda_progress) as agenda_progress,
      (select count(*)::int from operation_progress) as operation_progress,
      (select count(*)::int from ready_agenda) as ready_agenda, (select count(*)::int from idempotency) as idempotency,
      (select count(*)::int from audit_entry) as audit_entry`;
  return { ...row };
}

describe('a submission', () => {
  test('stores the Agenda, its progress and its waiting entry, and wakes the Insight', async () => {
    const submitted = {
      customerId: 'acme',
      title: 'Say "hello" ü',
      linkId: 'https://example.com/link/1',
      params: {
        text: 'x',
        whole: 5,
        part: 1.5,
        yes: true,
        none: null,
        list: [1, 'a'],
        nested: { k: { l: [] } },
        externalId: 'ext-1',
        maximumAttempts: 5,
      },
      parallelism: 4,
      operations: [
        sample('a', { payload: { b: 1, a: [null, 'ü\n"quoted"', { '': 0 }] }, params: { k: '1' }, id: '01' }),
        sample('b', { payload: '@<a.out::/x>', weight: 2.5, timeout: { runSeconds: 9 } }),
        sample('c"\\{},', { dependsOn: ['a', 'b'], params: {}, payload: false }),
      ],
    };
    api.woken.length = 0;
    const created = await acme('POST', '/agenda', submitted, { 'X-pop-cid': 'abc' });
    expect(created).toMatchObject({
      status: 201,
      body: {
        ...submitted,
        cid: 'abc',
        attempt: 1,
        agendaInsight: { resourcePoolId: 'pool', insightId: 'all' },
        addedTime: expect.any(Number),
      },
    });
    expect(created.body.operations).toEqual(submitted.operations);
    expect(api.woken).toEqual(['all']);
    const { id, progressId } = created.body;
    expect(created.headers.get('location')).toBe(`/v1/agenda/${id}`);

    expect((await acme('GET', `/agenda/${id}`)).body).toEqual(created.body);

    const progress = await acme('GET', `/progress/agenda/${progressId}`);
    expect(progress.body).toMatchObject({
      id: progressId,
      agendaId: id,
      cid: 'abc',
      processingState: 'WAITING',
      processingStateMessage: 'pending',
      percentComplete: 0,
      externalId: 'ext-1',
      maximumAttempts: 5,
      attemptsCompleted: 0,
      linkId: submitted.linkId,
      title: submitted.title,
      agendaInsight: { resourcePoolId: 'pool', insightId: 'all' },
    });
    expect(progress.body.operationProgress).toMatchObject(
      submitted.operations.map(({ name }) => ({
        id: `${progressId}-${name}`,
        operation: name,
        processingState: 'WAITING',
        percentComplete: 0,
      })),
    );
    const [ready] = await database.$client`select insight_id, resource_pool_id, customer_id, attempt
        from ready_agenda where agenda_id = ${id}`;
    expect(ready).toEqual({ insight_id: 'all', resource_pool_id: 'pool', customer_id: 'acme', attempt: 1 });
    const stored =
      await database.$client`select dependencies, depends_on from operation where agenda_id = ${id} order by index`;
    expect([...stored]).toEqual([
      { dependencies: [], depends_on: null },
      { dependencies: [0], depends_on: null },
      { dependencies: [0, 1], depends_on: ['a', 'b'] },
    ]);
    expect((await acme('GET', `/agenda/${id}/audit`)).body.all).toMatchObject([
      {
        action: 'agenda.submit',
        objectId: id,
        cid: 'abc',
        customerId: 'acme',
        after: { insightId: 'all', operations: 3 },
      },
    ]);
  });

  test('makes its own ids, whatever id was sent', async () => {
    const ids = [
      await acme('POST', '/agenda', agenda({ id: 'mine' })),
      await acme('POST', '/agenda', agenda({ id: 'mine' })),
    ].map((answer) => answer.body.id);
    expect(new Set([...ids, 'mine']).size).toBe(3);
  });

  test('takes null for absent in every field, and jobId of POP without effect', async () => {
    const nothing = {
      id: null,
      cid: null,
      title: null,
      addedTime: null,
      updatedTime: null,
      linkId: null,
      progressId: null,
      params: null,
      parallelism: null,
    };
    const operation = {
      name: 'a',
      type: 'sample',
      id: null,
      payload: null,
      params: null,
      dependsOn: null,
      weight: null,
      timeout: null,
    };
    const { status, body } = await acme('POST', '/agenda', {
      ...nothing,
      customerId: 'acme',
      jobId: 7,
      operations: [operation],
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({ params: {}, operations: [{ name: 'a', type: 'sample' }] });
    expect(body).not.toHaveProperty('title');
    expect(body).not.toHaveProperty('jobId');
    expect(Object.keys(body.operations[0])).toEqual(['name', 'type']);
  });

  test('with doNotRun is stored and never waits', async () => {
    api.woken.length = 0;
    const { status, body } = await acme('POST', '/agenda', agenda({ params: { doNotRun: false } }));
    expect(status).toBe(201);
    expect([...(await database.$client`select 1 from ready_agenda where agenda_id = ${body.id}`)]).toEqual([]);
    expect(api.woken).toEqual([]);
  });

  test.each([
    ['absent', undefined, 3],
    ['text', '5', 5],
    ['a number', 20, 20],
  ])('with maximumAttempts %s', async (_, maximumAttempts, expected) => {
    const { body } = await acme('POST', '/agenda', agenda({ params: { maximumAttempts, externalId: 12 } }));
    expect((await acme('GET', `/progress/agenda/${body.progressId}`)).body).toMatchObject({
      maximumAttempts: expected,
      externalId: '12',
    });
  });

  test('is mapped by customer, mapper, pool and defaultInsight', async () => {
    const insightOf = async (send: Send, more: Record<string, unknown>) => {
      const { status, body } = await send('POST', '/agenda', agenda(more));
      return status === 201 ? body.agendaInsight.insightId : body.code;
    };
    expect(await insightOf(acme, { params: { TIER: 'Gold' } })).toBe('all');
    expect(await insightOf(acme, { params: { tier: 'gold', defaultInsight: 'insight GOLD' } })).toBe('gold');
    expect(await insightOf(acme, { params: { tier: 'gold', defaultInsight: 'gold' } })).toBe('gold');
    expect(await insightOf(acme, { operations: [{ name: 'a', type: 'secret' }] })).toBe('private');
    expect(await insightOf(other, { customerId: 'other', operations: [{ name: 'a', type: 'secret' }] })).toBe(
      'noInsight',
    );
    expect(await insightOf(acme, { operations: [{ name: 'a', type: 'far' }] })).toBe('noInsight');
    expect(await insightOf(operator, { customerId: 'homeless' })).toBe('noInsight');
  });
});

describe('a refused submission', () => {
  const cases: [string, unknown, Record<string, unknown>][] = [
    [
      'unknown customer',
      agenda({ customerId: 'nobody' }),
      { status: 422, detail: 'Customer not found for customerId nobody', errors: [{ pointer: '/customerId' }] },
    ],
    [
      'no Insight',
      agenda({ operations: [{ name: 'a', type: 'unheard' }] }),
      { status: 404, code: 'noInsight', detail: 'No available insights for processing agenda' },
    ],
    [
      'defaultInsight that does not match',
      agenda({ params: { defaultInsight: 'gold' } }),
      { status: 422, errors: [{ pointer: '/params/defaultInsight' }] },
    ],
    [
      'progressId',
      agenda({ progressId: 'p' }),
      { status: 422, errors: [{ pointer: '/progressId', code: 'progressIdNotSupported' }] },
    ],
    ['foreign customer', agenda({ customerId: 'other' }), { status: 403 }],
    [
      'no customer',
      { operations: [sample('a')] },
      { status: 422, errors: [{ pointer: '/customerId', code: 'required' }] },
    ],
    ['no operations', agenda({ operations: [] }), { status: 422, detail: 'No operations specified in Agenda.' }],
    ['null operations', agenda({ operations: null }), { status: 422, detail: 'No operations specified in Agenda.' }],
    ['a list', [agenda()], { status: 422, errors: [{ pointer: '' }] }],
    [
      'no name',
      agenda({ operations: [{ type: 'sample' }] }),
      { status: 422, errors: [{ pointer: '/operations/0/name', message: 'Operations must have names.' }] },
    ],
    [
      'an unknown setting of timeout',
      agenda({ operations: [sample('a', { timeout: { runSecond: 1 } })] }),
      { status: 422, errors: [{ pointer: '/operations/0/timeout/runSecond', code: 'unknownField' }] },
    ],
    ['a long linkId', agenda({ linkId: 'ü'.repeat(101) }), { status: 422, errors: [{ pointer: '/linkId' }] }],
    ['wrong type of params', agenda({ params: [] }), { status: 422, errors: [{ pointer: '/params' }] }],
    [
      'a wrong type of a param',
      agenda({ params: { maximumAttempts: 'many' } }),
      { status: 422, errors: [{ pointer: '/params/maximumAttempts' }] },
    ],
    [
      'a number that is not finite',
      '{"customerId":"acme","operations":[{"name":"a","type":"sample","payload":[{"x":1e999}]}]}',
      { status: 422, errors: [{ pointer: '/operations/0/payload/0/x', code: 'notFinite' }] },
    ],
    ['malformed JSON', '{"customerId":\n "acme",}', { status: 400, code: 'malformedJson' }],
    [
      'params too large',
      agenda({ params: { x: 'x'.repeat(1024 * 1024) } }),
      { status: 413, errors: [{ pointer: '/params', code: 'payloadTooLarge' }] },
    ],
    [
      'a payload too large',
      agenda({ operations: [sample('a', { payload: 'x'.repeat(1024 * 1024) })] }),
      { status: 413, errors: [{ pointer: '/operations/0/payload', code: 'payloadTooLarge' }] },
    ],
  ];
  test.each(cases)('%s: leaves nothing behind', async (_, body, expected) => {
    const before = await rowCounts();
    const { status, ...expectedBody } = expected;
    expect(await acme('POST', '/agenda', body)).toMatchObject({ status, body: expectedBody });
    expect(await rowCounts()).toEqual(before);
  });

  test('names faults of form and of content together, ten of them', async () => {
    const faulty = agenda({
      customerId: 5,
      operations: [sample('a', { payload: '@<zz.out::/a>', id: 7 }), sample('A')],
    });
    const { status, body } = await acme('POST', '/agenda', faulty);
    expect(status).toBe(422);
    expect(body.errors.map((fault: { pointer: string }) => fault.pointer).sort()).toEqual([
      '/customerId',
      '/operations/0/id',
      '/operations/0/payload',
      '/operations/1/name',
    ]);
    const many = await acme(
      'POST',
      '/agenda',
      agenda({ operations: Array.from({ length: 15 }, (_, i) => sample(`o${i}`, { payload: '@<zz.out>' })) }),
    );
    expect(many.body.errors).toHaveLength(11);
    expect(many.body.detail).toContain('[Truncating additional issues]');
  });

  test('leaves nothing behind when the store fails at its last step', async () => {
    const { $client: sql } = database;
    await sql`create function refuse() returns trigger language plpgsql as $$
      begin raise exception 'store failure'; end $$`;
    await sql`create trigger refuse before insert on ready_agenda for each row execute function refuse()`;
    try {
      const before = await rowCounts();
      const { status, body } = await acme('POST', '/agenda', agenda(), { 'Idempotency-Key': 'fails' });
      expect({ status, code: body.code }).toEqual({ status: 500, code: 'internal' });
      expect(JSON.stringify(body)).not.toContain('store failure');
      expect(await rowCounts()).toEqual(before);
    } finally {
      await sql`drop trigger refuse on ready_agenda`;
      await sql`drop function refuse`;
    }
    expect((await acme('POST', '/agenda', agenda(), { 'Idempotency-Key': 'fails' })).status).toBe(201);
  });
});

describe('Idempotency-Key', () => {
  test('replays the first answer for the same body and refuses another', async () => {
    const first = await acme('POST', '/agenda', agenda({ title: 'once' }), { 'Idempotency-Key': 'k1' });
    const again = await acme('POST', '/agenda', agenda({ title: 'once' }), { 'Idempotency-Key': 'k1' });
    expect(again).toMatchObject({ status: 201, body: first.body });
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    expect(await acme('POST', '/agenda', agenda({ title: 'twice' }), { 'Idempotency-Key': 'k1' })).toMatchObject({
      status: 422,
      body: { code: 'idempotencyKeyReused' },
    });
    expect((await other('POST', '/agenda', agenda({ customerId: 'other' }), { 'Idempotency-Key': 'k1' })).status).toBe(
      201,
    );
  });

  test('creates one Agenda, however many ask at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => acme('POST', '/agenda', agenda({ title: 'many' }), { 'Idempotency-Key': 'k2' })),
    );
    const created = answers.filter((answer) => answer.status === 201);
    expect(new Set(created.map((answer) => answer.body.id)).size).toBe(1);
    expect(created.filter((answer) => answer.headers.get('idempotent-replayed') === null)).toHaveLength(1);
    for (const { status, body } of answers)
      if (status !== 201) expect({ status, code: body.code }).toEqual({ status: 409, code: 'idempotencyKeyRunning' });
    expect((await acme('GET', '/agenda?byTitle=many')).body.count).toBe(1);
  });

  test('is free again after 24 hours', async () => {
    const first = await acme('POST', '/agenda', agenda(), { 'Idempotency-Key': 'k3' });
    await database.$client`update idempotency set added_time = added_time - interval '25 hours' where key = 'k3'`;
    const second = await acme('POST', '/agenda', agenda({ title: 'another' }), { 'Idempotency-Key': 'k3' });
    expect(second.status).toBe(201);
    expect(second.body.id).not.toBe(first.body.id);
    const third = await acme('POST', '/agenda', agenda({ title: 'another' }), { 'Idempotency-Key': 'k3' });
    expect(third.body.id).toBe(second.body.id);
  });

  test('of a refused submission is not used up', async () => {
    expect(
      (
        await acme('POST', '/agenda', agenda({ operations: [{ name: 'a', type: 'unheard' }] }), {
          'Idempotency-Key': 'k4',
        })
      ).status,
    ).toBe(404);
    expect((await acme('POST', '/agenda', agenda(), { 'Idempotency-Key': 'k4' })).status).toBe(201);
  });
});

describe('reading', () => {
  test('finds Agendas by each key, in all letter cases, and pages newest first', async () => {
    const made: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      const { body } = await acme('POST', '/agenda', agenda({ linkId: 'list', title: n < 2 ? 'first two' : 'rest' }), {
        'X-pop-cid': `list-${n}`,
      });
      made.unshift(body.id);
    }
    const found = async (query: string) =>
      (await acme('GET', `/agenda?${query}`)).body.all.map((item: { id: string }) => item.id);
    expect(await found('byLinkId=list')).toEqual(made);
    expect(await found('bylinkid=list&byTitle=rest')).toEqual(made.slice(0, 3));
    expect(await found('byCid=list-4')).toEqual(made.slice(0, 1));
    expect(await found(`byId=${made[2]}`)).toEqual([made[2]]);
    expect(
      await found('byLinkId=list&byInsightId=all&byResourcePoolId=pool&byCustomerId=acme&byState=WAITING'),
    ).toEqual(made);
    expect(await found('byLinkId=list&byInsightId=gold')).toEqual([]);
    expect(await found('byLinkId=list&byState=COMPLETE')).toEqual([]);
    expect((await acme('GET', '/agenda?byLinkId=list&countOnly=true')).body).toMatchObject({ count: 5, all: [] });
    const first = (await acme('GET', '/agenda?byLinkId=list&limit=3')).body;
    const second = (await acme('GET', `/agenda?byLinkId=list&limit=3&cursor=${first.nextCursor}`)).body;
    expect([...first.all, ...second.all].map((item) => item.id)).toEqual(made);
    expect(second).not.toHaveProperty('nextCursor');
  });

  test('lists carry no Operations unless asked, and only the fields asked for', async () => {
    const { body } = await acme(
      'POST',
      '/agenda',
      agenda({ linkId: 'fields', operations: [sample('a', { payload: { x: 1 } }), sample('b')] }),
    );
    expect((await acme('GET', '/agenda?byLinkId=fields')).body.all[0]).not.toHaveProperty('operations');
    expect((await acme('GET', '/agenda?byLinkId=fields&fields=id,operations')).body.all).toEqual([
      { id: body.id, operations: body.operations },
    ]);
  });

  test.each(['byNonsense=1', 'byState=READY', 'fields=nonsense', 'limit=0', 'cursor=x'])(
    'refuses ?%s',
    async (query) => {
      expect((await acme('GET', `/agenda?${query}`)).status).toBe(400);
    },
  );

  test('what is not the caller’s is not there', async () => {
    const { body } = await acme('POST', '/agenda', agenda({ linkId: 'hidden' }));
    for (const path of ['', '/logs', '/audit'])
      expect((await other('GET', `/agenda/${body.id}${path}`)).status).toBe(404);
    expect((await other('POST', `/agenda/${body.id}/cancel`)).status).toBe(404);
    expect((await other('GET', '/agenda?byLinkId=hidden')).body.count).toBe(0);
    expect((await other('GET', '/agenda?byLinkId=hidden&countOnly=true')).body.count).toBe(0);
    expect((await acme('GET', '/agenda/none')).status).toBe(404);
    const reader = await api.caller({ accounts: ['acme'], scopes: ['read'] });
    expect((await reader('POST', '/agenda', agenda())).status).toBe(403);
    expect((await reader('POST', `/agenda/${body.id}/cancel`)).status).toBe(403);
  });

  test('output comes per launch, in pages', async () => {
    const { body } = await acme('POST', '/agenda', agenda({ operations: [sample('a'), sample('b')] }));
    for (const [index, launch] of [
      [1, 1],
      [0, 1],
      [0, 2],
    ] as const) {
      await database.$client`insert into operation_log (agenda_id, index, attempt, launch, output, total_bytes)
        values (${body.id}, ${index}, 1, ${launch}, ${`out ${index} ${launch}`}, 99)`;
    }
    const all = (await acme('GET', `/agenda/${body.id}/logs`)).body;
    expect(all).toMatchObject({
      count: 3,
      all: [
        { operation: 'a', launch: 1, attempt: 1, output: 'out 0 1', totalBytes: 99 },
        { launch: 2 },
        { operation: 'b' },
      ],
    });
    expect(all).not.toHaveProperty('nextCursor');
    const first = (await acme('GET', `/agenda/${body.id}/logs?limit=2`)).body;
    const second = (await acme('GET', `/agenda/${body.id}/logs?limit=2&cursor=${first.nextCursor}`)).body;
    expect([...first.all, ...second.all]).toEqual(all.all);
    expect((await acme('GET', `/agenda/${body.id}/logs?operation=b`)).body.all).toMatchObject([{ output: 'out 1 1' }]);
    expect((await acme('GET', `/agenda/${body.id}/logs?attempt=2`)).body.all).toEqual([]);
    expect((await acme('GET', `/agenda/${body.id}/logs?operation=c`)).status).toBe(404);
    expect((await acme('GET', `/agenda/${body.id}/logs?cursor=x`)).status).toBe(400);
  });
});

test('validate says which Insight and what waits for what, and stores nothing', async () => {
  const before = await rowCounts();
  const { status, body } = await acme(
    'POST',
    '/agenda/service/validate',
    agenda({ operations: [sample('a'), sample('b', { payload: '@<a.out>' })] }),
  );
  expect({ status, body }).toMatchObject({
    status: 200,
    body: {
      valid: true,
      agendaInsight: { insightId: 'all', resourcePoolId: 'pool' },
      operations: [
        { name: 'a', dependencies: [] },
        { name: 'b', dependencies: ['a'] },
      ],
    },
  });
  expect((await acme('POST', '/agenda/service/validate', agenda({ operations: [] }))).status).toBe(422);
  expect((await acme('POST', '/agenda/service/validate', agenda({ customerId: 'nobody' }))).status).toBe(422);
  expect((await acme('GET', '/agenda/service/validate')).status).toBe(405);
  expect(await rowCounts()).toEqual(before);
});

describe('cancel', () => {
  test('tells the workflow of what runs, after the row says so', async () => {
    await database.$client`delete from ready_agenda`;
    const told: string[] = [];
    const app = createApp({
      database,
      authorize: () => Promise.resolve({ userId: 'test', accounts: ['acme'], superUser: false, scopes: ['operate'] }),
      wake: () => {},
      tellCancel: (agendaId) => told.push(agendaId),
      log: pino({ level: 'silent' }),
    });
    const [waits, runs] = [
      await acme('POST', '/agenda', agenda({ params: { doNotRun: 1 } })),
      await acme('POST', '/agenda', agenda()),
    ];
    await admitBatch(database, { insightId: 'all', batchId: 'test:0' });
    for (const { body } of [waits, runs]) {
      expect((await app.request(`/v1/agenda/${body.id}/cancel`, { method: 'POST' })).status).toBe(202);
    }
    expect(told).toEqual([runs.body.id]);
  });

  test('ends what waits, once', async () => {
    const { body } = await acme('POST', '/agenda', agenda());
    expect(await acme('POST', `/agenda/${body.id}/cancel`)).toMatchObject({
      status: 202,
      body: { id: body.id, state: 'ended' },
    });
    expect((await acme('GET', `/progress/agenda/${body.progressId}`)).body).toMatchObject({
      processingState: 'COMPLETE',
      processingStateMessage: 'cancelled',
    });
    expect(await acme('POST', `/agenda/${body.id}/cancel`)).toMatchObject({ status: 409 });
    const actions = (await acme('GET', `/agenda/${body.id}/audit`)).body.all.map(
      (entry: { action: string }) => entry.action,
    );
    expect(actions.slice(0, 2)).toEqual(['agenda.submit', 'agenda.cancel']);
  });

  test('asks what runs to end', async () => {
    await database.$client`delete from ready_agenda`;
    const { body } = await acme('POST', '/agenda', agenda());
    expect(await admitBatch(database, { insightId: 'all', batchId: 'test:1' })).toMatchObject({ admitted: 1 });
    expect(await acme('POST', `/agenda/${body.id}/cancel`)).toMatchObject({
      status: 202,
      body: { state: 'requested' },
    });
    expect((await acme('GET', `/agenda/${body.id}`)).body.cancelRequestedTime).toEqual(expect.any(Number));
  });
});
