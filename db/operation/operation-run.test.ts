import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { maximumPayloadBytes } from '../../agenda/types.ts';
import type {
  FinishOperationItem,
  ReportProgressItem,
  StartOperationItem,
  StartVerdict,
} from '../../messages/resource-pool.ts';
import { eventsAgainstRecord } from '../../test/support/events-against-record.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import {
  addAgenda,
  addInsight,
  addRunningAgenda,
  type TestAgenda,
  type TestOperation,
} from '../../test/support/test-records.ts';
import { cancelAgenda } from '../agenda/cancel-agenda.ts';
import { finishAgenda } from '../agenda/finish-agenda.ts';
import { settleOperations } from '../agenda/settle-operations.ts';
import { finishOperations } from './finish-operations.ts';
import { reportProgress } from './report-progress.ts';
import { startOperations } from './start-operations.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const add = (...operations: TestOperation[]) =>
  addRunningAgenda(database, operations.length === 0 ? {} : { operations });

const itemOf = ({ agendaId, attempt }: TestAgenda, operation = 'only') => ({ agendaId, attempt, operation });

const start = async (
  agenda: TestAgenda,
  operation = 'only',
  more: Partial<StartOperationItem> = {},
): Promise<StartVerdict> => {
  const { verdicts } = await startOperations(database, agenda.resourcePoolId, [
    { ...itemOf(agenda, operation), place: 'here', worker: 'w', ...more },
  ]);
  return verdicts[0] as StartVerdict;
};

const progress = async (agenda: TestAgenda, more: Partial<ReportProgressItem> = {}) =>
  (
    await reportProgress(database, agenda.resourcePoolId, [
      { ...itemOf(agenda), operationAttempt: 1, launch: 1, ...more },
    ])
  )[0];

const finish = async (agenda: TestAgenda, more: Partial<FinishOperationItem> = {}) =>
  (
    await finishOperations(database, agenda.resourcePoolId, [
      { ...itemOf(agenda), operationAttempt: 1, launch: 1, outcome: 'succeeded', ...more },
    ])
  )[0];

const rowOf = async ({ agendaId }: TestAgenda, operation = 'only') => {
  const [row] =
    await database.$client`select * from operation_progress where agenda_id = ${agendaId} and operation = ${operation}`;
  if (row === undefined) throw new Error('no such Operation');
  return row;
};
const agendaRowOf = async ({ agendaId }: TestAgenda) =>
  (await database.$client`select * from agenda_progress where agenda_id = ${agendaId}`)[0] ?? {};
const percentOf = async (agenda: TestAgenda) => (await agendaRowOf(agenda))['percent_complete'];

