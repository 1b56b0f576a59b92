import { eq } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  admission,
  customerLane,
  insightBand,
  insightState,
  readyAgenda,
  runningAgenda,
  waitingQueue,
} from '../../db/schema.ts';
import { type Send, type TestApp, testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addAgenda } from '../../test/support/test-records.ts';

let database: TestDatabase;
let api: TestApp;
let operator: Send;
let acme: Send;
let umbrella: Send;

const of = { insightId: 'shared', resourcePoolId: 'pool' };
const at = (seconds: number) => new Date(Date.now() + seconds * 1000);
/** Waiting Agendas: the older of acme, that is ahead of its share; two of umbrella, that is behind. */
const agendas: string[] = [];

beforeAll(async () => {
  database = await testDatabase();
  api = testApp(database);
  operator = await api.caller({ superUser: true });
  acme = await api.caller({ accounts: ['acme'] });
  umbrella = await api.caller({ accounts: ['umbrella'] });
  const sent = [
    await operator('POST', '/resourcepool', {
      id: 'pool',
      customerId: 'operations',
      title: 'Pool',
      capacity: { slots: 1 },
    }),
    await operator('POST', '/customer', { id: 'acme', customerId: 'acme', title: 'Acme', resourcePoolId: 'pool' }),
    await operator('POST', '/customer', {
      id: 'umbrella',
      customerId: 'umbrella',
      title: 'Umbrella',
      resourcePoolId: 'pool',
      weight: 3,
    }),
    await operator('POST', '/insight', {
      ...{ id: 'shared', customerId: 'operations', title: 'Shared', resourcePoolId: 'pool', isGlobal: true },
      ...{ mappers: { always: [] }, schedulingAlgorithm: 'Fairness' },
    }),
  ];
  expect(sent.map(({ status, body }) => (status === 201 ? 201 : body))).toEqual(sent.map(() => 201));
  for (const [customerId, seconds] of [
    ['acme', -300],
    ['umbrella', -200],
    ['umbrella', -100],
  ] as const) {
    agendas.push((await addAgenda(database, of, { customerId, readyTime: at(seconds) })).agendaId);
  }
  await database
    .insert(insightState)
    .values({ insightId: 'shared', algorithm: 'Fairness', costModel: 'shareTime', admissions: 3 });
  const sums = { clockError: 0, totalError: 0, members: 2, sinceLower: 0 };
  await database.insert(insightBand).values({ insightId: 'shared', level: 0, clock: 100, total: 4, ...sums });
  const lane = { insightId: 'shared', level: 0, tagError: 0, state: 'active' as const, band: 0 };
  await database.insert(customerLane).values([
    { ...lane, customerId: 'acme', tag: 130, weight: 1 },
    { ...lane, customerId: 'umbrella', tag: 90, weight: 3 },
  ]);
  const queue = { insightId: 'shared', promoted: 0, need: '1,0,0,0', priorities: [0], active: true };
  await database.insert(waitingQueue).values([
    { ...queue, customerId: 'acme', start: 130, finish: 190, headMovedTime: at(-300) },
    { ...queue, customerId: 'umbrella', start: 90, finish: 110, headMovedTime: at(-200) },
  ]);
});
afterAll(() => database[Symbol.asyncDispose]());

test('the owner of an Insight sees its whole queue: merged in order, and by customer', async () => {
  const { status, body } = await operator('GET', '/insight/shared/queue');
  expect(status).toBe(200);
  expect(body).toMatchObject({
    insightId: 'shared',
    schedulingAlgorithm: 'Fairness',
    waiting: 3,
    waitingIsMore: false,
    isWhole: true,
  });
  const [first, second, third] = agendas;
  expect(body.agendas).toEqual([
    expect.objectContaining({
      position: 1,
      agendaId: second,
      customerId: 'umbrella',
      cost: 60,
      reason: 'share',
      priority: 0,
    }),
    expect.objectContaining({ position: 2, agendaId: third, customerId: 'umbrella' }),
    expect.objectContaining({ position: 3, agendaId: first, customerId: 'acme' }),
  ]);
  expect(body.agendas[2].waitedSeconds).toBeGreaterThan(290);
  expect(body.customers).toEqual([
    {
      ...{ customerId: 'acme', state: 'ready', waiting: 1, waitingIsMore: false, running: 0, firstAgendaId: first },
      ...{ weight: 1, band: 0, share: 0.25, lag: -30 },
    },
    expect.objectContaining({
      customerId: 'umbrella',
      waiting: 2,
      firstAgendaId: second,
      weight: 3,
      share: 0.75,
      lag: 30,
    }),
  ]);
  expect((await operator('GET', '/insight/shared/queue?limit=1')).body.agendas).toEqual(
    [body.agendas[0]].map((one) => ({ ...one, waitedSeconds: expect.any(Number) })),
  );
});

