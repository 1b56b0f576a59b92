import { eq, inArray } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addAgenda, addInsight, freshId, type TestInsight } from '../../test/support/test-records.ts';
import { admitBatch } from '../admission/admit-batch.ts';
import {
  agendaProgress,
  customer,
  customerLane,
  insight,
  insightBand,
  insightState,
  readyAgenda,
  resourcePool,
  runningAgenda,
} from '../schema.ts';
import { type AgendaExplanation, explainAgenda } from './explain.ts';
import { type InsightStanding, readStanding } from './insight-standing.ts';
import { readOrder } from './waiting-order.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const explain = async (agendaId: string, workers?: number): Promise<AgendaExplanation> => {
  const countPoolWorkers = workers === undefined ? undefined : async () => workers;
  const explanation = await explainAgenda({ database, countPoolWorkers }, agendaId);
  if (explanation === undefined) throw new Error('there is no explanation');
  return explanation;
};
const codeOf = async (agendaId: string, workers?: number) => (await explain(agendaId, workers)).code;

const addCustomer = async (settings: Partial<typeof customer.$inferInsert> = {}): Promise<string> => {
  const id = freshId('customer');
  await database.insert(customer).values({ id, cid: 'test', customerId: id, title: id, ...settings });
  return id;
};

/** An Agenda that runs, as admission would have written it. */
const addRunning = async (
  of: TestInsight,
  customerId: string,
  more: Partial<typeof runningAgenda.$inferInsert> = {},
) => {
  const { agendaId, attempt } = await addAgenda(database, of, { customerId });
  await database.delete(readyAgenda).where(eq(readyAgenda.agendaId, agendaId));
  await database
    .insert(runningAgenda)
    .values({ agendaId, attempt, ...of, customerId, batchId: 'batch', leftQueueTime: new Date(), ...more });
  return agendaId;
};

const at = (seconds: number) => new Date(Date.now() - 100_000 + seconds * 1000);

test('the first Agenda of an idle Insight is next, the second has one ahead', async () => {
  const of = await addInsight(database);
  const customerId = await addCustomer();
  const [first, second] = [
    await addAgenda(database, of, { customerId, readyTime: at(1) }),
    await addAgenda(database, of, { customerId, readyTime: at(2) }),
  ];
  expect(await explain(first.agendaId)).toMatchObject({
    code: 'next',
    inLine: { position: 1, ahead: 0, positionIs: 'exact', whoIsAhead: [] },
  });
  const explained = await explain(second.agendaId);
  expect(explained).toMatchObject({
    code: 'ahead',
    sentence: '1 Agenda goes, 1 of its own customer, before it.',
    inLine: {
      position: 2,
      ahead: 1,
      aheadOfCustomer: 1,
      positionIs: 'exact',
      share: 1,
      lag: 0,
      bound: expect.any(Number),
    },
  });
  expect(explained.inLine?.whoIsAhead).toEqual([{ agendaId: first.agendaId, customerId, why: expect.any(String) }]);
  expect(explained.estimatedStart).toBeUndefined();
});

test('with fair sharing the order is the one of the tags, not of time', async () => {
  const of = await addInsight(database, { schedulingAlgorithm: 'Fairness' });
  const [ahead, behind] = [await addCustomer(), await addCustomer({ weight: 3 })];
  const old = await addAgenda(database, of, { customerId: ahead, readyTime: at(1) });
  const young = await addAgenda(database, of, { customerId: behind, readyTime: at(2) });
  await database
    .insert(insightState)
    .values({ insightId: of.insightId, algorithm: 'Fairness', costModel: 'shareTime', admissions: 7 });
  await database.insert(insightBand).values({
    insightId: of.insightId,
    level: 0,
    clock: 100,
    clockError: 0,
    total: 4,
    totalError: 0,
    members: 2,
    sinceLower: 0,
  });
  await database.insert(customerLane).values([
    {
      insightId: of.insightId,
      customerId: ahead,
      level: 0,
      tag: 105,
      tagError: 0,
      state: 'active',
      weight: 1,
      band: 0,
    },
    {
      insightId: of.insightId,
      customerId: behind,
      level: 0,
      tag: 90,
      tagError: 0,
      state: 'active',
      weight: 3,
      band: 0,
    },
  ]);
  expect(await explain(young.agendaId)).toMatchObject({ code: 'next', inLine: { position: 1, share: 0.75, lag: 30 } });
  expect(await explain(old.agendaId)).toMatchObject({
    code: 'ahead',
    inLine: {
      position: 2,
      ahead: 1,
      aheadOfCustomer: 0,
      share: 0.25,
      lag: -5,
      whoIsAhead: [{ agendaId: young.agendaId, customerId: behind }],
    },
  });
});