describe('starting', () => {
  test('hands out the Operation and takes the Agenda from waiting to executing, out of the queue', async () => {
    const insight = await addInsight(database, { queueSize: 1 });
    const agenda = await addRunningAgenda(database, {
      insight,
      operations: [{ name: 'only', payload: { a: 1 }, timeout: { runSeconds: 5 } }],
    });
    const first = await startOperations(database, agenda.resourcePoolId, [
      { ...itemOf(agenda), place: 'here', worker: 'w', scheduledTime: 1_000, pulledTime: 2_000 },
    ]);
    expect(first).toEqual({
      verdicts: [
        {
          ...{
            verdict: 'run',
            operationAttempt: 1,
            launch: 1,
            place: 'here',
            type: 'sample',
            cid: 'test-cid',
            customerId: 'customer',
            insightId: insight.insightId,
          },
          ...{
            operationId: 'only',
            progressId: `${agenda.agendaId}-progress-only`,
            payload: '{"a":1}',
            timeout: { runSeconds: 5 },
          },
        },
      ],
      // Nothing waits in the Insight: nobody is to be woken.
      wakeInsights: [],
    });
    expect(await rowOf(agenda)).toMatchObject({
      ...{
        processing_state: 'EXECUTING',
        processing_state_message: 'executing',
        attempt_count: 1,
        launch: 1,
        place: 'here',
        worker: 'w',
      },
    });
    expect(await agendaRowOf(agenda)).toMatchObject({
      processing_state: 'EXECUTING',
      processing_state_message: 'Running Operations',
    });
    const [running] =
      await database.$client`select left_queue_time from running_agenda where agenda_id = ${agenda.agendaId}`;
    expect(running?.['left_queue_time']).not.toBeNull();
  });

  test('wakes the Insight once, when others wait there', async () => {
    const insight = await addInsight(database);
    const agenda = await addRunningAgenda(database, { insight, operations: [{ name: 'a' }, { name: 'b' }] });
    await addAgenda(database, insight);
    const ask = (operation: string) =>
      startOperations(database, agenda.resourcePoolId, [{ ...itemOf(agenda, operation), place: 'here', worker: 'w' }]);
    expect((await ask('a')).wakeInsights).toEqual([insight.insightId]);
    expect((await ask('b')).wakeInsights).toEqual([]);
  });

  test('another Operation of an Agenda under way writes neither row of it again, unless it was quiet', async () => {
    const agenda = await add({ name: 'a' }, { name: 'b' }, { name: 'c' });
    const versions = async () => {
      const [row] = await database.$client<{ running: string; progress: string }[]>`
        select r.xmin::text as running, g.xmin::text as progress
        from running_agenda r join agenda_progress g using (agenda_id)
        where r.agenda_id = ${agenda.agendaId}`;
      return row;
    };
    await start(agenda, 'a');
    const before = await versions();
    await start(agenda, 'b');
    expect(await versions()).toEqual(before);
    await database.$client`
      update running_agenda set seen_time = seen_time - interval '2 seconds' where agenda_id = ${agenda.agendaId}`;
    await database.$client`update agenda_progress set updated_time = '2020-01-01' where agenda_id = ${agenda.agendaId}`;
    await start(agenda, 'c');
    expect((await agendaRowOf(agenda))['updated_time']).not.toEqual(new Date('2020-01-01'));
    const [running] = await database.$client`
      select seen_time > clock_timestamp() - interval '1 second' as seen
      from running_agenda where agenda_id = ${agenda.agendaId}`;
    expect(running?.['seen']).toBe(true);
  });

  test('tells the namespace that the Customer is given at that moment', async () => {
    const settings = { customerId: 'with-namespace', operations: [{ name: 'one' }, { name: 'two' }] };
    const agenda = await addRunningAgenda(database, settings);
    // Of no Customer that there is, too.
    expect(await start(agenda, 'one')).not.toHaveProperty('namespace');
    await database.$client`
      insert into customer (id, cid, customer_id, title, namespace)
      values ('with-namespace', 'test', 'owner', 'A customer', 'pop-given')`;
    expect(await start(agenda, 'one')).toMatchObject({ adopt: true, launch: 1, namespace: 'pop-given' });
    expect(await start(agenda, 'two')).toMatchObject({ customerId: 'with-namespace', namespace: 'pop-given' });
  });

  test('from the same place again adopts the launch and keeps what it had', async () => {
    const agenda = await add();
    await start(agenda, 'only', { scheduledTime: 1_000, pulledTime: 2_000 });
    await progress(agenda, { percentComplete: 40, params: { at: 7 }, message: 'half' });
    const again = await start(agenda, 'only', { worker: 'w2', pulledTime: 3_000 });
    expect(again).toMatchObject({ verdict: 'run', operationAttempt: 1, launch: 1 });
    expect(JSON.parse((again as { lastProgress: string }).lastProgress)).toMatchObject({
      ...{ operation: 'only', percentComplete: 40, params: { at: 7 }, processingStateMessage: 'half', attemptCount: 1 },
    });
    const row = await rowOf(agenda);
    expect(row).toMatchObject({ launch: 1, worker: 'w2', percent_complete: 40 });
    expect(new Date(row['pulled_time'] as string).getTime()).toBe(2_000);
  });

  test('from another place, or after a loss, begins a new launch', async () => {
    const agenda = await add();
    await start(agenda);
    expect(await start(agenda, 'only', { place: 'there' })).toMatchObject({ launch: 2, operationAttempt: 1 });
    expect(await start(agenda, 'only', { place: 'there', lostLaunch: 2 })).toMatchObject({ launch: 3 });
    // The answer was lost on its way: the repeat adopts what it gave.
    expect(await start(agenda, 'only', { place: 'there', lostLaunch: 2 })).toMatchObject({ launch: 3 });
    expect(await progress(agenda)).toEqual({ verdict: 'over' });
    expect(await finish(agenda)).toEqual({ verdict: 'over' });
    expect(await finish(agenda, { launch: 3 })).toEqual({ verdict: 'stored', outcome: 'succeeded' });
  });

  test('what has ended is not handed out again', async () => {
    const agenda = await add();
    await start(agenda);
    await finish(agenda, { outcome: 'failed' });
    expect(await start(agenda)).toEqual({ verdict: 'ended', outcome: 'failed' });
    expect(await rowOf(agenda)).toMatchObject({ launch: 1 });
  });

  test('after a cancel nothing is handed out', async () => {
    const agenda = await add();
    await cancelAgenda(database, { agendaId: agenda.agendaId, actor: 'test' });
    expect(await start(agenda)).toEqual({ verdict: 'cancelled' });
    expect(await rowOf(agenda)).toMatchObject({ processing_state: 'WAITING', launch: 0 });
  });

  test('of another attempt, another pool, a waiting or unknown Agenda or Operation is over', async () => {
    const agenda = await add();
    const over = { verdict: 'over' };
    const waiting = await addAgenda(database, await addInsight(database, { resourcePoolId: agenda.resourcePoolId }));
    expect(await start({ ...agenda, attempt: 2 })).toEqual(over);
    expect(await start({ ...agenda, resourcePoolId: 'other' })).toEqual(over);
    expect(await start(waiting)).toEqual(over);
    expect(await start({ ...agenda, agendaId: 'nothing' })).toEqual(over);
    expect(await start(agenda, 'nothing')).toEqual(over);
    expect(await start({ ...agenda, agendaId: 'a\0b' }, 'o\0\ud800')).toEqual(over);
    expect(await rowOf(agenda)).toMatchObject({ launch: 0 });
  });
});