test('of one customer, its Agendas at their places among all', async () => {
  const { body } = await operator('GET', '/insight/shared/queue?customerId=acme');
  expect(body.agendas).toEqual([expect.objectContaining({ position: 3, agendaId: agendas[0] })]);
  expect(body.customers).toEqual([expect.objectContaining({ customerId: 'acme' })]);
});

test('who may only use the Insight sees its own customers there', async () => {
  const { body } = await acme('GET', '/insight/shared/queue');
  expect(body.agendas).toEqual([expect.objectContaining({ position: 3, customerId: 'acme' })]);
  expect(body.customers).toEqual([expect.objectContaining({ customerId: 'acme' })]);
  expect(JSON.stringify(body)).not.toContain('umbrella');
  expect((await acme('GET', '/insight/shared/queue?customerId=umbrella')).body).toMatchObject({
    agendas: [],
    customers: [],
  });
  const stranger = await api.caller({ accounts: ['stranger'] });
  expect((await stranger('GET', '/insight/shared/queue')).body).toMatchObject({ agendas: [], customers: [] });
});

test('what cannot be asked for is refused', async () => {
  expect((await operator('GET', '/insight/none/queue')).status).toBe(404);
  expect((await operator('GET', '/insight/shared/queue?limit=501')).status).toBe(400);
  expect((await operator('GET', '/insight/shared/queue?limit=0')).status).toBe(400);
  expect((await operator('GET', '/insight/shared/queue?other=1')).body.code).toBe('unknownParameter');
  expect((await api.anonymous('GET', '/insight/shared/queue')).status).toBe(401);
});

test('a customer that is paused is listed as such, and its Agendas have no place in line', async () => {
  await operator('PUT', '/customer/umbrella', { paused: true });
  const { body } = await operator('GET', '/insight/shared/queue');
  expect(body.agendas).toEqual([expect.objectContaining({ position: 1, customerId: 'acme' })]);
  expect(body.customers).toContainEqual(
    expect.objectContaining({ customerId: 'umbrella', state: 'paused', waiting: 2 }),
  );
  const own = await umbrella('GET', '/insight/shared/queue');
  expect(own.body.agendas).toEqual(
    [2, 3].map((number) => expect.objectContaining({ agendaId: agendas[number - 1], customerId: 'umbrella' })),
  );
  expect(own.body.agendas[0]).not.toHaveProperty('position');
  await operator('PUT', '/customer/umbrella', { paused: false });
});

test('an explanation names Agendas of others to the owner of the Insight only', async () => {
  const own = await acme('GET', `/agenda/${agendas[0]}/explain`);
  expect(own).toMatchObject({
    status: 200,
    body: {
      agendaId: agendas[0],
      code: 'ahead',
      position: 3,
      ahead: 2,
      aheadOfCustomer: 0,
      positionIs: 'exact',
      customer: { id: 'acme', weight: 1, share: 0.25, lag: -30, bound: 60, running: 0 },
      insight: { id: 'shared', queueSize: 100, running: 0, inQueue: 0 },
      pool: { id: 'pool', capacity: { slots: 1 }, inUse: { slots: 0 } },
    },
  });
  expect(own.body.whoIsAhead).toEqual([{ agendas: 2, why: expect.any(String) }]);
  expect(JSON.stringify(own.body)).not.toContain('umbrella');
  const whole = await operator('GET', `/agenda/${agendas[0]}/explain`);
  expect(whole.body.whoIsAhead).toEqual(
    [2, 3].map((number) => expect.objectContaining({ agendaId: agendas[number - 1], customerId: 'umbrella' })),
  );
  expect((await umbrella('GET', `/agenda/${agendas[0]}/explain`)).status).toBe(404);
});

