import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addInsight, freshId, type TestInsight } from '../../test/support/test-records.ts';
import { admitBatch } from '../admission/admit-batch.ts';
import { openDatabase } from '../connect.ts';
import { explainAgenda } from './explain.ts';
import { readQueue } from './insight-queue.ts';
import { readStanding } from './insight-standing.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await testDatabase();
});
afterEach(() => database[Symbol.asyncDispose]());

/**
 * So many Agendas wait, of customers of weights 1 to 5 in turn, a second apart; admission has taken them in and nothing
 * may start.
 */
async function fill({ insightId, resourcePoolId }: TestInsight, agendas: number, customers: number): Promise<void> {
  const sql = database.$client;
  await sql`
    insert into customer (id, cid, customer_id, title, resource_pool_id, weight)
    select 'customer-' || lpad(n::text, 4, '0'), 'test', 'owner', 'test', ${resourcePoolId}, 1 + n % 5
      from generate_series(0, ${customers - 1}::int) n
    on conflict do nothing`;
  await sql`
    insert into agenda (id, cid, customer_id, progress_id, insight_id, resource_pool_id)
    select ${insightId} || '-' || lpad(n::text, 6, '0'), 'test', 'customer-' || lpad((n % ${customers}::int)::text, 4,
      '0'),
      ${insightId} || '-progress-' || n, ${insightId}, ${resourcePoolId}
        from generate_series(0, ${agendas - 1}::int) n`;
  await sql`
    insert into agenda_progress (id, cid, customer_id, agenda_id) select progress_id, cid, customer_id, id
      from agenda where insight_id = ${insightId}`;
  await sql`
    insert into ready_agenda (agenda_id, insight_id, resource_pool_id, customer_id, attempt, ready_time, need, priority)
    select id, insight_id, resource_pool_id, customer_id, 1, clock_timestamp() - interval '1 day' + right(id,
      6)::int * interval '1 second',
      '1,0,' || right(id, 6)::int / ${customers}::int % 2 || ',0', right(id, 6)::int / ${customers}::int % 3
        from agenda where insight_id = ${insightId}`;
  await sql`
    insert into settlement (insight_id, customer_id, kind, promoted, need, priority)
    select distinct insight_id, customer_id, 'ready', promoted, need, priority from ready_agenda
      where insight_id = ${insightId}`;
  await allow(insightId, 0);
  await admitAll(insightId);
  await sql`vacuum analyze`;
}

const allow = (insightId: string, queueSize: number) =>
  database.$client`update insight set queue_size = ${queueSize} where id = ${insightId}`;

async function admitAll(insightId: string): Promise<void> {
  for (;;) if (!(await admitBatch(database, { insightId, batchId: freshId('batch') })).more) return;
}

const admitted = async (insightId: string): Promise<string[]> => {
  const rows = await database.$client<
    { id: string }[]
  >`select agenda_id as id from admission where insight_id = ${insightId} order by number`;
  return rows.map(({ id }) => id);
};

const queueOf = async (insightId: string, limit: number, customerIds?: readonly string[]) => {
  const standing = await readStanding(database, insightId);
  if (standing === undefined) throw new Error('there is no such Insight');
  return readQueue(database, standing, { limit, customerIds });
};

describe.each(['Fairness', 'Priority', 'FirstInFirstOut', 'RoundRobin'])('with %s', (schedulingAlgorithm) => {
  test.each([
    ['few', 300],
    ['many', 2_500],
  ])('the queue is what admission then admits, where %s wait', async (_how, agendas) => {
    const insight = await addInsight(database, { schedulingAlgorithm });
    await fill(insight, agendas, 40);
    // From within: tags of customers differ.
    await allow(insight.insightId, 57);
    await admitAll(insight.insightId);
    const before = (await admitted(insight.insightId)).length;
    expect(before).toBe(57);
    const queue = await queueOf(insight.insightId, 120);
    expect(queue).toMatchObject({ isWhole: true, waitingIsMore: false, waiting: agendas - 57 });
    expect(queue.agendas.map(({ position }) => position)).toEqual(Array.from({ length: 120 }, (_, index) => index + 1));
    await allow(insight.insightId, 57 + 120);
    await admitAll(insight.insightId);
    expect(queue.agendas.map(({ agendaId }) => agendaId)).toEqual((await admitted(insight.insightId)).slice(before));
  });
});