describe('references', () => {
  const withResult = async (result: string | undefined, payload: TestOperation['payload']) => {
    const agenda = await add({ name: 'first' }, { name: 'second', payload: payload ?? null, dependencies: [0] });
    await start(agenda, 'first');
    await finish(agenda, { operation: 'first', ...(result === undefined ? {} : { result }) });
    return { agenda, verdict: await start(agenda, 'second') };
  };
  const payloadOf = (verdict: StartVerdict) => JSON.parse((verdict as { payload: string }).payload) as unknown;

  test('become results, with their types, and the built-in names', async () => {
    const { agenda, verdict } = await withResult('{"n":5,"list":[1,{"x":"@<first.out>"}]}', {
      ...{
        n: '@<first.out::/n>',
        all: '@<first.out>',
        text: 'n=@<first.out::/n>',
        none: '@<first.out::/absent?other>',
      },
      ...{ id: '@<pop.agendaId>', name: '@<pop.operationName>' },
    });
    expect(payloadOf(verdict)).toEqual({
      ...{ n: 5, all: { n: 5, list: [1, { x: '@<first.out>' }] }, text: 'n=5', none: 'other' },
      ...{ id: agenda.agendaId, name: 'second' },
    });
  });

  test('to an Operation without a result become null', async () => {
    expect(payloadOf((await withResult(undefined, { of: '@<first.out>' })).verdict)).toEqual({ of: null });
  });

  test('that cannot be replaced fail the Operation, named in its diagnostics', async () => {
    const { agenda, verdict } = await withResult('{}', ['@<first.out::/gone>', '@<constructor>', '@<second.out>']);
    expect(verdict).toEqual({ verdict: 'ended', outcome: 'failed' });
    const row = await rowOf(agenda, 'second');
    expect(row).toMatchObject({ processing_state: 'COMPLETE', processing_state_message: 'failed' });
    expect(row['diagnostic_events']).toMatchObject([
      {
        code: 'invalidReference',
        message: 'Operation second has invalid references: @<constructor>, @<second.out>, @<first.out::/gone>',
      },
    ]);
    expect(await start(agenda, 'second')).toEqual(verdict);
  });

  test('that make a payload too large fail the Operation with names and sizes', async () => {
    const { agenda, verdict } = await withResult(JSON.stringify('x'.repeat(600_000)), ['@<first.out>', '@<first.out>']);
    expect(verdict).toEqual({ verdict: 'ended', outcome: 'failed' });
    const [event] = (await rowOf(agenda, 'second'))['diagnostic_events'] as { code: string; message: string }[];
    expect(event?.code).toBe('payloadTooLarge');
    expect(event?.message).toContain(`the limit is ${maximumPayloadBytes}`);
    expect(event?.message).toContain('first.out 1200004');
  });

  test('are not looked for in an Agenda of the same names', async () => {
    const operations = [{ name: 'first' }, { name: 'second', payload: '@<first.out>', dependencies: [0] }];
    const insight = await addInsight(database);
    const agendas = [
      await addRunningAgenda(database, { insight, operations }),
      await addRunningAgenda(database, { insight, operations }),
    ];
    for (const [n, agenda] of agendas.entries()) {
      await start(agenda, 'first');
      await finish(agenda, { operation: 'first', result: String(n) });
    }
    const { verdicts } = await startOperations(
      database,
      insight.resourcePoolId,
      agendas.map((agenda) => ({ ...itemOf(agenda, 'second'), place: 'here', worker: 'w' })),
    );
    expect(verdicts.map(payloadOf)).toEqual([0, 1]);
  });
});

