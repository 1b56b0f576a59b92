import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addAgenda, addInsight, addPool, freshId, type TestInsight } from '../../test/support/test-records.ts';
import { cancelAgenda } from '../agenda/cancel-agenda.ts';
import { finishAgenda } from '../agenda/finish-agenda.ts';
import { countUnstarted, markStarted, postpone, readAdmitted } from '../agenda/start-outbox.ts';
import { startOperations } from '../operation/start-operations.ts';
import { admitBatch, mostPerBatch } from './admit-batch.ts';
import { clearWake, flipWake } from './wake.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const admit = (insightId: string, batchId = freshId('batch')) => admitBatch(database, { insightId, batchId });

const addAgendas = async (insight: TestInsight, many: number) => {
  const ids: string[] = [];
  for (let n = 0; n < many; n++) ids.push((await addAgenda(database, insight)).agendaId);
  return ids;
};

const runningIn = async (insightId: string): Promise<string[]> =>
  (
    await database.$client<
      { agenda_id: string }[]
    >`select agenda_id from running_agenda where insight_id = ${insightId} order by admitted_time`
  ).map((row) => row.agenda_id);

const waitingIn = async (insightId: string): Promise<number> =>
  Number(
    (await database.$client`select count(*) as count from ready_agenda where insight_id = ${insightId}`)[0]?.count,
  );

const breaches = () => database.$client`select * from limit_breach`;

const startFirst = ({ resourcePoolId }: TestInsight, agendaId: string) =>
  startOperations(database, resourcePoolId, [{ agendaId, attempt: 1, operation: 'only', place: 'here', worker: 'w' }]);

describe('limits', () => {
  test('queueSize holds back what no pool worker has started, until it leaves the queue', async () => {
    const insight = await addInsight(database, { queueSize: 2 });
    const ids = await addAgendas(insight, 5);
    expect(await admit(insight.insightId)).toMatchObject({ admitted: 2, more: false });
    expect(await admit(insight.insightId)).toEqual({ admitted: 0, more: false });
    expect((await startFirst(insight, ids[0] as string)).wakeInsights).toEqual([insight.insightId]);
    expect(await admit(insight.insightId)).toMatchObject({ admitted: 1, more: false });
    expect(await runningIn(insight.insightId)).toEqual(ids.slice(0, 3));
    expect(await waitingIn(insight.insightId)).toBe(2);
  });

  test('maximumRunning counts until the end', async () => {
    const insight = await addInsight(database, { maximumRunning: 1 });
    const [first] = await addAgendas(insight, 2);
    expect(await admit(insight.insightId)).toMatchObject({ admitted: 1 });
    await startFirst(insight, first as string);
    expect(await admit(insight.insightId)).toMatchObject({ admitted: 0 });
    await finishAgenda(database, { agendaId: first as string, attempt: 1 }, { outcome: 'succeeded' });
    expect(await admit(insight.insightId)).toMatchObject({ admitted: 1 });
  });

  test('a queueSize of 0, a maximumRunning of 0 and 0 slots pause', async () => {
    for (const settings of [{ queueSize: 0 }, { maximumRunning: 0 }, { slots: 0 }]) {
      const insight = await addInsight(database, settings);
      await addAgendas(insight, 1);
      expect(await admit(insight.insightId)).toEqual({ admitted: 0, more: false });
    }
  });

  test('slots hold for 8 admissions at once of two Insights in one pool', async () => {
    const resourcePoolId = await addPool(database, { slots: 5 });
    const insights = [
      await addInsight(database, { resourcePoolId }),
      await addInsight(database, { resourcePoolId, queueSize: 4 }),
    ];
    for (const insight of insights) await addAgendas(insight, 12);
    for (let round = 0; round < 6; round++) {
      const answers = await Promise.all(
        Array.from({ length: 8 }, async (_, n) => {
          const answer = await admit((insights[n % 2] as TestInsight).insightId);
          expect(await breaches()).toEqual([]);
          return answer;
        }),
      );
      // A slot that the division left to one while the other had its turn: that one is woken.
      for (let n = 0; n < answers.length; n++) {
        expect(n).toBeLessThan(50);
        for (const insightId of answers[n]?.wake ?? []) answers.push(await admit(insightId));
      }
      expect(answers.reduce((sum, answer) => sum + answer.admitted, 0)).toBe(round < 4 ? 5 : round === 4 ? 4 : 0);
      const running = await database.$client<{ agenda_id: string; attempt: number }[]>`
        select agenda_id, attempt from running_agenda where resource_pool_id = ${resourcePoolId}`;
      await Promise.all(
        running.map((row) =>
          finishAgenda(database, { agendaId: row.agenda_id, attempt: row.attempt }, { outcome: 'succeeded' }),
        ),
      );
    }
    for (const insight of insights) expect(await waitingIn(insight.insightId)).toBe(0);
  });

  test('a batch that is full says that more is to be had', async () => {
    const insight = await addInsight(database, { queueSize: mostPerBatch + 5 });
    await database.$client`
      insert into ready_agenda (agenda_id, insight_id, resource_pool_id, customer_id, attempt)
      select ${`${insight.insightId}-`} || n, ${insight.insightId}, ${insight.resourcePoolId}, 'customer', 1
      from generate_series(1, ${mostPerBatch + 10}) n`;
    await database.$client`
      insert into settlement (insight_id, customer_id, kind, promoted, need, priority)
      values (${insight.insightId}, 'customer', 'ready', 0, '1,0,0,0', 0)`;
    expect(await admit(insight.insightId)).toMatchObject({ admitted: mostPerBatch, more: true });
    expect(await admit(insight.insightId)).toMatchObject({ admitted: 5, more: false });
  });

  test('a batch with much room and nothing more waiting does not ask for another', async () => {
    const insight = await addInsight(database, { queueSize: mostPerBatch * 2 });
    await addAgendas(insight, 1);
    expect(await admit(insight.insightId)).toMatchObject({ admitted: 1, more: false });
  });
});

