import { afterEach, beforeEach, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addAgenda, addInsight, type TestInsight } from '../../test/support/test-records.ts';
import { fillOutcomes } from './fill-outcomes.ts';
import { listAgendaProgress, listOperationProgress } from './list-agenda.ts';

let database: TestDatabase;
let insight: TestInsight;
beforeEach(async () => {
  database = await testDatabase();
  insight = await addInsight(database);
});
afterEach(() => database[Symbol.asyncDispose]());

const ended = '2026-11-01T10:00:00.000Z';

/** An Agenda as version 0.1.0 left it, `operations` as the messages of its Operations; `pending` never ran. */
async function endedBefore(message: string, operations: readonly string[]): Promise<string> {
  const { agendaId } = await addAgenda(database, insight, {
    operations: operations.map((_, n) => ({ name: `o${n}` })),
  });
  const sql = database.$client;
  await sql`delete from ready_agenda where agenda_id = ${agendaId}`;
  await sql`
    update agenda_progress set processing_state = 'COMPLETE', processing_state_message = ${message},
      completed_time = ${ended}, percent_complete = 40
    where agenda_id = ${agendaId}`;
  for (const [index, told] of operations.entries())
    if (told !== 'pending')
      await sql`
        update operation_progress set processing_state = 'COMPLETE', processing_state_message = ${told},
          completed_time = ${ended}, updated_time = ${ended}, diagnostic_events = '[{"message":"its own"}]'::json
        where agenda_id = ${agendaId} and index = ${index}`;
  return agendaId;
}

const operationsOf = (agendaId: string) => database.$client`
  select processing_state as state, processing_state_message as message, outcome,
    completed_time = ${ended}::timestamptz as "isThen", diagnostic_events as events
  from operation_progress where agenda_id = ${agendaId} order by index`;

test('what an older version ended is found by outcome after a while; what never ran in it gets its end', async () => {
  const failed = await endedBefore('failed', ['succeeded', 'failed', 'pending']);
  const cancelled = await endedBefore('cancelled', ['abandoned', 'pending']);
  const running = await addAgenda(database, insight);
  expect((await listAgendaProgress(database, 'all', { byOutcome: 'failed' }, false)).all).toEqual([]);

  expect(await fillOutcomes(database)).toBe(2);
  expect(await fillOutcomes(database)).toBe(0);
  const found = async (byOutcome: 'failed' | 'cancelled') =>
    (await listAgendaProgress(database, 'all', { byOutcome }, false)).all.map((row) => row.agendaId);
  expect(await found('failed')).toEqual([failed]);
  expect(await found('cancelled')).toEqual([cancelled]);
  const skipped = await listOperationProgress(database, 'all', { byOutcome: 'skipped' }, false);
  expect(skipped.all.map((row) => row.agendaId).toSorted()).toEqual([failed, cancelled].toSorted());
  const own = [{ message: 'its own' }];
  const why = (how: string) => [
    { message: `Not started: the Agenda ended ${how}`, code: 'skipped', time: Date.parse(ended) },
  ];
  const end = { state: 'COMPLETE', isThen: true };
  expect(await operationsOf(failed)).toEqual([
    { ...end, message: 'succeeded', outcome: 'succeeded', events: own },
    { ...end, message: 'failed', outcome: 'failed', events: own },
    { ...end, message: 'skipped', outcome: 'skipped', events: why('failed') },
  ]);
  expect(await operationsOf(cancelled)).toEqual([
    { ...end, message: 'abandoned', outcome: 'abandoned', events: own },
    { ...end, message: 'skipped', outcome: 'skipped', events: why('cancelled') },
  ]);
  expect(await operationsOf(running.agendaId)).toMatchObject([{ state: 'WAITING', outcome: null }]);
  const [progress] = await database.$client`
    select percent_complete, processing_state_message from agenda_progress where agenda_id = ${failed}`;
  expect(progress).toEqual({ percent_complete: 40, processing_state_message: 'failed' });
});

test('many are filled in portions, each Agenda whole, by several at once', async () => {
  for (let n = 0; n < 25; n++) await endedBefore('failed', ['failed', 'pending']);
  const counts = await Promise.all([1, 2, 3].map(() => fillOutcomes(database, 2)));
  expect(counts.reduce((sum, count) => sum + count)).toBeLessThanOrEqual(25);
  await fillOutcomes(database, 2);
  const [left] = await database.$client`
    select (select count(*)::int from agenda_progress where outcome is null) as agendas,
      (select count(*)::int from operation_progress where outcome is null) as operations`;
  expect(left).toEqual({ agendas: 0, operations: 0 });
});

test('the sweep looks for them by an index that has nothing else', async () => {
  await endedBefore('failed', ['failed']);
  const { $client: sql } = database;
  await sql`
    insert into agenda_progress (id, cid, customer_id, agenda_id, processing_state, outcome)
    select 'p' || n, 'cid', 'c', 'a' || n, 'COMPLETE', 'succeeded' from generate_series(1, 5000) n`;
  await sql`analyze agenda_progress`;
  const plan = await sql`
    explain select id from agenda_progress where processing_state = 'COMPLETE' and outcome is null
    order by id limit 100`;
  expect(plan.map((row) => row['QUERY PLAN']).join('\n')).toContain('agenda_progress_without_outcome');
});
