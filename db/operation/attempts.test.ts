import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FinishOperationItem, ReportProgressItem, StartOperationItem } from '../../messages/resource-pool.ts';
import { genericPlansOf } from '../../test/support/plans.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addRunningAgenda, type TestAgenda, type TestOperation } from '../../test/support/test-records.ts';
import { cancelAgenda } from '../agenda/cancel-agenda.ts';
import { finishAgenda } from '../agenda/finish-agenda.ts';
import { settleOperations } from '../agenda/settle-operations.ts';
import { finishOperations } from './finish-operations.ts';
import { readAttempts } from './read-attempts.ts';
import { reportProgress } from './report-progress.ts';
import { startOperations } from './start-operations.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const add = (...operations: TestOperation[]) =>
  addRunningAgenda(database, operations.length === 0 ? {} : { operations });

/** As a worker of today asks; one of version 0.1.0 understands nothing beyond its own verdicts. */
const start = async (agenda: TestAgenda, more: Partial<StartOperationItem> = {}) => {
  const { agendaId, attempt, resourcePoolId } = agenda;
  const item = { agendaId, attempt, operation: 'only', place: 'here', worker: 'w', understands: ['later'], ...more };
  const { verdicts } = await startOperations(database, resourcePoolId, [item]);
  return verdicts[0];
};
const fence = { operation: 'only', operationAttempt: 1, launch: 1 };
const progress = async ({ agendaId, attempt, resourcePoolId }: TestAgenda, more: Partial<ReportProgressItem>) =>
  (await reportProgress(database, resourcePoolId, [{ agendaId, attempt, ...fence, ...more }]))[0];
const finish = async ({ agendaId, attempt, resourcePoolId }: TestAgenda, more: Partial<FinishOperationItem>) =>
  (await finishOperations(database, resourcePoolId, [{ agendaId, attempt, ...fence, outcome: 'failed', ...more }]))[0];

const loss = { outcome: 'failed', ending: 'lost', category: 'infrastructure', code: 'lost' } as const;
const again = { verdict: 'again', inMilliseconds: expect.any(Number) };
const failed = { verdict: 'stored', outcome: 'failed' };

const launchesOf = ({ agendaId }: TestAgenda) => database.$client`
  select launch, operation_attempt as "operationAttempt", place, worker, ending, category, code, decision,
    again_time is not null as waits, diagnostic_events as events
  from operation_attempt where agenda_id = ${agendaId} order by index, launch`;
const rowOf = async ({ agendaId }: TestAgenda, operation = 'only') => {
  const [row] = await database.$client`
    select processing_state as state, processing_state_message as message, launch, attempt_count as "attemptCount",
      failure_category as category, failure_code as code, again_time is not null as waits, diagnostic_events as events
    from operation_progress where agenda_id = ${agendaId} and operation = ${operation}`;
  return row;
};
const endWait = ({ agendaId }: TestAgenda) =>
  database.$client`update operation_progress set again_time = clock_timestamp() where agenda_id = ${agendaId}`;

/** Loses this launch, and begins the next. */
async function loseAndBegin(agenda: TestAgenda, launch: number, more: Partial<FinishOperationItem> = {}) {
  expect(await finish(agenda, { ...loss, launch, ...more })).toEqual(again);
  await endWait(agenda);
  expect(await start(agenda)).toMatchObject({ verdict: 'run', launch: launch + 1, operationAttempt: 1 });
}