describe('a repeat of a batch', () => {
  test('returns the stored answer, admits nothing, asks for another: Temporal may be in an older state', async () => {
    const insight = await addInsight(database, { queueSize: 2 });
    const ids = await addAgendas(insight, 5);
    const first = await admit(insight.insightId, 'repeated');
    await Promise.all(
      ids.slice(0, 2).map((agendaId) => finishAgenda(database, { agendaId, attempt: 1 }, { outcome: 'succeeded' })),
    );
    expect(await admit(insight.insightId, 'repeated')).toEqual({ ...first, more: true, repeated: true });
    expect(await runningIn(insight.insightId)).toEqual([]);
    expect(await waitingIn(insight.insightId)).toBe(3);
    const [batch] = await database.$client`select answer from admission_batch where id = 'repeated'`;
    expect(batch?.answer).toEqual(first);
  });

  test('at the same time admits once', async () => {
    const insight = await addInsight(database);
    await addAgendas(insight, 3);
    const batchId = freshId('batch');
    const answers = await Promise.all(Array.from({ length: 6 }, () => admit(insight.insightId, batchId)));
    for (const answer of answers) expect(answer).toMatchObject({ admitted: 3 });
    expect(answers.filter(({ repeated }) => repeated !== true)).toHaveLength(1);
    expect(await runningIn(insight.insightId)).toHaveLength(3);
  });
});

describe('order', () => {
  test('is by ready time, then arrival, and starts follow it', async () => {
    const insight = await addInsight(database);
    const late = (await addAgenda(database, insight, { readyTime: new Date('2030-01-03') })).agendaId;
    const tied = [];
    for (let n = 0; n < 8; n++)
      tied.push((await addAgenda(database, insight, { readyTime: new Date('2030-01-02') })).agendaId);
    const early = (await addAgenda(database, insight, { readyTime: new Date('2030-01-01') })).agendaId;
    await admit(insight.insightId);
    const order = (await readAdmitted(database, { insightId: insight.insightId, most: 100 })).map(
      (row) => row.agendaId,
    );
    expect(order).toEqual([early, ...tied, late]);
  });
});

test('a tick is noted, also one that admits nothing, and unknown Insights admit nothing', async () => {
  const { insightId } = await addInsight(database);
  await database.$client`update insight_wake set missed_sweeps = 3 where insight_id = ${insightId}`;
  await admit(insightId);
  const [wake] = await database.$client`select last_tick_time is not null as ticked, missed_sweeps from insight_wake
      where insight_id = ${insightId}`;
  expect(wake).toEqual({ ticked: true, missed_sweeps: 0 });
  expect(await admit('nothing')).toEqual({ admitted: 0, more: false });
});

