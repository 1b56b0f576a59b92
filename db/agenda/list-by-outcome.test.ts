/** Lists by outcome are served by their indexes, in a record where most succeeded. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { genericPlansOf, plansOf } from '../../test/support/plans.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import type { Visibility } from '../list.ts';
import { listAgendaProgress, listOperationProgress } from './list-agenda.ts';

const agendas = 20_000;
/** One in so many failed. */
const rare = 500;

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  const { $client: sql } = database;
  await sql`
    insert into agenda (id, cid, customer_id, progress_id, insight_id, resource_pool_id)
    select 'a' || n, 'cid', 'customer-' || n % 10, 'p' || to_char(n, 'FM000000'), 'i', 'p'
    from generate_series(1, ${agendas}::int) n`;
  const outcome = sql`case when n % ${rare}::int = 0 then 'failed' else 'succeeded' end`;
  await sql`
    insert into agenda_progress (id, cid, customer_id, agenda_id, processing_state, outcome)
    select 'p' || to_char(n, 'FM000000'), 'cid', 'customer-' || n % 10, 'a' || n, 'COMPLETE', ${outcome}
    from generate_series(1, ${agendas}::int) n`;
  await sql`
    insert into operation_progress (agenda_id, index, id, agenda_progress_id, customer_id, cid, operation,
      processing_state, outcome)
    select 'a' || n, 0, 'p' || to_char(n, 'FM000000') || '-o', 'p' || n, 'customer-' || n % 10, 'cid', 'o',
      'COMPLETE', ${outcome}
    from generate_series(1, ${agendas}::int) n`;
  await sql`analyze`;
});
afterAll(() => database[Symbol.asyncDispose]());

const ofOne: Visibility = { accounts: ['customer-0'] };
test.each<[string, Visibility, string]>([
  ['AgendaProgress of all', 'all', 'agenda_progress_by_outcome'],
  ['AgendaProgress of one customer', ofOne, 'agenda_progress_by_customer_outcome'],
  ['OperationProgress of all', 'all', 'operation_progress_by_outcome'],
  ['OperationProgress of one customer', ofOne, 'operation_progress_by_customer_outcome'],
])('%s by a rare outcome: pages and counts', async (what, visibility, index) => {
  const list = what.startsWith('Agenda')
    ? (more: object) => listAgendaProgress(database, visibility, { byOutcome: 'failed', ...more }, false)
    : (more: object) => listOperationProgress(database, visibility, { byOutcome: 'failed', ...more }, false);
  expect((await list({ countOnly: true })).count).toBe(agendas / rare);
  expect((await list({})).all).toHaveLength(agendas / rare);
  for (const ask of [() => list({ countOnly: true }), () => list({})]) {
    const [plan] = await plansOf(database, ask);
    expect(plan).toMatch(new RegExp(`(using|on) ${index}\\s`));
    expect(plan).not.toContain('Seq Scan');
  }
});

test('an index without those that succeeded serves plans that do not know the value, too', async () => {
  const ask = () => listOperationProgress(database, 'all', { byOutcome: 'failed', countOnly: true }, false);
  const [plan] = await genericPlansOf(database, ask);
  expect(plan).toContain('operation_progress_by_outcome');
});
