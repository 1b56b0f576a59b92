import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import type { ListFilter, Page } from '../list.ts';
import { listAgendaProgress, listAgendas, listOperationProgress } from './list-agenda.ts';

/** Agendas of one Operation whose payload and result have 1 MB each. */
const agendas = 40;
let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
  const { $client: sql } = database;
  const ids = sql`select 'a' || to_char(n, 'FM000') as id, 'p' || to_char(n, 'FM000') as progress
    from generate_series(1, ${agendas}) n`;
  await sql`insert into agenda (id, cid, customer_id, progress_id, insight_id, resource_pool_id) select id, 'cid',
    'acme', progress, 'i', 'p' from (${ids}) x`;
  await sql`insert into agenda_progress (id, cid, customer_id, agenda_id) select progress, 'cid', 'acme', id
    from (${ids}) x`;
  await sql`insert into operation (agenda_id, index, name, type, payload) select id, 0, 'o', 'sample', repeat('1',
    1000000) from (${ids}) x`;
  await sql`
    insert into operation_progress (agenda_id, index, id, agenda_progress_id, customer_id, cid, operation,
      result_payload)
    select id, 0, progress || '-o', progress, 'acme', 'cid', 'o', repeat('1', 1000000) from (${ids}) x`;
});
afterAll(() => database[Symbol.asyncDispose]());

const visible = { accounts: ['acme'] };
type List = (filter: ListFilter, payloads: boolean) => Promise<Page<{ id: string }>>;
const lists: [string, List][] = [
  ['Agendas', (filter, payloads) => listAgendas(database, visible, filter, payloads)],
  ['AgendaProgress', (filter, payloads) => listAgendaProgress(database, visible, filter, payloads)],
  ['OperationProgress', (filter, payloads) => listOperationProgress(database, visible, filter, payloads)],
];

test.each(lists)('a page of %s ends before its payloads are too much, and the rest follows', async (_, list) => {
  expect(await list({}, false)).toMatchObject({ count: agendas });
  const first = await list({}, true);
  expect(first.count).toBe(33);
  const second = await list({ cursor: first.nextCursor }, true);
  expect(second.nextCursor).toBeUndefined();
  expect(new Set([...first.all, ...second.all].map((row) => row.id)).size).toBe(agendas);
  expect(await list({ countOnly: true }, true)).toMatchObject({ count: agendas, all: [] });
});

test('results are not read unless asked for', async () => {
  const page = await listOperationProgress(database, visible, { limit: 1 }, false);
  expect(page.all[0]?.resultPayload).toBeNull();
});