describe('progress', () => {
  test('is kept; percent never falls, neither the Operation`s nor the Agenda`s', async () => {
    const agenda = await add({ name: 'only', weight: 3 }, { name: 'other', weight: 1 });
    await start(agenda);
    expect(await progress(agenda, { percentComplete: 80, message: 'well', startedTime: 5_000 })).toEqual({
      verdict: 'ok',
    });
    await progress(agenda, { percentComplete: 20, params: { a: 1 } });
    expect(await rowOf(agenda)).toMatchObject({
      percent_complete: 80,
      processing_state_message: 'well',
      params: { a: 1 },
    });
    expect(await percentOf(agenda)).toBe(60);
    // A new launch begins anew; the Agenda's percent stays.
    await start(agenda, 'only', { place: 'there' });
    expect(await rowOf(agenda)).toMatchObject({ percent_complete: 0 });
    await progress(agenda, { launch: 2, percentComplete: 10 });
    expect(await percentOf(agenda)).toBe(60);
  });

  test('by the handler itself is told to its pool worker, until the next launch', async () => {
    const agenda = await add();
    await start(agenda);
    const item = { ...itemOf(agenda), operationAttempt: 1, launch: 1 };
    const before = Date.now();
    expect(await progress(agenda, { percentComplete: 1 })).toEqual({ verdict: 'ok' });
    expect(await reportProgress(database, agenda.resourcePoolId, [item], true)).toEqual([{ verdict: 'ok' }]);
    const told = await progress(agenda, { message: 'from the worker' });
    expect(told).toEqual({ verdict: 'ok', reportedTime: expect.any(Number) });
    expect(told).toMatchObject({ reportedTime: expect.toSatisfy((time: number) => time >= before - 1) });
    expect(await progress(agenda)).toEqual(told);
    await start(agenda, 'only', { place: 'there' });
    expect(await progress(agenda, { launch: 2 })).toEqual({ verdict: 'ok' });
  });

  test('that says nothing is a sign of life', async () => {
    const agenda = await add();
    await start(agenda);
    await database.$client`update running_agenda set seen_time = '2000-01-01' where agenda_id = ${agenda.agendaId}`;
    const before = await rowOf(agenda);
    expect(await progress(agenda)).toEqual({ verdict: 'ok' });
    const [running] = await database.$client`
      select seen_time > '2020-01-01' as seen from running_agenda where agenda_id = ${agenda.agendaId}`;
    expect(running?.['seen']).toBe(true);
    expect(await rowOf(agenda)).toEqual(before);
  });

  test('hears of a cancel', async () => {
    const agenda = await add();
    await start(agenda);
    await cancelAgenda(database, { agendaId: agenda.agendaId, actor: 'test' });
    expect(await progress(agenda, { percentComplete: 5 })).toEqual({ verdict: 'cancelled' });
    expect(await rowOf(agenda)).toMatchObject({ percent_complete: 5 });
  });

  test('of a stale launch, attempt, Agenda attempt or pool, or after the end, changes nothing', async () => {
    const agenda = await add();
    expect(await progress(agenda)).toEqual({ verdict: 'over' });
    await start(agenda);
    const before = await rowOf(agenda);
    for (const stale of [{ launch: 2 }, { operationAttempt: 2 }, { attempt: 2 }, { operation: 'none' }])
      expect(await progress(agenda, { percentComplete: 50, ...stale })).toEqual({ verdict: 'over' });
    expect(await progress({ ...agenda, resourcePoolId: 'other' }, { percentComplete: 50 })).toEqual({
      verdict: 'over',
    });
    expect(await rowOf(agenda)).toEqual(before);
    await finish(agenda);
    const ended = await rowOf(agenda);
    expect(await progress(agenda, { percentComplete: 50 })).toEqual({ verdict: 'over', ended: true });
    expect(await progress(agenda, { percentComplete: 50, launch: 2 })).toEqual({ verdict: 'over' });
    expect(await rowOf(agenda)).toEqual(ended);
  });

  test('twice of one Operation in a request counts together, the later over the earlier', async () => {
    const agenda = await add();
    await start(agenda);
    const fence = { ...itemOf(agenda), operationAttempt: 1, launch: 1 };
    const verdicts = await reportProgress(database, agenda.resourcePoolId, [
      { ...fence, params: { a: 1 }, message: 'one', percentComplete: 50 },
      { ...fence, launch: 9, message: 'stale' },
      { ...fence, message: 'two', percentComplete: 30 },
      { ...fence, diagnosticEvents: [{ message: 'x' }] },
    ]);
    expect(verdicts.map((v) => v.verdict)).toEqual(['ok', 'over', 'ok', 'ok']);
    expect(await rowOf(agenda)).toMatchObject({
      ...{
        params: { a: 1 },
        processing_state_message: 'two',
        percent_complete: 50,
        diagnostic_events: [{ message: 'x' }],
      },
    });
  });
});

