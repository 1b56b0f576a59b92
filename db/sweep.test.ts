import { afterEach, beforeEach, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../test/support/test-database.ts';
import { addAgenda, addInsight, addRunningAgenda, freshId } from '../test/support/test-records.ts';
import { admitBatch } from './admission/admit-batch.ts';
import { cancelAgenda } from './agenda/cancel-agenda.ts';
import { markStarted } from './agenda/start-outbox.ts';
import { sweep } from './sweep.ts';

// A sweep sees the whole record: a database per test.
let database: TestDatabase;
beforeEach(async () => {
  database = await testDatabase();
});
afterEach(() => database[Symbol.asyncDispose]());

const quietSeconds = 60;
const find = () => sweep(database, { quietSeconds, sweepSeconds: 5 });
const nothing = { wake: [], replace: [], quiet: [], cancelling: [] };
const admit = (insightId: string) => admitBatch(database, { insightId, batchId: freshId('batch') });
const forgetTicks = () =>
  database.$client`update insight_wake set last_tick_time = clock_timestamp() - interval '10 seconds'`;

test('an empty record needs nothing', async () => {
  expect(await find()).toEqual(nothing);
});

test('an Insight with waiting Agendas and no recent tick is woken, whatever its flag says', async () => {
  const { insightId, resourcePoolId } = await addInsight(database, { queueSize: 1 });
  await addInsight(database);
  await addAgenda(database, { insightId, resourcePoolId });
  await database.$client`update insight_wake set wake_pending = true`;
  expect(await find()).toEqual({ ...nothing, wake: [insightId] });
  await database.$client`update insight_wake set last_tick_time = clock_timestamp()`;
  expect(await find()).toEqual(nothing);
});

test('an Insight without headroom is left alone once it has taken in what happened', async () => {
  const insights = [];
  for (const settings of [{ queueSize: 0 }, { maximumRunning: 0 }, { slots: 0 }]) {
    const insight = await addInsight(database, settings);
    await addAgenda(database, insight);
    insights.push(insight.insightId);
  }
  expect((await find())?.wake.toSorted()).toEqual(insights.toSorted());
  for (const insightId of insights) await admit(insightId);
  await forgetTicks();
  expect(await find()).toEqual(nothing);
});

test('an admission workflow that lets three sweeps pass is replaced by the fourth, with as many again', async () => {
  const insight = await addInsight(database);
  await addAgenda(database, insight);
  const replaced = [];
  for (let n = 0; n < 9; n++) replaced.push((await find())?.replace.length);
  expect(replaced).toEqual([0, 0, 0, 1, 0, 0, 0, 1, 0]);
  await admit(insight.insightId);
  await addAgenda(database, insight);
  await forgetTicks();
  expect(await find()).toMatchObject({ wake: [insight.insightId], replace: [] });
});

test('an Agenda admitted two seconds ago and not started is to be started', async () => {
  const insight = await addInsight(database);
  const agenda = await addAgenda(database, insight);
  await admit(insight.insightId);
  await forgetTicks();
  expect(await find()).toEqual(nothing);
  await database.$client`update running_agenda set admitted_time = clock_timestamp() - interval '3 seconds'`;
  expect(await find()).toEqual({ ...nothing, wake: [insight.insightId] });
  await markStarted(database, [agenda]);
  expect(await find()).toEqual(nothing);
});

test('a started Agenda is looked after once per quiet time, one not started never', async () => {
  const agenda = await addRunningAgenda(database, { runId: 'the-run' });
  const insight = await addInsight(database);
  await addAgenda(database, insight);
  await admit(insight.insightId);
  expect(await find()).toEqual(nothing);
  await database.$client`update running_agenda set seen_time = clock_timestamp() - interval '61 seconds'`;
  const claim = { runId: 'the-run', workflowId: null, firstRunId: null };
  expect(await find()).toEqual({ ...nothing, quiet: [{ agendaId: agenda.agendaId, attempt: 1, ...claim }] });
  expect(await find()).toEqual(nothing);
});

test('a cancel that is not done after a while is told again, each time', async () => {
  const agenda = await addRunningAgenda(database);
  await cancelAgenda(database, { agendaId: agenda.agendaId, actor: 'test' });
  expect(await find()).toEqual(nothing);
  await database.$client`update agenda set cancel_requested_time = clock_timestamp() - interval '6 seconds'`;
  expect(await find()).toEqual({ ...nothing, cancelling: [agenda.agendaId] });
  expect(await find()).toEqual({ ...nothing, cancelling: [agenda.agendaId] });
});

test('answers and keys are forgotten after a day', async () => {
  const insight = await addInsight(database);
  await addAgenda(database, insight);
  await admit(insight.insightId);
  const left = async () =>
    (
      await database.$client`select (select count(*)::int from admission_batch) + (select count(*)::int
        from idempotency) as n`
    )[0]?.['n'];
  await database.$client`insert into idempotency (customer_id, key, request_hash, agenda_id) values ('c', 'k', 'h',
    'a')`;
  await find();
  expect(await left()).toBe(2);
  await database.$client`update admission_batch set added_time = added_time - interval '25 hours'`;
  await database.$client`update idempotency set added_time = added_time - interval '25 hours'`;
  await find();
  expect(await left()).toBe(0);
});

test('a second sweeper finds the lock taken', async () => {
  await database.$client.begin(async (sql) => {
    await sql`select pg_advisory_xact_lock(hashtextextended('sweep', 0))`;
    expect(await find()).toBeUndefined();
  });
  expect(await find()).toEqual(nothing);
});
