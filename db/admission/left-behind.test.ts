/**
 * Nothing that could start is left for good: units that do not fit, Insights that share a pool, settings that change
 * under what waits.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { testAdmission } from '../../test/support/test-admission.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addInsight, type TestInsight } from '../../test/support/test-records.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

let insight: TestInsight;
beforeEach(async () => {
  insight = await addInsight(database, { schedulingAlgorithm: 'Fairness' });
});
const { admit, set, setPool, addCustomer, setCustomer, add, running, finish } = testAdmission(
  () => database,
  () => insight,
);
const beside = (schedulingAlgorithm = 'Fairness') =>
  addInsight(database, { resourcePoolId: insight.resourcePoolId, schedulingAlgorithm });
const setSlots = (slots: number, others: TestInsight[] = []) =>
  setPool(
    { capacity: JSON.stringify({ slots }) },
    [insight, ...others].map(({ insightId }) => insightId),
  );
const longAgo = new Date(Date.now() - 200_000);

describe('one that does not fit', () => {
  test.each(['Fairness', 'FirstInFirstOut', 'RoundRobin'])(
    '%s: of two Insights that each wait for most of an idle pool one starts, then the other',
    async (algorithm) => {
      const other = await beside(algorithm);
      await set({ scheduling_algorithm: algorithm });
      await setSlots(10, [other]);
      const [full] = await add(1, { need: '10,0,0,0' });
      await admit();
      await add(1, { need: '6,0,0,0' });
      await add(1, { need: '6,0,0,0' }, other);
      await admit();
      await admit(other.insightId);
      await finish(full as string);
      for (const id of [insight.insightId, other.insightId, insight.insightId, other.insightId]) await admit(id);
      const first = [...(await running()), ...(await running(other.insightId))];
      expect(first).toHaveLength(1);
      await finish(first[0]?.id as string);
      for (const id of [insight.insightId, other.insightId, insight.insightId, other.insightId]) await admit(id);
      expect([...(await running()), ...(await running(other.insightId))]).toHaveLength(1);
    },
  );

  test.each(['Fairness', 'FirstInFirstOut', 'RoundRobin'])(
    '%s: an Agenda wider than the part of its Insight starts beside a busy one',
    async (algorithm) => {
      const busy = await beside();
      await set({ scheduling_algorithm: algorithm });
      await setSlots(10, [busy]);
      await add(20, {}, busy);
      await admit(busy.insightId);
      await add(1, { need: '6,0,0,0' });
      for (let ends = 0; ends < 20 && (await running()).length === 0; ends++) {
        await finish((await running(busy.insightId))[0]?.id as string);
        await add(1, {}, busy);
        for (const id of [insight.insightId, busy.insightId, insight.insightId]) await admit(id);
      }
      expect(await running()).toHaveLength(1);
    },
  );

  test('RoundRobin: its turn comes although Agendas of one slot go on coming and going', async () => {
    await set({ scheduling_algorithm: 'RoundRobin' });
    await setSlots(4);
    const [many, wide] = [await addCustomer(), await addCustomer()];
    await add(30, { customerId: many });
    await admit();
    const [unit] = await add(1, { customerId: wide, need: '3,0,0,0' });
    // Three ends make room for it.
    for (let ends = 0; ends < 3; ends++) {
      await finish((await running())[0]?.id as string);
      await admit();
    }
    expect((await running()).map(({ id }) => id)).toContain(unit);
  });
});

describe('a pool that shrinks', () => {
  test('below the only Agenda of a customer: the others go on', async () => {
    await setSlots(8);
    await add(1, { need: '8,0,0,0', customerId: await addCustomer() });
    await set({ paused: true });
    await admit();
    await setSlots(4);
    await add(2, { customerId: await addCustomer() });
    await set({ paused: false });
    expect(await admit()).toMatchObject({ admitted: 2 });
  });

  test.each(['the pool', 'the maximum of the Insight'])(
    'nothing is held any more for one that is larger than %s now',
    async (what) => {
      const other = await beside();
      await setSlots(10, [other]);
      await set({ bypass_limit: 0 });
      const [small] = await add(1, { customerId: await addCustomer(), need: '4,0,0,0' });
      await admit();
      await add(1, { customerId: await addCustomer(), need: '8,0,0,0' });
      await admit();
      if (what === 'the pool') await setSlots(7, [other]);
      else await set({ maximum: 7 });
      await add(1, { customerId: await addCustomer(), need: '3,0,0,0' });
      await add(1, {}, other);
      await finish(small as string);
      await admit();
      await admit(other.insightId);
      expect([(await running()).length, (await running(other.insightId)).length]).toEqual([1, 1]);
    },
  );
});

describe('a customer whose band changes', () => {
  test.each([[[1, 3]], [[0, 2]], [[0, 1]]])(
    'after its Agenda has climbed two bands, to %j, goes on when there is room',
    async (bands) => {
      await set({ scheduling_algorithm: 'Priority', promote_after: 100, maximum_running: 1 });
      const id = await addCustomer({ band: 2 });
      const [blocker] = await add(1, { customerId: await addCustomer() });
      await admit();
      const [climber] = await add(1, { customerId: id, readyTime: longAgo });
      await admit();
      await admit();
      await database.$client`update ready_agenda set moved_time = ${longAgo.toISOString()}::timestamptz
        where agenda_id = ${climber as string}`;
      await database.$client`update waiting_queue set head_moved_time = ${longAgo.toISOString()}::timestamptz
        where insight_id = ${insight.insightId}`;
      await admit();
      for (const band of bands) {
        await setCustomer(id, { band });
        await admit();
      }
      await finish(blocker as string);
      await admit();
      expect((await running()).map((row) => row.id)).toEqual([climber]);
    },
  );
});

test('FirstInFirstOut: a customer of which nothing was admitted in the end stays in the line', async () => {
  const other = await beside('FirstInFirstOut');
  await set({ scheduling_algorithm: 'FirstInFirstOut', queue_size: 2, paused: true });
  const [a, b, c] = [
    await addCustomer({ maximumRunning: 1 }),
    await addCustomer({ maximumRunning: 1 }),
    await addCustomer({ maximumRunning: 2 }),
  ];
  const at = (seconds: number) => new Date(Date.now() - 1_000_000 + seconds * 1000);
  await add(1, { customerId: a, readyTime: at(1) });
  await add(1, { customerId: b, readyTime: at(2) });
  await add(1, { customerId: c, readyTime: at(3) });
  await add(1, { customerId: c, readyTime: at(50) });
  await admit();
  await add(1, { customerId: a }, other);
  await add(1, { customerId: b }, other);
  await admit(other.insightId);
  await set({ paused: false });
  for (let more = true, batches = 0; more && batches < 20; batches++) more = (await admit()).more;
  expect((await running()).map((row) => row.customer)).toEqual([c, c]);
});