test('with Priority a higher priority of the same customer is ahead, within its step', async () => {
  const of = await addInsight(database, { schedulingAlgorithm: 'Priority' });
  const customerId = await addCustomer();
  const first = await addAgenda(database, of, { customerId, readyTime: at(0) });
  const urgent = await addAgenda(database, of, { customerId, readyTime: at(50) });
  await database.update(readyAgenda).set({ priority: 1 }).where(eq(readyAgenda.agendaId, urgent.agendaId));
  expect(await explain(first.agendaId)).toMatchObject({ inLine: { position: 2 } });
  await database.update(insight).set({ priorityStep: 40 }).where(eq(insight.id, of.insightId));
  expect(await explain(first.agendaId)).toMatchObject({ inLine: { position: 1 } });
});

test('what somebody must do something about is said first', async () => {
  const of = await addInsight(database, { slots: 1, queueSize: 1, maximumRunning: 1 });
  const customerId = await addCustomer({ maximumRunning: 1 });
  const { agendaId } = await addAgenda(database, of, { customerId });
  await addRunning(of, customerId, { leftQueueTime: null });
  const change = (settings: Partial<typeof insight.$inferInsert>) =>
    database.update(insight).set(settings).where(eq(insight.id, of.insightId));
  expect(await codeOf(agendaId)).toBe('customerLimit');
  expect(await codeOf(agendaId, 2)).toBe('customerLimit');
  expect(await codeOf(agendaId, 0)).toBe('poolHasNoWorkers');
  await database.update(readyAgenda).set({ need: '2,0,0,0' }).where(eq(readyAgenda.agendaId, agendaId));
  expect(await explain(agendaId, 0)).toMatchObject({
    code: 'neverFits',
    sentence: 'It needs more than the whole pool has: 2 slots of 1.',
  });
  await change({ schedulingAlgorithm: 'Broken' });
  expect(await codeOf(agendaId, 0)).toBe('noAlgorithm');
  await database.update(resourcePool).set({ paused: true }).where(eq(resourcePool.id, of.resourcePoolId));
  expect(await explain(agendaId, 0)).toMatchObject({ code: 'insightPaused', sentence: 'Its ResourcePool is paused.' });
  await change({ queueSize: 0 });
  expect(await explain(agendaId, 0)).toMatchObject({
    code: 'insightPaused',
    sentence: 'Its Insight is paused: queueSize is 0.',
  });
  await database.update(customer).set({ paused: true }).where(eq(customer.id, customerId));
  expect(await codeOf(agendaId, 0)).toBe('paused');
});

test('limits are told from the narrowest to the widest, with their numbers', async () => {
  const of = await addInsight(database, { slots: 2, queueSize: 1, maximumRunning: 2 });
  const [customerId, other] = [await addCustomer({ maximumRunning: 1 }), await addCustomer()];
  const { agendaId } = await addAgenda(database, of, { customerId });
  await addRunning(of, customerId, { leftQueueTime: null });
  await addRunning(of, other);
  expect(await explain(agendaId)).toMatchObject({
    code: 'customerLimit',
    sentence: `Customer ${customerId} runs 1 of at most 1 Agendas.`,
    entitlement: { running: 1, maximumEverywhere: 1 },
    standing: { running: 2, unstarted: 1 },
  });
  await database.update(customer).set({ maximumRunning: null }).where(eq(customer.id, customerId));
  expect(await explain(agendaId)).toMatchObject({
    code: 'insightLimit',
    sentence: expect.stringContaining('2 of at most 2 Agendas run'),
  });
  await database.update(insight).set({ maximumRunning: null, maximum: 2 }).where(eq(insight.id, of.insightId));
  expect(await explain(agendaId)).toMatchObject({
    code: 'insightLimit',
    sentence: expect.stringContaining('hold 2 of at most 2 slots'),
  });
  await database.update(insight).set({ maximum: null }).where(eq(insight.id, of.insightId));
  expect(await explain(agendaId)).toMatchObject({
    code: 'queueFull',
    sentence: expect.stringContaining('1 of at most 1 admitted'),
  });
  await database
    .update(runningAgenda)
    .set({ leftQueueTime: new Date() })
    .where(eq(runningAgenda.insightId, of.insightId));
  expect(await explain(agendaId)).toMatchObject({
    code: 'poolFull',
    sentence: 'What it needs is not free: 1 slots, and 0 of 2 are. It is then the next one.',
  });
});