describe('ends', () => {
  test('are recorded once; a repeat gets the same answer and changes nothing', async () => {
    const agenda = await add();
    await start(agenda);
    const report = {
      result: '{"a": 1}',
      startedTime: 1_000,
      endedTime: 2_000,
      noticedTime: 3_000,
      log: { output: 'hello', totalBytes: 5 },
    };
    expect(await finish(agenda, report)).toEqual({ verdict: 'stored', outcome: 'succeeded' });
    const row = await rowOf(agenda);
    expect(row).toMatchObject({
      processing_state: 'COMPLETE',
      processing_state_message: 'succeeded',
      percent_complete: 100,
    });
    expect(row['result_payload']).toBe('{"a": 1}');
    expect(
      ['started_time', 'ended_time', 'noticed_time'].map((name) => new Date(row[name] as string).getTime()),
    ).toEqual([1_000, 2_000, 3_000]);
    expect(await finish(agenda, report)).toEqual({ verdict: 'stored', outcome: 'succeeded' });
    expect(await finish(agenda, { outcome: 'failed' })).toEqual({ verdict: 'stored', outcome: 'succeeded' });
    expect(await rowOf(agenda)).toEqual(row);
    expect(await percentOf(agenda)).toBe(100);
    const logs =
      await database.$client`select output, total_bytes::int from operation_log where agenda_id = ${agenda.agendaId}`;
    expect([...logs]).toEqual([{ output: 'hello', total_bytes: 5 }]);
  });

  test('of a stale launch, attempt, Agenda attempt or pool are refused', async () => {
    const agenda = await add();
    expect(await finish(agenda)).toEqual({ verdict: 'over' });
    await start(agenda);
    const before = await rowOf(agenda);
    for (const stale of [{ launch: 2 }, { operationAttempt: 2 }, { attempt: 2 }, { operation: 'none' }])
      expect(await finish(agenda, stale)).toEqual({ verdict: 'over' });
    expect(await finish({ ...agenda, resourcePoolId: 'other' })).toEqual({ verdict: 'over' });
    expect(await rowOf(agenda)).toEqual(before);
  });

  test('after the workflow settled the Operation, or the Agenda ended, are refused', async () => {
    const agenda = await add({ name: 'only' }, { name: 'b' });
    await start(agenda);
    await start(agenda, 'b');
    await settleOperations(database, agenda, [{ index: 0, without: 'failed', fault: 'worker lost' }]);
    expect(await finish(agenda)).toEqual({ verdict: 'over' });
    await finishAgenda(database, agenda, { outcome: 'failed' });
    expect(await finish(agenda, { operation: 'b' })).toEqual({ verdict: 'over' });
    expect(await rowOf(agenda, 'b')).toMatchObject({ processing_state_message: 'abandoned' });
  });

  test.each([
    ['resultTooLarge', JSON.stringify('x'.repeat(maximumPayloadBytes))],
    ['resultNotJson', '{"a":'],
    ['resultNotJson', ''],
    ['resultNotJson', '"a\0b"'],
    ['resultTooDeep', `${'['.repeat(200_000)}${']'.repeat(200_000)}`],
  ])('with a result that cannot be kept fail: %s', async (code, result) => {
    const agenda = await add();
    await start(agenda);
    expect(await finish(agenda, { result, diagnosticEvents: [{ message: 'said' }] })).toMatchObject({
      verdict: 'refused',
      code,
    });
    const row = await rowOf(agenda);
    expect(row).toMatchObject({ processing_state_message: 'failed', result_payload: null });
    expect(row['diagnostic_events']).toMatchObject([{ message: 'said' }, { code }]);
    expect(await finish(agenda, { result })).toMatchObject({ verdict: 'stored', outcome: 'failed' });
  });

  test('with the largest result are kept', async () => {
    const agenda = await add();
    await start(agenda);
    const result = JSON.stringify('x'.repeat(maximumPayloadBytes - 2));
    expect(await finish(agenda, { result })).toEqual({ verdict: 'stored', outcome: 'succeeded' });
    expect((await rowOf(agenda))['result_payload']).toBe(result);
  });

  test('with a failure keep the percent and the diagnostics', async () => {
    const agenda = await add();
    await start(agenda);
    await progress(agenda, { percentComplete: 30 });
    await finish(agenda, { outcome: 'failed', diagnosticEvents: [{ message: 'exit 1', code: 'exitCode' }] });
    expect(await rowOf(agenda)).toMatchObject({
      percent_complete: 30,
      diagnostic_events: [{ message: 'exit 1', code: 'exitCode' }],
    });
  });
});