test('an Agenda shows how it was admitted, shares count it, and the estimate goes by the rate', async () => {
  const [admittedTime, readyTime] = [at(-1_000), at(-3_000)];
  for (const [number, customerId] of ['acme', 'umbrella', 'umbrella', 'umbrella'].entries()) {
    const { agendaId, attempt } = await addAgenda(database, of, { customerId });
    await database.delete(readyAgenda).where(eq(readyAgenda.agendaId, agendaId));
    await database.insert(admission).values({
      ...{
        ...of,
        agendaId,
        attempt,
        customerId,
        number: number + 1,
        batchId: 'run:1',
        algorithm: 'Fairness',
        costModel: 'shareTime',
        epoch: 0,
        reason: 'share',
      },
      ...{
        agendaType: 'sample×1',
        need: '1,0,0,0',
        level: 0,
        expectedSeconds: 60,
        cost: 60,
        weight: 1,
        total: 4,
        clock: 1,
        start: 1,
        finish: 61,
      },
      ...{
        admittedTime: number === 3 ? at(-10) : admittedTime,
        readyTime,
        ...(number === 0 ? { endedTime: at(-900), seconds: 100, actualCost: 100 } : {}),
      },
    });
    if (number === 3) {
      await database
        .insert(runningAgenda)
        .values({ ...of, agendaId, attempt, customerId, batchId: 'run:1', admittedTime: at(-10) });
      expect((await umbrella('GET', `/agenda/${agendaId}/explain`)).body).toMatchObject({
        code: 'running',
        admission: { number: 4 },
      });
    }
    const { body } = await operator('GET', `/agenda/${agendaId}`);
    expect(body.admission).toMatchObject({
      attempt: 1,
      number: number + 1,
      batchId: 'run:1',
      reason: 'share',
      cost: 60,
      weight: 1,
      total: 4,
      clock: 1,
      start: 1,
      finish: 61,
    });
    if (number === 0) expect(body.admission).toMatchObject({ waitedSeconds: 2_000, actualCost: 100, seconds: 100 });
    else expect(body.admission).not.toHaveProperty('actualCost');
  }
  expect((await operator('GET', `/agenda/${agendas[0]}`)).body).not.toHaveProperty('admission');
  const { body } = await operator('GET', '/insight/shared/shares');
  expect(body.hour).toMatchObject({ isCut: false, admissions: 4, cost: 280, backloggedCustomers: 0 });
  expect(body.hour.until - body.hour.since).toBe(3_600_000);
  const [first, second] = body.hour.customers;
  expect(first).toMatchObject({ customerId: 'umbrella', weight: 3, admissions: 3, cost: 180, lag: 30 });
  expect(second).toMatchObject({ customerId: 'acme', weight: 1, admissions: 1, cost: 100, lag: -30 });
  expect(first.received).toBeCloseTo(180 / 280);
  // Two were backlogged for 2,990 and 2,300 s: from their first Agenda on, less the gap before those that wait now.
  expect(first.backloggedSeconds).toBeCloseTo(2_990 + 10, -2);
  expect(second.backloggedSeconds).toBeCloseTo(2_000 + 300, -1);
  expect(first.entitled).toBeCloseTo(
    (3 * first.backloggedSeconds) / (3 * first.backloggedSeconds + second.backloggedSeconds),
    6,
  );
  expect(second.slotSeconds).toBeCloseTo(100, -1);
  const own = await acme('GET', '/insight/shared/shares');
  expect(JSON.stringify(own.body)).not.toContain('umbrella');
  expect(own.body.hour).toMatchObject({ admissions: 1, cost: 100, customers: [{ customerId: 'acme' }] });
  expect(own.body.hour).not.toHaveProperty('jainIndex');
});
