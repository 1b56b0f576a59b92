/** Limits that are written twice, for one Insight in code and for many in SQL, leave the same. */
import { eq } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addInsight, freshId } from '../../test/support/test-records.ts';
import type { Statements } from '../connect.ts';
import { insight, resourcePool, runningAgenda } from '../schema.ts';
import { freeFor } from './free-capacity.ts';
import { agendasLeftSql, slotsLeftSql } from './limits.ts';
import { readSettings } from './settings.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

/** Two that no pool worker has started yet, of two slots each. */
const two = { slots: 4, running: 2 };

test.each([
  ['nothing is set', {}, {}, { agendas: 98, slots: Number.POSITIVE_INFINITY }],
  ['as many as may run do', { maximumRunning: 2 }, {}, { agendas: 0, slots: Number.POSITIVE_INFINITY }],
  ['more run than may', { maximumRunning: 1 }, {}, { agendas: 0, slots: Number.POSITIVE_INFINITY }],
  ['one more may run', { maximumRunning: 3 }, {}, { agendas: 1, slots: Number.POSITIVE_INFINITY }],
  ['as many are unstarted as may be', { queueSize: 2 }, {}, { agendas: 0, slots: Number.POSITIVE_INFINITY }],
  ['the Insight is paused', { paused: true }, {}, { agendas: 0, slots: Number.POSITIVE_INFINITY }],
  ['its queueSize is 0', { queueSize: 0 }, {}, { agendas: 0, slots: Number.POSITIVE_INFINITY }],
  ['the pool is paused', {}, { paused: true }, { agendas: 0, slots: Number.POSITIVE_INFINITY }],
  ['the pool has slots left', {}, { capacity: { slots: 7 } }, { agendas: 98, slots: 7 - two.slots }],
  ['the pool was made smaller', {}, { capacity: { slots: 3 } }, { agendas: 98, slots: 3 - two.slots }],
  ['its own slots are fewer', { maximum: 5 }, { capacity: { slots: 7 } }, { agendas: 98, slots: 5 - two.slots }],
])('when %s', async (_, ofInsight, ofPool, left) => {
  const { insightId, resourcePoolId } = await addInsight(database);
  await database
    .update(insight)
    .set({ cid: 'test', ...ofInsight })
    .where(eq(insight.id, insightId));
  await database
    .update(resourcePool)
    .set({ cid: 'test', ...ofPool })
    .where(eq(resourcePool.id, resourcePoolId));
  for (let n = 0; n < two.running; n++) {
    const ids = { agendaId: freshId('agenda'), insightId, resourcePoolId, customerId: 'c', attempt: 1, batchId: 'b' };
    await database.insert(runningAgenda).values({ ...ids, slots: two.slots / two.running });
  }

  const inCode = await database.$client.begin(async (sql: Statements) => {
    const settings = await readSettings(sql, { insightId, batchId: 'b' });
    if (settings === undefined) throw new Error('the Insight is gone');
    return { agendas: settings.mostAgendas, slots: (await freeFor(sql, settings)).slots };
  });
  const sql = database.$client;
  const runs: ReturnType<typeof sql> = sql`(select count(*) from running_agenda where insight_id = i.id)`;
  const held: ReturnType<typeof sql> = sql`(select sum(slots) from running_agenda where insight_id = i.id)`;
  const [inSql] = await sql<{ agendas: number; slots: number | null }[]>`
    select
      (${agendasLeftSql(sql, { running: runs, unstarted: runs })})::int as agendas,
      ${slotsLeftSql(sql, { inPool: held, here: held })} as slots
    from insight i left join resource_pool p on p.id = i.resource_pool_id where i.id = ${insightId}`;
  expect(inCode).toEqual(left);
  expect({ ...inSql, slots: inSql?.slots ?? Number.POSITIVE_INFINITY }).toEqual(left);
});
