import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Agenda } from '../../agenda/types.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { agenda as agendaTable, customer, insight, insightWake } from '../schema.ts';
import { submitAgenda } from './submit-agenda.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
  const base = { cid: 'cid', customerId: 'acme' };
  await database.insert(customer).values({ ...base, id: 'acme', title: 'Acme', resourcePoolId: 'pool' });
  await database.insert(insight).values([
    { ...base, id: 'first', title: 'First', resourcePoolId: 'pool', mappers: { operationType: ['sample'] }, order: 0 },
    {
      ...base,
      id: 'second',
      title: 'Second',
      resourcePoolId: 'pool',
      mappers: { operationType: ['sample'] },
      order: 1,
    },
  ]);
  await database.insert(insightWake).values([{ insightId: 'first' }, { insightId: 'second' }]);
});
afterAll(() => database[Symbol.asyncDispose]());

const agenda: Agenda = { customerId: 'acme', operations: [{ name: 'a', type: 'sample' }] };
const submit = (more: { idempotency?: { key: string; requestHash: string } } = {}) =>
  submitAgenda(database, { agenda, dependencies: [[]], actor: 'test', cid: 'cid', ...more });

/** Waits until somebody waits for a lock in this database. */
async function untilBlocked(): Promise<void> {
  for (;;) {
    const [row] = await database.$client<{ blocked: boolean }[]>`
      select exists (select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock') as blocked`;
    if (row?.blocked === true) return;
  }
}

test('an Insight that is deleted between the choice and the write is not used: the next one is', async () => {
  let submission: ReturnType<typeof submit> | undefined;
  await database.$client.begin(async (sql) => {
    await sql`select from insight where id = 'first' for update`;
    submission = submit();
    await untilBlocked();
    await sql`delete from insight where id = 'first'`;
  });
  expect(await submission).toMatchObject({ kind: 'created', insightId: 'second', resourcePoolId: 'pool' });
  expect(await database.$count(agendaTable)).toBe(1);
});

test('a customer that moves to another pool between the choice and the write goes to an Insight there', async () => {
  const moved = { customerId: 'acme', cid: 'cid', resourcePoolId: 'elsewhere', mappers: { operationType: ['sample'] } };
  await database.insert(insight).values({ ...moved, id: 'there', title: 'There', isGlobal: true });
  await database
    .insert(customer)
    .values({ cid: 'cid', customerId: 'mover', id: 'mover', title: 'Mover', resourcePoolId: 'pool' });
  await database.update(insight).set({ isGlobal: true });
  let submission: ReturnType<typeof submit> | undefined;
  await database.$client.begin(async (sql) => {
    await sql`select from customer where id = 'mover' for update`;
    submission = submitAgenda(database, {
      agenda: { ...agenda, customerId: 'mover' },
      dependencies: [[]],
      actor: 'test',
      cid: 'cid',
    });
    await untilBlocked();
    await sql`update customer set resource_pool_id = 'elsewhere' where id = 'mover'`;
  });
  expect(await submission).toMatchObject({ kind: 'created', insightId: 'there', resourcePoolId: 'elsewhere' });
});

test('a repeat while the first request with its key still runs is told so', async () => {
  const idempotency = { key: 'k', requestHash: 'h' };
  let first: ReturnType<typeof submit> | undefined;
  await database.$client.begin(async (sql) => {
    await sql`select from insight where id = 'second' for update`;
    first = submit({ idempotency });
    await untilBlocked();
    expect(await submit({ idempotency })).toMatchObject({ kind: 'refused', code: 'idempotencyKeyRunning' });
  });
  const created = await first;
  expect(created).toMatchObject({ kind: 'created' });
  expect(await submit({ idempotency })).toEqual({
    kind: 'replayed',
    agendaId: created?.kind === 'created' ? created.agendaId : '',
  });
});

test('500 Operations are stored in their order', async () => {
  const operations = Array.from({ length: 500 }, (_, n) => ({ name: `op ${499 - n}`, type: 'sample', payload: { n } }));
  const dependencies = operations.map((_, n) => (n === 0 ? [] : [n - 1]));
  const answer = await submitAgenda(database, {
    agenda: { customerId: 'acme', operations },
    dependencies,
    actor: 'test',
    cid: 'cid',
  });
  if (answer.kind !== 'created') throw new Error(JSON.stringify(answer));
  const rows = await database.$client`select name, payload, dependencies from operation
      where agenda_id = ${answer.agendaId} order by index`;
  expect([...rows]).toEqual(
    operations.map(({ name, payload }, n) => ({
      name,
      payload: JSON.stringify(payload),
      dependencies: dependencies[n],
    })),
  );
  const progress =
    await database.$client`select id, operation from operation_progress where agenda_id = ${answer.agendaId}
      order by index`;
  expect([...progress]).toEqual(
    operations.map(({ name }) => ({ id: `${answer.progressId}-${name}`, operation: name })),
  );
});
