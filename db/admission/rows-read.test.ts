/**
 * A batch reads the heads it can use, never whole backlogs: rows that Postgres counted, with 100,000 waiting Agendas of
 * 5,000 customers.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addInsight, freshId } from '../../test/support/test-records.ts';
import { finishAgenda } from '../agenda/finish-agenda.ts';
import { openDatabase } from '../connect.ts';
import { admitBatch } from './admit-batch.ts';

const customers = 5_000;
const perCustomer = 20;
/** Admitted by one batch. */
const many = 10;

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

/** Those that grow with what waits. */
const tables = ['ready_agenda', 'waiting_queue', 'customer_lane', 'settlement', 'customer'] as const;

test.each(['Fairness', 'Priority', 'FirstInFirstOut'])(
  '%s reads in proportion to what it admits, not to what waits',
  async (schedulingAlgorithm) => {
    const { insightId, resourcePoolId } = await addInsight(database, {
      schedulingAlgorithm,
      maximumRunning: many,
      queueSize: 1_000_000,
    });
    const sql = database.$client;
    await sql`
    insert into ready_agenda (agenda_id, insight_id, resource_pool_id, customer_id, attempt, ready_time)
    select ${insightId} || '-' || n, ${insightId}, ${resourcePoolId}, ${insightId} || '-' || n % ${customers}, 1,
      clock_timestamp() - n * interval '1 millisecond'
    from generate_series(1, ${customers * perCustomer}) n`;
    await sql`
    insert into settlement (insight_id, customer_id, kind, promoted, need, priority)
    select ${insightId}, ${insightId} || '-' || n, 'ready', 0, '1,0,0,0', 0
      from generate_series(0, ${customers - 1}) n`;
    await sql.unsafe(`analyze ${tables.join()}`);
    // Everything over one connection, whose counts can be had at once.
    await using one = openDatabase(database.url, { connections: 1 });
    const admit = () => admitBatch(one, { insightId, batchId: freshId('batch') });
    // What is new is taken in first.
    while ((await admit()).more);
    await sql.unsafe(`analyze ${tables.join()}`);

    const reads = async (): Promise<Map<string, { rows: number; scans: number }>> => {
      await one.$client`select pg_stat_force_next_flush()`;
      const rows = await one.$client<{ name: string; rows: number; scans: number }[]>`
      select relname as name, (seq_tup_read + coalesce(idx_tup_fetch, 0))::int as rows, seq_scan::int as scans
      from pg_stat_user_tables where relname = any(${[...tables]})`;
      return new Map(rows.map(({ name, ...counts }) => [name, counts]));
    };
    for (const row of await one.$client<
      { id: string }[]
    >`select agenda_id as id from running_agenda where insight_id = ${insightId}`)
      await finishAgenda(one, { agendaId: row.id, attempt: 1 }, { outcome: 'succeeded' });
    const before = await reads();
    expect((await admit()).admitted).toBe(many);
    const after = await reads();
    const read = Object.fromEntries([...after].map(([name, { rows }]) => [name, rows - (before.get(name)?.rows ?? 0)]));
    for (const [name, rows] of Object.entries(read))
      expect(rows, `${name}: ${JSON.stringify(read)}`).toBeLessThan(20 * many);
    expect(
      (after.get('ready_agenda')?.scans ?? 0) - (before.get('ready_agenda')?.scans ?? 0),
      'whole scans of what waits',
    ).toBe(0);
  },
);