test('NUL and halves of surrogate pairs are taken wherever a handler can say them', async () => {
  const agenda = await add();
  const bad = 'a\0b\ud800c';
  const params = { [bad]: [bad] };
  const diagnosticEvents = [{ message: bad, stackTrace: bad, payload: { x: bad } }];
  await start(agenda, 'only', { place: bad, worker: bad });
  expect(await progress(agenda, { message: bad, worker: bad, params, diagnosticEvents })).toEqual({ verdict: 'ok' });
  expect(await rowOf(agenda)).toMatchObject({
    processing_state_message: 'a\ufffdb\ufffdc',
    params,
    diagnostic_events: diagnosticEvents,
  });
  // What was stored is the place of the worker all the same.
  expect(await start(agenda, 'only', { place: bad, worker: bad })).toMatchObject({ verdict: 'run', launch: 1 });
  const result = JSON.stringify({ x: bad });
  expect(await finish(agenda, { result, params, diagnosticEvents, log: { output: bad, totalBytes: 7 } })).toMatchObject(
    {
      outcome: 'succeeded',
    },
  );
  expect((await rowOf(agenda))['result_payload']).toBe(result);
  await finishAgenda(database, agenda, { outcome: 'failed', message: bad });
  expect((await agendaRowOf(agenda))['diagnostic_events']).toMatchObject([{ message: 'a\ufffdb\ufffdc' }]);
});