describe('the row of a launch', () => {
  test('has its six stamps, where it was and who spoke for it, and how it ended', async () => {
    const agenda = await add();
    await start(agenda, { scheduledTime: 1_000, pulledTime: 2_000, launcher: 'local' });
    await progress(agenda, { startedTime: 3_000, worker: 'w2' });
    await finish(agenda, { outcome: 'succeeded', ending: 'succeeded', endedTime: 4_000, noticedTime: 5_000 });
    const all = { operation: undefined, attempt: undefined, after: { index: -1, attempt: 0, launch: 0 } };
    const rows = await readAttempts(database, agenda.agendaId, { ...all, limit: 10, bytes: 1_000 });
    expect(rows).toEqual([
      {
        ...{ operation: 'only', index: 0, attempt: 1, operationAttempt: 1, launch: 1 },
        ...{ launcher: 'local', place: 'here', worker: 'w2' },
        ...{ admittedTime: expect.any(Number), scheduledTime: 1_000, pulledTime: 2_000 },
        ...{ startedTime: 3_000, endedTime: 4_000, noticedTime: 5_000, againTime: null },
        ...{ ending: 'succeeded', category: null, code: null, decision: 'ended', diagnosticEvents: null },
        ...{ outputBytes: null, left: 1 },
      },
    ]);
  });

  test('of a launch that began under an older version is made by its end', async () => {
    const agenda = await add();
    await start(agenda);
    await database.$client`delete from operation_attempt where agenda_id = ${agenda.agendaId}`;
    await finish(agenda, { ending: 'failed', category: 'handler', code: 'exitCode' });
    expect(await launchesOf(agenda)).toMatchObject([{ launch: 1, place: 'here', ending: 'failed', code: 'exitCode' }]);
  });

  test('is not touched by a later launch, nor by a late report of its own', async () => {
    const agenda = await add();
    await start(agenda);
    await loseAndBegin(agenda, 1, { diagnosticEvents: [{ message: 'the first' }] });
    const [before] = await launchesOf(agenda);
    expect(await progress(agenda, { message: 'late', diagnosticEvents: [] })).toEqual({ verdict: 'over' });
    expect(await finish(agenda, { outcome: 'succeeded' })).toEqual({ verdict: 'over' });
    await finish(agenda, {
      launch: 2,
      ending: 'failed',
      code: 'exitCode',
      diagnosticEvents: [{ message: 'the second' }],
    });
    const [first, second] = await launchesOf(agenda);
    expect(first).toEqual(before);
    expect(first).toMatchObject({ ending: 'lost', decision: 'again', events: [{ message: 'the first' }] });
    expect(second).toMatchObject({ ending: 'failed', decision: 'ended', events: [{ message: 'the second' }] });
  });

  test('of an Operation that the workflow gave up, or whose Agenda ended, says so', async () => {
    const agenda = await add({ name: 'only' }, { name: 'other' });
    await start(agenda);
    await start(agenda, { operation: 'other' });
    await settleOperations(database, agenda, [{ index: 0, without: 'failed', fault: 'closed' }]);
    await finishAgenda(database, agenda, { outcome: 'failed' });
    expect(await launchesOf(agenda)).toMatchObject([
      {
        ending: 'lost',
        category: 'infrastructure',
        code: 'noEnding',
        decision: 'ended',
        events: [{ message: 'closed' }],
      },
      { ending: 'abandoned', category: 'infrastructure', code: 'abandoned', decision: 'ended' },
    ]);
    expect(await rowOf(agenda)).toMatchObject({ category: 'infrastructure', code: 'noEnding' });
    expect(await rowOf(agenda, 'other')).toMatchObject({ message: 'abandoned', code: 'abandoned' });
  });

  test('is there for an Operation whose payload cannot be made, too', async () => {
    const agenda = await add({ name: 'only', payload: '@<nothing.out>' });
    expect(await start(agenda)).toEqual({ verdict: 'ended', outcome: 'failed' });
    expect(await launchesOf(agenda)).toMatchObject([
      { launch: 1, ending: 'failed', category: 'data', code: 'invalidReference' },
    ]);
    expect(await rowOf(agenda)).toMatchObject({ category: 'data', code: 'invalidReference' });
  });
});

