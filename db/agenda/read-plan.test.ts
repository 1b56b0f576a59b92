import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addAgenda, addInsight, addRunningAgenda, freshId } from '../../test/support/test-records.ts';
import { finishOperations } from '../operation/finish-operations.ts';
import { startOperations } from '../operation/start-operations.ts';
import { readPlanHead, readPlanned } from './read-plan.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const start = { operation: 0, dependency: 0 };
const plenty = { operations: 1_000, bytes: 1_000_000 };

test('planned Operations are in declaration order, with what has ended', async () => {
  const agenda = await addRunningAgenda(database, {
    operations: [
      { name: 'b', type: 'x', timeout: { runSeconds: 3 } },
      { name: 'a', dependencies: [0] },
    ],
  });
  const { resourcePoolId, agendaId, attempt } = agenda;
  const key = { agendaId, attempt, operation: 'b' };
  await startOperations(database, resourcePoolId, [{ ...key, place: 'here', worker: 'w' }]);
  await finishOperations(database, resourcePoolId, [{ ...key, operationAttempt: 1, launch: 1, outcome: 'succeeded' }]);
  const a = { name: 'a', type: 'sample', dependencies: [0], timeout: null, state: 'WAITING', message: 'pending' };
  expect(await readPlanned(database, agenda, start, plenty)).toEqual([
    {
      ...{ index: 0, last: 1, name: 'b', type: 'x', dependencies: [], timeout: { runSeconds: 3 } },
      ...{ state: 'COMPLETE', message: 'succeeded' },
    },
    { index: 1, last: 1, ...a },
  ]);
  expect(await readPlanned(database, agenda, { operation: 1, dependency: 1 }, plenty)).toEqual([
    { index: 1, last: 1, ...a, dependencies: [] },
  ]);
});

test('no more are read than asked for, by number and by bytes', async () => {
  const agenda = await addRunningAgenda(database, {
    operations: Array.from({ length: 20 }, (_, index) => ({
      name: `operation-${index}`,
      dependencies: [...Array(index).keys()],
    })),
  });
  const indexes = async (from: number, most: typeof plenty) =>
    (await readPlanned(database, agenda, { operation: from, dependency: 0 }, most)).map(({ index }) => index);
  expect(await indexes(3, { ...plenty, operations: 2 })).toEqual([3, 4]);
  expect(await indexes(18, plenty)).toEqual([18, 19]);
  // One that is larger than that is read all the same: the first always is.
  expect(await indexes(17, { ...plenty, bytes: 1 })).toEqual([17]);
  expect(await indexes(0, { ...plenty, bytes: 60 })).toEqual([0, 1, 2]);
});

test('of an attempt that is not the running one nothing is read', async () => {
  const agenda = await addRunningAgenda(database);
  expect(await readPlanned(database, { ...agenda, attempt: 2 }, start, plenty)).toEqual([]);
  expect(await readPlanned(database, { agendaId: 'nothing', attempt: 1 }, start, plenty)).toEqual([]);
});

test("a plan has the customer's weight: its own, or its Insight's for it, or 1 for one not in the record", async () => {
  const insight = await addInsight(database);
  const [set, unknown] = [freshId('customer'), freshId('customer')];
  await database.$client`
    insert into customer (id, cid, customer_id, title, weight) values (${set}, 'test', 'owner', 'A customer', 4)`;
  const ofSet = await addAgenda(database, insight, { customerId: set });
  const ofUnknown = await addAgenda(database, insight, { customerId: unknown });
  expect(await readPlanHead(database, ofSet.agendaId)).toEqual({ customerId: set, weight: 4, parallelism: null });
  expect(await readPlanHead(database, ofUnknown.agendaId)).toMatchObject({ weight: 1 });
  const customers = JSON.stringify({ [set]: { weight: 0.5 }, [unknown]: { band: 1 } });
  await database.$client`
    update insight set customers = ${customers}::text::json where id = ${insight.insightId}`;
  expect(await readPlanHead(database, ofSet.agendaId)).toMatchObject({ weight: 0.5 });
  expect(await readPlanHead(database, ofUnknown.agendaId)).toMatchObject({ weight: 1 });
  await expect(readPlanHead(database, 'nothing')).rejects.toThrow('not in the record');
});