describe('batches', () => {
  test('have a verdict per item, in order, over several Agendas', async () => {
    const insight = await addInsight(database);
    const [a, b] = [await addRunningAgenda(database, { insight }), await addRunningAgenda(database, { insight })];
    const foreign = await add();
    await cancelAgenda(database, { agendaId: b.agendaId, actor: 'test' });
    const ask = (agenda: TestAgenda) => ({ ...itemOf(agenda), place: 'here', worker: 'w' });
    const { verdicts } = await startOperations(database, insight.resourcePoolId, [
      ask(foreign),
      ask(b),
      ask(a),
      ask(a),
    ]);
    expect(verdicts.map((v) => v.verdict)).toEqual(['over', 'cancelled', 'run', 'run']);
    expect(verdicts.slice(2)).toMatchObject([{ launch: 1 }, { launch: 1 }]);
    expect(await rowOf(foreign)).toMatchObject({ launch: 0 });
    const end = (agenda: TestAgenda, outcome: 'succeeded' | 'failed', result: string) => ({
      ...itemOf(agenda),
      ...{ operationAttempt: 1, launch: 1, outcome, result },
    });
    const ends = await finishOperations(database, insight.resourcePoolId, [
      end(foreign, 'succeeded', '1'),
      end(a, 'succeeded', '1'),
      end(a, 'failed', '2'),
      end(b, 'succeeded', '3'),
    ]);
    expect(ends).toEqual([
      { verdict: 'over' },
      { verdict: 'stored', outcome: 'succeeded' },
      { verdict: 'stored', outcome: 'succeeded' },
      { verdict: 'over' },
    ]);
    expect(await rowOf(a)).toMatchObject({ result_payload: '1' });
  });

  test('that ask twice for one Operation keep the times of the launch', async () => {
    const agenda = await add();
    const item = { ...itemOf(agenda), place: 'here', worker: 'w' };
    const { verdicts } = await startOperations(database, agenda.resourcePoolId, [
      { ...item, scheduledTime: 1_000 },
      item,
      { ...item, place: 'there', scheduledTime: 2_000 },
    ]);
    expect(verdicts).toMatchObject([{ launch: 1 }, { launch: 1 }, { launch: 2 }]);
    const row = await rowOf(agenda);
    expect(row).toMatchObject({ launch: 2, place: 'there', attempt_count: 1 });
    expect(new Date(row['scheduled_time'] as string).getTime()).toBe(2_000);
  });
});

test('calls of every kind in any order never deadlock, and leave nothing running', async () => {
  const insight = await addInsight(database, { queueSize: 1000 });
  const operations = ['a', 'b', 'c'].map((name) => ({ name }));
  const agendas: TestAgenda[] = [];
  for (let n = 0; n < 12; n++) agendas.push(await addRunningAgenda(database, { insight, operations }));
  const shuffled = (seed: number) =>
    agendas.toSorted(
      (x, y) =>
        ((x.agendaId.length * seed * 31 + Number(x.agendaId.split('-')[2]) * seed * 17) % 7) -
        ((Number(y.agendaId.split('-')[2]) * seed * 17) % 7),
    );
  const all = (seed: number) => shuffled(seed).flatMap((agenda) => operations.map(({ name }) => itemOf(agenda, name)));
  const fence = { operationAttempt: 1, launch: 1 };
  const pool = insight.resourcePoolId;
  const jobs: Promise<unknown>[] = [];
  for (let round = 1; round <= 6; round++) {
    jobs.push(
      startOperations(
        database,
        pool,
        all(round).map((item) => ({ ...item, place: 'here', worker: 'w' })),
      ),
    );
    jobs.push(
      reportProgress(
        database,
        pool,
        all(round + 1).map((item) => ({ ...item, ...fence, percentComplete: round })),
      ),
    );
    jobs.push(
      finishOperations(
        database,
        pool,
        all(round + 2)
          .filter((_, n) => n % 6 === round - 1)
          .map((item) => ({ ...item, ...fence, outcome: 'succeeded' as const })),
      ),
    );
    for (const agenda of shuffled(round).slice(0, 2)) {
      jobs.push(cancelAgenda(database, { agendaId: agenda.agendaId, actor: 'test' }));
      jobs.push(settleOperations(database, agenda, [{ index: 0, without: 'failed' }]));
    }
    if (round > 3)
      for (const agenda of shuffled(round).slice(0, 4))
        jobs.push(finishAgenda(database, agenda, { outcome: 'cancelled' }));
  }
  await Promise.all(jobs);
  expect(await eventsAgainstRecord(database)).toEqual([]);
  await Promise.all(agendas.map((agenda) => finishAgenda(database, agenda, { outcome: 'cancelled' })));
  const [left] = await database.$client`
    select (select count(*)::int from running_agenda where resource_pool_id = ${pool}) as running,
      (select count(*)::int from operation_progress p join agenda a on a.id = p.agenda_id
        where a.insight_id = ${insight.insightId} and p.processing_state = 'EXECUTING') as executing,
      (select count(*)::int from agenda_progress p join agenda a on a.id = p.agenda_id
        where a.insight_id = ${insight.insightId}
          and (p.processing_state <> 'COMPLETE' or p.attempts_completed <> 1)) as open`;
  expect(left).toEqual({ running: 0, executing: 0, open: 0 });
  expect(await eventsAgainstRecord(database)).toEqual([]);
});