test('the limit of a customer inside the Insight is told as such', async () => {
  const of = await addInsight(database);
  const customerId = await addCustomer({ maximumRunning: 9 });
  await database
    .update(insight)
    .set({ customers: { [customerId]: { maximumRunning: 1, weight: 4 } } })
    .where(eq(insight.id, of.insightId));
  const { agendaId } = await addAgenda(database, of, { customerId });
  await addRunning(of, customerId);
  expect(await explain(agendaId)).toMatchObject({
    code: 'customerLimit',
    sentence: `Customer ${customerId} runs 1 of at most 1 Agendas in this Insight.`,
    entitlement: { weight: 4, maximumRunning: 1, maximumEverywhere: 9 },
  });
});

test('one before its notBefore says when, and has no place in line', async () => {
  const of = await addInsight(database);
  const { agendaId } = await addAgenda(database, of, { readyTime: new Date('2099-01-01T00:00:00Z') });
  await database.update(readyAgenda).set({ isDue: false }).where(eq(readyAgenda.agendaId, agendaId));
  const explained = await explain(agendaId);
  expect(explained).toMatchObject({
    code: 'notBefore',
    sentence: 'It is not to start before 2099-01-01T00:00:00.000Z.',
  });
  expect(explained.inLine).toBeUndefined();
});

test('capacity held for another is told, of this Insight or another of the pool', async () => {
  const of = await addInsight(database, { slots: 5, schedulingAlgorithm: 'Fairness' });
  const neighbour = await addInsight(database, { resourcePoolId: of.resourcePoolId });
  const { agendaId } = await addAgenda(database, of);
  const large = await addAgenda(database, neighbour);
  await database.insert(insightState).values({
    insightId: neighbour.insightId,
    algorithm: 'FirstInFirstOut',
    costModel: 'shareTime',
    heldAgendaId: large.agendaId,
    heldNeed: '5,0,0,0',
  });
  expect(await explain(agendaId)).toMatchObject({
    code: 'reservation',
    standing: { heldElsewhere: { agendaId: large.agendaId } },
  });
});

test('of what waits no more it says so', async () => {
  const of = await addInsight(database);
  const running = await addRunning(of, 'customer');
  expect(await explain(running)).toMatchObject({ code: 'running', sentence: 'It is running.' });
  const queued = await addRunning(of, 'customer', { leftQueueTime: null });
  expect(await explain(queued, 0)).toMatchObject({
    code: 'running',
    sentence: expect.stringContaining('None is there.'),
  });
  const { agendaId } = await addAgenda(database, of);
  await database.delete(readyAgenda).where(eq(readyAgenda.agendaId, agendaId));
  expect(await codeOf(agendaId)).toBe('notQueued');
  await database
    .update(agendaProgress)
    .set({ processingState: 'COMPLETE', processingStateMessage: 'failed' })
    .where(eq(agendaProgress.agendaId, agendaId));
  expect(await explain(agendaId)).toMatchObject({ code: 'ended', sentence: 'It has ended: failed.' });
  expect(await explainAgenda({ database }, 'nobody')).toBeUndefined();
});

test('the estimated start goes by the admissions of late, and is absent where somebody has to act first', async () => {
  const of = await addInsight(database, { queueSize: 1 });
  const [, { agendaId }] = [
    await addAgenda(database, of, { readyTime: at(1) }),
    await addAgenda(database, of, { readyTime: at(2) }),
  ];
  await addRunning(of, 'customer', { leftQueueTime: null });
  await database.$client`
    insert into admission (agenda_id, attempt, insight_id, resource_pool_id, customer_id, number, batch_id,
      admitted_time, ready_time, algorithm,
      cost_model, epoch, reason, agenda_type, need, level, expected_seconds, cost, weight)
    select ${of.insightId} || n, 1, ${of.insightId}, ${of.resourcePoolId}, 'customer', n, 'batch',
      clock_timestamp() - n * interval '10 seconds',
      clock_timestamp() - interval '1 day', 'Fairness', 'shareTime', 0, 'share', 'a×1', '1,0,0,0', 0, 60, n, 1
        from generate_series(1, 20) n`;
  const { code, estimatedStart, inLine } = await explain(agendaId);
  expect(code).toBe('queueFull');
  expect(inLine).toMatchObject({ position: 2, bound: 60 });
  // Twenty in 200 seconds, and it is the second.
  expect(estimatedStart?.seconds).toBeCloseTo(20, 0);
  expect((estimatedStart?.time ?? 0) - Date.now()).toBeGreaterThan(10_000);
  expect(estimatedStart?.basis).toMatch(/^20 Agendas were admitted in the last 200\.?\d* s; its place in line is 2\.$/);
  await database.update(insight).set({ queueSize: 0 }).where(eq(insight.id, of.insightId));
  expect((await explain(agendaId)).estimatedStart).toBeUndefined();
});

