/** The proof of the other tests is worth what their watch sees: here it is shown faults. */
import { expect, test } from 'vitest';
import { testDatabase } from '../support/test-database.ts';
import { addInsight, addRunningAgenda } from '../support/test-records.ts';
import { until } from '../support/until.ts';
import { RecordWatch } from './record-watch.ts';

test('the watch sees a limit exceeded, by reading and at the commit, and whatever changes after its end', async () => {
  await using database = await testDatabase();
  await using watch = await RecordWatch.begin(database.url);
  const sql = database.$client;
  const insight = await addInsight(database);
  const agenda = await addRunningAgenda(database, { insight });
  expect(await watch.take()).toMatchObject({ breaches: [], faults: [], transitions: [] });

  await sql`update insight set queue_size = 0 where id = ${insight.insightId}`;
  const { breaches } = await until('a reading shows the breach', async () => {
    const seen = await watch.take();
    return seen.breaches.length > 0 && seen;
  });
  expect(breaches[0]).toMatchObject({ kind: 'insight.queueSize', id: insight.insightId, limit: 0, actual: 1 });
  await sql`update running_agenda set seen_time = clock_timestamp() where agenda_id = ${agenda.agendaId}`;
  expect(await sql`select kind from fault_watch.breach`).toEqual([{ kind: 'insight.queueSize' }]);

  await sql`update agenda_progress set processing_state = 'COMPLETE' where agenda_id = ${agenda.agendaId}`;
  await sql`update agenda_progress set processing_state_message = 'another end' where agenda_id = ${agenda.agendaId}`;
  await sql`update operation_progress set processing_state = 'COMPLETE' where agenda_id = ${agenda.agendaId}`;
  await sql`update operation_progress set launch = launch + 1 where agenda_id = ${agenda.agendaId}`;
  const { transitions } = await watch.take();
  expect(transitions.map(({ before, after }) => `${before} ${after}`)).toEqual([
    'WAITING COMPLETE',
    'COMPLETE COMPLETE',
    'WAITING COMPLETE',
    'COMPLETE COMPLETE',
  ]);
});
