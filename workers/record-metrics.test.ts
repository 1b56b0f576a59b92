import { Counter, Registry } from 'prom-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../db/connect.ts';
import { customerLane, insightBand } from '../db/schema.ts';
import { type TestDatabase, testDatabase } from '../test/support/test-database.ts';
import { addInsight, addRunningAgenda, freshId } from '../test/support/test-records.ts';
import { addRecordMetrics } from './record-metrics.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const quiet = { warn: () => undefined, info: () => undefined, error: () => undefined } as never;
const linesOf = (text: string, name: string) =>
  text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
const metricOf = (text: string, name: string, label: string) =>
  Number(
    linesOf(text, name)
      .find((line) => line.includes(label))
      ?.split(' ')
      .at(-1),
  );

test('depth and oldest wait of every Insight are true, also above 100', async () => {
  const of = await addInsight(database);
  await database.$client`
    insert into ready_agenda (agenda_id, insight_id, resource_pool_id, customer_id, attempt, ready_time)
    select 'deep-' || n, ${of.insightId}, ${of.resourcePoolId}, 'customer', 1,
      clock_timestamp() - n * interval '1 second'
    from generate_series(1, 350) n`;
  const idle = await addInsight(database);
  const busy = await addInsight(database);
  await addRunningAgenda(database, { insight: busy });
  const registry = new Registry();
  addRecordMetrics(registry, database, { log: quiet, believedMilliseconds: 0 });
  const text = await registry.metrics();
  expect(metricOf(text, 'pop_record_up', '')).toBe(1);
  expect(metricOf(text, 'pop_waiting_agendas', `"${of.insightId}"`)).toBe(350);
  expect(metricOf(text, 'pop_oldest_wait_seconds', `"${of.insightId}"`)).toBeCloseTo(350, -1);
  expect(metricOf(text, 'pop_waiting_agendas', `"${idle.insightId}"`)).toBe(0);
  expect(metricOf(text, 'pop_oldest_wait_seconds', `"${idle.insightId}"`)).toBe(0);
  expect(metricOf(text, 'pop_running_agendas', `"${busy.insightId}"`)).toBe(1);
  expect(metricOf(text, 'pop_queued_agendas', `"${busy.insightId}"`)).toBe(1);
});

test('customers with labels of their own are bounded, those of the largest weight first', async () => {
  const { insightId } = await addInsight(database, { schedulingAlgorithm: 'Fairness' });
  const sums = { clockError: 0, totalError: 0, members: 3, sinceLower: 0 };
  await database.insert(insightBand).values({ insightId, level: 0, clock: 10, total: 8, ...sums });
  for (const weight of [1, 5, 2]) {
    const lane = { insightId, level: 0, tag: 10 - weight, tagError: 0, state: 'active' as const, band: 0 };
    await database.insert(customerLane).values({ ...lane, customerId: `of-${weight}`, weight });
  }
  const registry = new Registry();
  addRecordMetrics(registry, database, { log: quiet, believedMilliseconds: 0, mostCustomers: 2 });
  const text = await registry.metrics();
  expect(linesOf(text, 'pop_customer_share')).toHaveLength(2);
  expect(metricOf(text, 'pop_customer_share', '"of-5"')).toBe(0.625);
  expect(metricOf(text, 'pop_customer_lag', '"of-5"')).toBe(25);
  expect(metricOf(text, 'pop_customer_share', '"of-2"')).toBe(0.25);
});

test('the record is read once for a scrape, and not again while its answer is believed', async () => {
  const registry = new Registry();
  addRecordMetrics(registry, database, { log: quiet });
  const { insightId } = await addInsight(database);
  expect(await registry.metrics()).toContain(insightId);
  const later = freshId('later');
  await database.$client`
    insert into insight (id, cid, customer_id, title, resource_pool_id)
    values (${later}, 'test', 'owner', 'Later one', 'pool')`;
  expect(await registry.metrics()).not.toContain(later);
});

test('while the record cannot be read the rest is told', async () => {
  await using away = openDatabase('postgres://127.0.0.1:1/nothing', { connections: 1 });
  const registry = new Registry();
  addRecordMetrics(registry, away, { log: quiet });
  new Counter({ name: 'other_total', help: 'Of the process.', registers: [registry] }).inc(7);
  const text = await registry.metrics();
  expect(metricOf(text, 'pop_record_up', '')).toBe(0);
  expect(linesOf(text, 'pop_waiting_agendas')).toEqual([]);
  expect(metricOf(text, 'other_total', '')).toBe(7);
});