describe('a launch that was lost', () => {
  test('is followed by another after its wait, at no cost to the customer; its reports are over', async () => {
    const agenda = await add();
    await start(agenda);
    expect(await finish(agenda, loss)).toEqual(again);
    // The answer was lost on its way: the repeat is told the same.
    expect(await finish(agenda, loss)).toEqual(again);
    expect(await rowOf(agenda)).toMatchObject({
      state: 'EXECUTING',
      waits: true,
      category: 'infrastructure',
      code: 'lost',
    });
    expect(await progress(agenda, {})).toEqual({ verdict: 'over' });
    const before = await rowOf(agenda);
    expect(await start(agenda)).toEqual({ verdict: 'later', inMilliseconds: expect.any(Number) });
    expect(await start(agenda, { place: 'there' })).toMatchObject({ verdict: 'later' });
    expect(await rowOf(agenda)).toEqual(before);
    await endWait(agenda);
    expect(await start(agenda)).toMatchObject({ verdict: 'run', launch: 2, operationAttempt: 1 });
    expect(await rowOf(agenda)).toMatchObject({
      waits: false,
      launch: 2,
      attemptCount: 1,
      category: null,
      events: null,
    });
  });

  test('waits about twice as long each time; the fifth in a row is the last', async () => {
    const agenda = await add();
    await start(agenda);
    const waits: number[] = [];
    for (let launch = 1; launch <= 4; launch++) {
      const verdict = await finish(agenda, { ...loss, launch });
      waits.push(verdict?.verdict === 'again' ? 2 ** Math.round(Math.log2(verdict.inMilliseconds / 1_000)) : 0);
      await endWait(agenda);
      await start(agenda);
    }
    expect(waits).toEqual([1, 2, 4, 8]);
    expect(await finish(agenda, { ...loss, launch: 5 })).toEqual(failed);
    expect(await rowOf(agenda)).toMatchObject({
      ...{ state: 'COMPLETE', message: 'failed', launch: 5, attemptCount: 1, category: 'infrastructure', waits: false },
      events: [{ code: 'launchesSpent', message: expect.stringContaining('5 launches in a row') }],
    });
    const launches = await launchesOf(agenda);
    expect(launches.map((launch) => launch['decision'])).toEqual(['again', 'again', 'again', 'again', 'ended']);
  });

  test('after ten minutes of running begins the row anew', async () => {
    const agenda = await add();
    await start(agenda);
    for (let launch = 1; launch <= 4; launch++) await loseAndBegin(agenda, launch);
    await loseAndBegin(agenda, 5, { startedTime: 1_000, endedTime: 601_000 });
    for (let launch = 6; launch <= 8; launch++) await loseAndBegin(agenda, launch);
    expect(await finish(agenda, { ...loss, launch: 9 })).toEqual(failed);
  });

  test('by a drain does not count among losses', async () => {
    const agenda = await add();
    await start(agenda);
    for (let launch = 1; launch <= 6; launch++) await loseAndBegin(agenda, launch, { code: 'drained' });
    await loseAndBegin(agenda, 7);
  });

  test('while a cancel is under way is not followed by another', async () => {
    const agenda = await add();
    await start(agenda);
    await cancelAgenda(database, { agendaId: agenda.agendaId, actor: 'test' });
    expect(await finish(agenda, loss)).toEqual({ verdict: 'stored', outcome: 'cancelled' });
    expect(await launchesOf(agenda)).toMatchObject([{ ending: 'lost', decision: 'ended' }]);
  });

  test('and waits for the next when a cancel comes is cancelled, for there is nothing to stop', async () => {
    const agenda = await add();
    await start(agenda);
    await finish(agenda, loss);
    expect(await settleOperations(database, agenda, [{ index: 0 }])).toEqual([{ index: 0, outcome: 'executing' }]);
    await cancelAgenda(database, { agendaId: agenda.agendaId, actor: 'test' });
    expect(await settleOperations(database, agenda, [{ index: 0 }])).toEqual([{ index: 0, outcome: 'cancelled' }]);
    expect(await rowOf(agenda)).toMatchObject({ state: 'COMPLETE', message: 'cancelled', waits: false });
    expect(await launchesOf(agenda)).toMatchObject([{ ending: 'lost', decision: 'again' }]);
  });

  test('because a worker at another place took over has ended; that worker comes again later', async () => {
    const agenda = await add();
    await start(agenda);
    expect(await start(agenda, { place: 'there' })).toEqual({ verdict: 'later', inMilliseconds: expect.any(Number) });
    expect(await launchesOf(agenda)).toMatchObject([
      { ending: 'lost', code: 'placeGone', decision: 'again', waits: true },
    ]);
    // The first was only slow: its launch is over all the same.
    expect(await progress(agenda, {})).toEqual({ verdict: 'over' });
    await endWait(agenda);
    expect(await start(agenda, { place: 'there' })).toMatchObject({ verdict: 'run', launch: 2 });
    expect(await launchesOf(agenda)).toMatchObject([{ place: 'here' }, { place: 'there', ending: null }]);
  });

  test('five times by changes of place ends the Operation', async () => {
    const agenda = await add();
    await start(agenda);
    for (let launch = 2; launch <= 5; launch++) {
      await start(agenda, { place: `place ${launch}` });
      await endWait(agenda);
      expect(await start(agenda, { place: `place ${launch}` })).toMatchObject({ launch });
    }
    expect(await start(agenda, { place: 'one more' })).toEqual({ verdict: 'ended', outcome: 'failed' });
    expect(await rowOf(agenda)).toMatchObject({
      state: 'COMPLETE',
      launch: 5,
      category: 'infrastructure',
      code: 'placeGone',
    });
  });
});