test('more admissions than a second may have are told as the limit they are', async () => {
  const of = await addInsight(database);
  const { agendaId } = await addAgenda(database, of);
  await database.update(insight).set({ admissionsPerSecond: 0.1 }).where(eq(insight.id, of.insightId));
  expect(await codeOf(agendaId)).toBe('next');
  await database.$client`
    insert into admission (agenda_id, attempt, insight_id, resource_pool_id, customer_id, number, batch_id,
      admitted_time, ready_time, algorithm,
      cost_model, epoch, reason, agenda_type, need, level, expected_seconds, cost, weight)
    values (${of.insightId}, 1, ${of.insightId}, ${of.resourcePoolId}, 'customer', 1, 'batch',
      clock_timestamp() - interval '1 second',
      clock_timestamp(), 'Fairness', 'shareTime', 0, 'share', 'a×1', '1,0,0,0', 0, 60, 1, 1)`;
  expect(await explain(agendaId)).toMatchObject({
    code: 'rateLimit',
    sentence: 'Its Insight admits at most 0.1 a second. It is then the next one.',
  });
});

test('an Insight that holds its part of a shared pool says so while slots are free', async () => {
  const of = await addInsight(database, { slots: 4, schedulingAlgorithm: 'Fairness' });
  const other = await addInsight(database, { resourcePoolId: of.resourcePoolId, schedulingAlgorithm: 'Fairness' });
  const admit = ({ insightId }: TestInsight) => admitBatch(database, { insightId, batchId: freshId('batch') });
  for (const insightOf of [of, other]) for (let n = 0; n < 2; n++) await addAgenda(database, insightOf);
  // Both want their part; what each has is taken in before anything is admitted.
  await database
    .update(insight)
    .set({ paused: true })
    .where(inArray(insight.id, [of.insightId, other.insightId]));
  await admit(of);
  await admit(other);
  await database
    .update(insight)
    .set({ paused: false })
    .where(inArray(insight.id, [of.insightId, other.insightId]));
  await admit(of);
  const { agendaId } = await addAgenda(database, of);
  await admit(of);
  const explanation = await explain(agendaId);
  expect(explanation).toMatchObject({ code: 'poolFull', sentence: expect.stringContaining('holds 2 of the 2 slots') });
  await admit(other);
  expect(
    (
      await database.$client`select count(*)::int as n from running_agenda
        where resource_pool_id = ${of.resourcePoolId}`
    )[0],
  ).toEqual({
    n: 4,
  });
});

test('behind what capacity is held for each stands in line once; what the pool could never take does not', async () => {
  const of = await addInsight(database, { slots: 2, schedulingAlgorithm: 'Fairness' });
  const [a, b, c] = [await addCustomer(), await addCustomer(), await addCustomer()];
  await database.update(insight).set({ bypassLimit: 0 }).where(eq(insight.id, of.insightId));
  const admit = () => admitBatch(database, { insightId: of.insightId, batchId: freshId('batch') });
  await addAgenda(database, of, { customerId: a });
  await admit();
  const large = await addAgenda(database, of, { customerId: b, need: '2,0,0,0' });
  await admit();
  const small = await addAgenda(database, of, { customerId: c });
  await addAgenda(database, of, { customerId: c, need: '3,0,0,0' });
  await admit();
  expect(await explain(small.agendaId)).toMatchObject({ code: 'reservation', inLine: { position: 2, ahead: 1 } });
  const standing = (await readStanding(database, of.insightId)) as InsightStanding;
  const { agendas } = await readOrder(database, standing, { most: 100 });
  expect(agendas.map(({ agendaId }) => agendaId)).toEqual([large.agendaId, small.agendaId]);
});