describe('starts', () => {
  test('what is admitted is to be started until marked, with what its workflow shows', async () => {
    const insight = await addInsight(database);
    const { insightId, resourcePoolId } = insight;
    const { agendaId } = await addAgenda(database, insight, {
      operations: [
        { name: 'a', type: 'z' },
        { name: 'b', type: 'y' },
        { name: 'c', type: 'z' },
      ],
    });
    await admit(insightId);
    expect(await readAdmitted(database, { insightId, most: 5 })).toMatchObject([
      {
        ...{ agendaId, insightId, resourcePoolId, attempt: 1, customerId: 'customer', cid: 'test-cid' },
        ...{ linkId: null, title: null, operationTypes: ['z', 'y'] },
        ...{ progressId: expect.any(String), batchId: expect.any(String), waitedSeconds: expect.any(Number) },
      },
    ]);
    await markStarted(database, [{ agendaId, attempt: 2 }]);
    expect(await countUnstarted(database, insightId)).toBe(1);
    await markStarted(database, [{ agendaId, attempt: 1 }]);
    expect(await countUnstarted(database, insightId)).toBe(0);
    await markStarted(database, []);
  });

  test('those that could not be started come after all others the next time', async () => {
    const insight = await addInsight(database);
    const ids = await addAgendas(insight, 3);
    await admit(insight.insightId);
    await postpone(database, [{ agendaId: ids[0] as string, attempt: 1 }]);
    const order = (await readAdmitted(database, { insightId: insight.insightId, most: 100 })).map(
      (row) => row.agendaId,
    );
    expect(order).toEqual([ids[1], ids[2], ids[0]]);
  });

  test('marking many while their Operations start does not deadlock', async () => {
    const insight = await addInsight(database);
    const ids = await addAgendas(insight, 30);
    await admit(insight.insightId);
    const items = ids.map((agendaId) => ({ agendaId, attempt: 1, operation: 'only', place: 'here', worker: 'w' }));
    await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        n % 2 === 0
          ? markStarted(
              database,
              ids.toReversed().map((agendaId) => ({ agendaId, attempt: 1 })),
            )
          : startOperations(database, insight.resourcePoolId, items),
      ),
    );
    expect(await countUnstarted(database, insight.insightId)).toBe(0);
  });
});

describe('with cancels beside it', () => {
  test('each Agenda either ends at once or runs with the cancel seen by its claim', async () => {
    const insight = await addInsight(database);
    const ids = await addAgendas(insight, 30);
    const [, ...answers] = await Promise.all([
      Promise.all([admit(insight.insightId), admit(insight.insightId)]),
      ...ids.map((agendaId) => cancelAgenda(database, { agendaId, actor: 'test' })),
    ]);
    const running = new Set(await runningIn(insight.insightId));
    expect(await waitingIn(insight.insightId)).toBe(0);
    expect(answers.map((answer) => answer.state)).toEqual(ids.map((id) => (running.has(id) ? 'requested' : 'ended')));
  });

  test('a waiting Agenda that is cancelled makes place for the next in the same batch', async () => {
    const insight = await addInsight(database, { queueSize: 1 });
    const [first, second] = await addAgendas(insight, 2);
    const admitted = await database.$client.begin(async (sql) => {
      await sql`delete from ready_agenda where agenda_id = ${first as string}`;
      const answer = admit(insight.insightId);
      // The admission waits for this transaction now.
      await expect
        .poll(async () => Number((await database.$client`select count(*) as n from pg_locks where not granted`)[0]?.n))
        .toBeGreaterThan(0);
      return { answer };
    });
    expect(await admitted.answer).toMatchObject({ admitted: 1 });
    expect(await runningIn(insight.insightId)).toEqual([second]);
  });
});

describe('the wake flag', () => {
  test('is flipped by one of many callers, and again after it was cleared', async () => {
    const insights = await Promise.all([addInsight(database), addInsight(database), addInsight(database)]);
    const ids = insights.map(({ insightId }) => insightId);
    const flipped = await Promise.all(
      Array.from({ length: 12 }, (_, n) => flipWake(database, n % 2 === 0 ? ids : ids.toReversed())),
    );
    expect(flipped.flat().toSorted()).toEqual(ids.toSorted());
    await clearWake(database, ids[0] as string);
    expect(await flipWake(database, ids)).toEqual([ids[0]]);
    expect(await flipWake(database, [])).toEqual([]);
    expect(await flipWake(database, ['nothing'])).toEqual([]);
  });
});
