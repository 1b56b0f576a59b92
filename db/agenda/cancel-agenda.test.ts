import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addAgenda, addInsight, addRunningAgenda, freshId, type TestAgenda } from '../../test/support/test-records.ts';
import { admitBatch } from '../admission/admit-batch.ts';
import { cancelAgenda } from './cancel-agenda.ts';
import { claimAttempt } from './claim-attempt.ts';
import { finishAgenda } from './finish-agenda.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const cancel = ({ agendaId }: Pick<TestAgenda, 'agendaId'>) =>
  cancelAgenda(database, { agendaId, actor: 'somebody', cid: 'cancel-cid' });
const progressOf = async ({ agendaId }: TestAgenda) =>
  (await database.$client`select * from agenda_progress where agenda_id = ${agendaId}`)[0];
const auditOf = async ({ agendaId }: TestAgenda) =>
  (
    await database.$client<{ entry: string }[]>`
    select action || ' ' || actor || ' ' || cid as entry from audit_entry where object_id = ${agendaId} order by number`
  ).map((row) => row.entry);

test('what waits ends at once and is never admitted', async () => {
  const insight = await addInsight(database);
  const agenda = await addAgenda(database, insight);
  // Its place in the order, and capacity that was held for it, are free for others.
  expect(await cancel(agenda)).toEqual({ state: 'ended', wakeInsights: [insight.insightId] });
  expect(await progressOf(agenda)).toMatchObject({
    ...{ processing_state: 'COMPLETE', processing_state_message: 'cancelled', percent_complete: 0 },
    diagnostic_events: [{ message: 'cancelled while waiting' }],
  });
  expect(await admitBatch(database, { insightId: insight.insightId, batchId: freshId('batch') })).toMatchObject({
    admitted: 0,
  });
  expect(await auditOf(agenda)).toEqual(['agenda.cancel somebody cancel-cid', 'agenda.end somebody test-cid']);
});

test('what runs is marked, once, and keeps its place until its workflow ends it', async () => {
  const agenda = await addRunningAgenda(database);
  expect(await cancel(agenda)).toEqual({ state: 'requested', wakeInsights: [] });
  expect(await cancel(agenda)).toEqual({ state: 'requested', wakeInsights: [] });
  expect(await progressOf(agenda)).toMatchObject({ processing_state: 'WAITING' });
  expect(await claimAttempt(database, { ...agenda, runId: 'run' })).toMatchObject({ cancelled: true });
  expect(await auditOf(agenda)).toEqual(['agenda.cancel somebody cancel-cid']);
  await finishAgenda(database, agenda, { outcome: 'cancelled' });
  expect(await cancel(agenda)).toEqual({ state: 'over', wakeInsights: [] });
});

test('what was submitted not to run yet ends at once', async () => {
  const agenda = await addAgenda(database, await addInsight(database));
  await database.$client`delete from ready_agenda where agenda_id = ${agenda.agendaId}`;
  expect(await cancel(agenda)).toEqual({ state: 'ended', wakeInsights: [] });
  expect(await progressOf(agenda)).toMatchObject({
    diagnostic_events: [{ message: 'cancelled before it was made ready' }],
  });
});

test('what has ended, or was never there, is over', async () => {
  const agenda = await addRunningAgenda(database);
  await finishAgenda(database, agenda, { outcome: 'succeeded' });
  expect(await cancel(agenda)).toEqual({ state: 'over', wakeInsights: [] });
  expect(await progressOf(agenda)).toMatchObject({ processing_state_message: 'succeeded' });
  expect(await cancel({ agendaId: 'nothing' })).toEqual({ state: 'over', wakeInsights: [] });
});

test('many cancels at once end it once', async () => {
  const agenda = await addAgenda(database, await addInsight(database));
  const answers = await Promise.all(Array.from({ length: 6 }, () => cancel(agenda)));
  expect(answers.map(({ state }) => state).toSorted()).toEqual(['ended', ...Array(5).fill('over')]);
  expect(await progressOf(agenda)).toMatchObject({ attempts_completed: 1 });
  expect(await auditOf(agenda)).toHaveLength(2);
});