describe('a pool worker of version 0.1.0', () => {
  const old: Partial<StartOperationItem> = { understands: [] };

  test('gets the next launch at once, and the one before has its row', async () => {
    const agenda = await add();
    await start(agenda, old);
    expect(await start(agenda, { ...old, lostLaunch: 1 })).toMatchObject({ verdict: 'run', launch: 2 });
    expect(await start(agenda, { ...old, place: 'there' })).toMatchObject({ verdict: 'run', launch: 3 });
    expect(await launchesOf(agenda)).toMatchObject([
      { launch: 1, ending: 'lost', code: 'lost', decision: 'again' },
      { launch: 2, ending: 'lost', code: 'placeGone', decision: 'again' },
      { launch: 3, ending: null, place: 'there' },
    ]);
    expect(await rowOf(agenda)).toMatchObject({ state: 'EXECUTING', launch: 3, waits: false });
  });

  test('has the last word: what it reports as failed has ended, with the category of its last event', async () => {
    const agenda = await add({ name: 'only' }, { name: 'other' });
    await start(agenda, old);
    const own = { code: 'myOwn', message: 'as the handler says' };
    await finish(agenda, { diagnosticEvents: [own, { code: 'runLimit', message: 'too long' }] });
    expect(await rowOf(agenda)).toMatchObject({ state: 'COMPLETE', category: 'timeout', code: 'runLimit' });
    await start(agenda, { ...old, operation: 'other' });
    expect(await finish(agenda, { operation: 'other', diagnosticEvents: [own] })).toEqual(failed);
    expect(await rowOf(agenda, 'other')).toMatchObject({ category: 'handler', code: 'reportedFailure' });
  });
});

test('an Operation is handed out only when all it depends on has succeeded; an early ask changes nothing', async () => {
  const agenda = await add(
    { name: 'a' },
    { name: 'b', payload: '@<a.out>', dependencies: [0] },
    { name: 'c', dependencies: [1] },
  );
  const early = { verdict: 'later', inMilliseconds: expect.any(Number) };
  const untouched = { state: 'WAITING', message: 'pending', launch: 0, events: null };
  expect(await start(agenda, { operation: 'b' })).toEqual(early);
  await start(agenda, { operation: 'a' });
  expect(await start(agenda, { operation: 'b' })).toEqual(early);
  expect(await start(agenda, { operation: 'b', understands: [] })).toEqual(early);
  expect(await rowOf(agenda, 'b')).toMatchObject(untouched);
  await finish(agenda, { operation: 'a', outcome: 'succeeded', result: '7' });
  expect(await start(agenda, { operation: 'c' })).toEqual(early);
  expect(await start(agenda, { operation: 'b' })).toMatchObject({ verdict: 'run', payload: '7' });
  await finish(agenda, { operation: 'b', outcome: 'failed' });
  expect(await start(agenda, { operation: 'c' })).toEqual(early);
  expect(await rowOf(agenda, 'c')).toMatchObject(untouched);
  expect(await launchesOf(agenda)).toHaveLength(2);
});

test('S6: what a pool worker asks finds Operations by index while the record is young and never analysed', async () => {
  await using own = await testDatabase();
  const many = Array.from({ length: 499 }, (_, n) => ({ name: `o${n}` }));
  const operations = [...many, { name: 'next', payload: '@<o0.out>', dependencies: [0] }];
  const { agendaId, attempt, resourcePoolId } = await addRunningAgenda(own, { operations });
  const those = operations.slice(0, 20).map(({ name: operation }) => ({ agendaId, attempt, operation }));
  const asked = await genericPlansOf(own, async () => {
    const started = those.map((item) => ({ ...item, place: 'here', worker: 'w' }));
    await startOperations(own, resourcePoolId, started);
    const first = those.map((item) => ({ ...item, operationAttempt: 1, launch: 1 }));
    await reportProgress(
      own,
      resourcePoolId,
      first.map((item) => ({ ...item, percentComplete: 50 })),
    );
    await finishOperations(
      own,
      resourcePoolId,
      first.map((item) => ({ ...item, outcome: 'succeeded', result: '7' })),
    );
    const next = { agendaId, attempt, operation: 'next', place: 'here', worker: 'w' };
    const { verdicts } = await startOperations(own, resourcePoolId, [next]);
    expect(verdicts).toMatchObject([{ verdict: 'run', payload: '7' }]);
  });
  expect(asked.filter((plan) => plan.includes('Update on operation_progress'))).toHaveLength(4);
  expect(asked.filter((plan) => /Seq Scan on (operation|running_agenda|event)/.test(plan))).toEqual([]);
});
