import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addAgenda, addInsight, freshId, type TestInsight } from '../../test/support/test-records.ts';
import { admitBatch } from '../admission/admit-batch.ts';
import { finishAgenda } from '../agenda/finish-agenda.ts';
import { readStanding } from './insight-standing.ts';
import { jainIndex, readShares } from './shares.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const sharesOf = async ({ insightId }: TestInsight, seconds: number) => {
  const standing = await readStanding(database, insightId);
  if (standing === undefined) throw new Error('there is no such Insight');
  return readShares(database, standing, seconds);
};

test('customers that always had work got what their weights say, and the index says that it was fair', async () => {
  const insight = await addInsight(database, { schedulingAlgorithm: 'Fairness', queueSize: 40 });
  await database.$client`update insight set cost_model = 'count', customers = '{"heavy": {"weight": 3}}'
    where id = ${insight.insightId}`;
  const readyTime = new Date(Date.now() - 60_000);
  for (let number = 0; number < 40; number += 1)
    for (const customerId of ['heavy', 'light']) {
      await addAgenda(database, insight, { customerId, readyTime: new Date(readyTime.getTime() + number) });
    }
  await admitBatch(database, { insightId: insight.insightId, batchId: freshId('batch') });
  // Within the time that both were waiting.
  const shares = await sharesOf(insight, 30);
  expect(shares).toMatchObject({ isCut: false, admissions: 40, cost: 40, backloggedCustomers: 2 });
  expect(shares.jainIndex).toBeCloseTo(1, 2);
  const [heavy, light] = shares.customers;
  expect(heavy).toMatchObject({ customerId: 'heavy', weight: 3, admissions: 30, received: 0.75 });
  expect(light).toMatchObject({ customerId: 'light', weight: 1, admissions: 10, received: 0.25 });
  expect(heavy?.entitled).toBeCloseTo(0.75, 2);
  expect(light?.backloggedSeconds).toBeCloseTo(30, -1);
  // Over a longer time neither was there all along.
  expect(await sharesOf(insight, 3600)).toMatchObject({ admissions: 40, backloggedCustomers: 0 });
});

test('slots are counted while they are held, also of Agendas whose end was not taken in yet', async () => {
  const insight = await addInsight(database);
  const { agendaId, attempt } = await addAgenda(database, insight, { customerId: 'holder' });
  await admitBatch(database, { insightId: insight.insightId, batchId: freshId('batch') });
  const backdate = database.$client`update admission
    set admitted_time = clock_timestamp() - interval '100 seconds' where agenda_id = ${agendaId}`;
  await backdate;
  expect((await sharesOf(insight, 3600)).slotSeconds).toBeCloseTo(100, -1);
  // Admitted before the span, it holds its slot in it.
  expect((await sharesOf(insight, 10)).slotSeconds).toBeCloseTo(10, 1);
  await finishAgenda(database, { agendaId, attempt }, { outcome: 'succeeded' });
  await database.$client`update agenda_progress set completed_time = clock_timestamp() - interval '60 seconds'
    where agenda_id = ${agendaId}`;
  expect((await sharesOf(insight, 3600)).slotSeconds).toBeCloseTo(40, -1);
});

test('an Insight nobody used has a span and nothing in it', async () => {
  const shares = await sharesOf(await addInsight(database), 60);
  expect(shares).toMatchObject({ admissions: 0, cost: 0, customers: [], backloggedCustomers: 0 });
  expect(shares.until - shares.since).toBeCloseTo(60_000, -2);
  expect(shares).not.toHaveProperty('jainIndex');
});

test('the index is 1 for equal parts, 1/n for all to one, and nothing for one alone', () => {
  expect(jainIndex([2, 2, 2, 2])).toBe(1);
  expect(jainIndex([8, 0, 0, 0])).toBe(0.25);
  expect(jainIndex([3])).toBeUndefined();
  expect(jainIndex([0, 0])).toBeUndefined();
});