test.each(['Fairness', 'Priority', 'FirstInFirstOut'])(
  'with %s the place of an Agenda is near to when it is admitted, where many wait',
  async (schedulingAlgorithm) => {
    const insight = await addInsight(database, { schedulingAlgorithm });
    await fill(insight, 3_000, 60);
    await allow(insight.insightId, 100);
    await admitAll(insight.insightId);
    const asked = ['000120', '000301', '000482'].map((number) => `${insight.insightId}-${number}`);
    const places = await Promise.all(asked.map(async (id) => (await explainAgenda({ database }, id))?.inLine));
    for (const place of places) expect(place).toMatchObject({ positionIs: 'estimate', whoIsAhead: expect.any(Array) });
    await allow(insight.insightId, 3_000);
    await admitAll(insight.insightId);
    const order = (await admitted(insight.insightId)).slice(100);
    const real = asked.map((id) => order.indexOf(id) + 1);
    for (const [index, place] of places.entries()) {
      // As long as all customers go on having work.
      const [reckoned, is] = [place?.position ?? 0, real[index] as number];
      expect(Math.abs(reckoned - is), `${reckoned} for ${is}`).toBeLessThan(60 + 0.15 * is);
      const own = order
        .slice(0, (real[index] as number) - 1)
        .filter((id) => Number(id.slice(-6)) % 60 === Number(asked[index]?.slice(-6)) % 60);
      expect(place?.aheadOfCustomer).toBe(own.length);
    }
  },
);

test('a customer at its limit has no place, unless it asks for its own', async () => {
  const insight = await addInsight(database, { schedulingAlgorithm: 'Fairness' });
  await fill(insight, 200, 10);
  await database.$client`update customer set paused = true where id = 'customer-0003'`;
  const queue = await queueOf(insight.insightId, 500);
  expect(queue.agendas).toHaveLength(180);
  expect(queue.customers.find(({ entitlement }) => entitlement.customerId === 'customer-0003')).toMatchObject({
    state: 'paused',
    waiting: 20,
  });
  const own = await queueOf(insight.insightId, 500, ['customer-0003']);
  expect(own.agendas).toHaveLength(20);
  expect(own.agendas.some((agenda) => 'position' in agenda)).toBe(false);
  const explained = await explainAgenda({ database }, `${insight.insightId}-000003`);
  expect(explained).toMatchObject({ code: 'paused', inLine: { positionIs: 'exact', ahead: expect.any(Number) } });
});

test('an explanation and a queue look at few of the rows that wait, by index', async () => {
  const [neighbour, insight] = [
    await addInsight(database, { schedulingAlgorithm: 'Fairness' }),
    await addInsight(database, { schedulingAlgorithm: 'Fairness' }),
  ];
  await fill(neighbour, 20_000, 100);
  await fill(insight, 20_000, 100);
  await using one = openDatabase(database.url, { connections: 1 });
  const reads = async () => {
    await one.$client`select pg_stat_force_next_flush()`;
    const [row] = await one.$client<{ sequential: number; byIndex: number }[]>`
      select seq_tup_read::int as sequential, idx_tup_fetch::int + coalesce((select sum(idx_tup_read)::int
        from pg_stat_user_indexes
        where relname = 'ready_agenda'), 0) as "byIndex" from pg_stat_user_tables where relname = 'ready_agenda'`;
    return row ?? { sequential: 0, byIndex: 0 };
  };
  const standing = await readStanding(one, insight.insightId);
  if (standing === undefined) throw new Error('there is no such Insight');
  const before = await reads();
  expect((await explainAgenda({ database: one }, `${insight.insightId}-019999`))?.inLine?.ahead).toBeGreaterThan(
    10_000,
  );
  const afterExplain = await reads();
  expect(afterExplain.sequential).toBe(before.sequential);
  expect(afterExplain.byIndex - before.byIndex).toBeLessThan(5_000);
  await readQueue(one, standing, { limit: 20 });
  const afterQueue = await reads();
  expect(afterQueue.sequential).toBe(before.sequential);
  // Most of it are two bounded counts.
  expect(afterQueue.byIndex - afterExplain.byIndex).toBeLessThan(20_000);
});
