import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addAgenda, addInsight, freshId, type TestInsight } from '../../test/support/test-records.ts';
import { admission, customer, customerLane, insight, insightBand, runningAgenda } from '../schema.ts';
import { readStandingSummary } from './standing-summary.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const secondsAgo = (seconds: number) => new Date(Date.now() - seconds * 1000);

async function addAdmissions(
  { insightId, resourcePoolId }: TestInsight,
  customerId: string,
  costs: readonly number[],
  from = 1,
) {
  await database.insert(admission).values(
    costs.map((cost, n) => ({
      ...{
        agendaId: freshId('admitted'),
        attempt: 1,
        insightId,
        resourcePoolId,
        customerId,
        number: from + n,
        batchId: 'batch',
      },
      ...{
        admittedTime: secondsAgo(1_000 - from - n),
        readyTime: secondsAgo(2_000),
        algorithm: 'Fairness',
        costModel: 'shareTime' as const,
        epoch: 0,
        reason: 'share',
      },
      ...{ agendaType: 'sample×1', need: '1,0,0,0', level: 0, expectedSeconds: 60, cost, weight: 1 },
    })),
  );
}

test('shows depth, limits, shares and the last decisions', async () => {
  const own = await addInsight(database, { slots: 8, queueSize: 5, maximumRunning: 6 });
  const { insightId, resourcePoolId } = own;
  const [red, blue, gone] = [freshId('red'), freshId('blue'), freshId('gone')];
  await database
    .insert(customer)
    .values([red, blue].map((id) => ({ id, cid: 'test', customerId: 'owner', title: id, weight: 2 })));
  await database.update(insight).set({ customers: { [red]: { weight: 6 } } });
  await addAgenda(database, own, { customerId: red, readyTime: secondsAgo(50) });
  await addAgenda(database, own, { customerId: red, readyTime: secondsAgo(40) });
  await addAgenda(database, own, { customerId: blue, readyTime: secondsAgo(30) });
  await database.insert(runningAgenda).values([
    {
      agendaId: freshId('running'),
      insightId,
      resourcePoolId,
      customerId: red,
      attempt: 1,
      batchId: 'batch',
      slots: 3,
    },
    {
      ...{
        agendaId: freshId('running'),
        insightId,
        resourcePoolId,
        customerId: red,
        attempt: 1,
        batchId: 'batch',
        slots: 2,
      },
      leftQueueTime: new Date(),
    },
  ]);
  await database.insert(insightBand).values({
    ...{ insightId, level: 0, clock: 100, clockError: 0.5, total: 8, totalError: 0, members: 2, sinceLower: 0 },
  });
  await database.insert(customerLane).values([
    { insightId, customerId: red, level: 0, tag: 98, tagError: 0, state: 'active', weight: 6, band: 0 },
    { insightId, customerId: gone, level: 0, tag: 90, tagError: 0, state: 'dormant', weight: 1, band: 0 },
  ]);
  await addAdmissions(own, red, [30, 30, 10]);
  await addAdmissions(own, gone, [30], 4);

  const view = await readStandingSummary(database, insightId);
  expect(view).toMatchObject({
    ...{ waiting: 3, waitingIsMore: false, running: 2, queued: 1, poolSlots: 5 },
    limits: { queueSize: 5, maximumRunning: 6, poolSlots: 8 },
  });
  expect(view?.oldestSeconds).toBeCloseTo(50, -1);
  expect(view?.shares).toEqual([
    { customerId: red, weight: 6, share: 0.75, received: 0.7, running: 2, waiting: 2, waitingIsMore: false, lag: 15 },
    // Idle: it earned nothing, and is entitled to nothing while it waits for nothing.
    { customerId: gone, weight: 1, received: 0.3, running: 0, waiting: 0, waitingIsMore: false },
    { customerId: blue, weight: 2, running: 0, waiting: 1, waitingIsMore: false },
  ]);
  expect(view?.decisions.map(({ number, customerId, cost }) => [number, customerId, cost])).toEqual([
    [4, gone, 30],
    [3, red, 10],
    [2, red, 30],
    [1, red, 30],
  ]);
});

test('an Insight without anything shows zeros, one that is not there nothing', async () => {
  const { insightId } = await addInsight(database);
  expect(await readStandingSummary(database, insightId)).toMatchObject({
    waiting: 0,
    running: 0,
    poolSlots: 0,
    shares: [],
    decisions: [],
  });
  expect(await readStandingSummary(database, 'none')).toBeUndefined();
});

test('stays under 4 KiB and counts only so far, whatever waits and however long ids are', async () => {
  const own = await addInsight(database);
  const { insightId, resourcePoolId } = own;
  const long = (n: number) => `${n}-${'🦊"\\'.repeat(60)}`;
  await database.$client`
    insert into ready_agenda (agenda_id, insight_id, resource_pool_id, customer_id, attempt)
    select ${insightId} || n, ${insightId}, ${resourcePoolId}, 'busy', 1 from generate_series(1, 12000) n`;
  for (let n = 0; n < 12; n++) await addAdmissions(own, long(n), [1e-7 / 3 + n, 1e15 / 3], 2 * n + 1);
  const view = await readStandingSummary(database, insightId);
  expect(view).toMatchObject({ waiting: 10_000, waitingIsMore: true });
  expect(view?.shares).toContainEqual(
    expect.objectContaining({ customerId: 'busy', waiting: 1_000, waitingIsMore: true }),
  );
  expect(view?.shares.length).toBeGreaterThan(7);
  expect(view?.decisions.length).toBeGreaterThan(5);
  expect(Buffer.byteLength(JSON.stringify(view))).toBeLessThan(4_096);
});
