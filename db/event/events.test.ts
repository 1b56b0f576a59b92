/** Events of Agendas on their way through the record. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FinishOperationItem } from '../../messages/resource-pool.ts';
import { eventsAgainstRecord } from '../../test/support/events-against-record.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import {
  addAgenda,
  addInsight,
  addRunningAgenda,
  freshId,
  type TestAgenda,
  type TestInsight,
} from '../../test/support/test-records.ts';
import { admitBatch } from '../admission/admit-batch.ts';
import { cancelAgenda } from '../agenda/cancel-agenda.ts';
import { claimAttempt } from '../agenda/claim-attempt.ts';
import { fillOutcomes } from '../agenda/fill-outcomes.ts';
import { finishAgenda } from '../agenda/finish-agenda.ts';
import { settleOperations } from '../agenda/settle-operations.ts';
import { submitAgenda } from '../agenda/submit-agenda.ts';
import { finishOperations } from '../operation/finish-operations.ts';
import { startOperations } from '../operation/start-operations.ts';
import { sweep } from '../sweep.ts';
import { readEvents } from './read-events.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const start = (agenda: TestAgenda, operation: string, place = 'here') =>
  startOperations(database, agenda.resourcePoolId, [
    { agendaId: agenda.agendaId, attempt: agenda.attempt, operation, place, worker: 'w' },
  ]);
const finish = (agenda: TestAgenda, operation: string, more: Partial<FinishOperationItem> = {}) =>
  finishOperations(database, agenda.resourcePoolId, [
    ...[{ agendaId: agenda.agendaId, attempt: agenda.attempt, operation, operationAttempt: 1, launch: 1 }].map(
      (key) => ({
        ...{ ...key, outcome: 'succeeded' as const },
        ...more,
      }),
    ),
  ]);
const cancel = ({ agendaId }: { agendaId: string }) => cancelAgenda(database, { agendaId, actor: 'test' });

/** Number, kind and what more there is to it, without Operations' attempts. */
async function told({ agendaId }: { agendaId: string }): Promise<string[]> {
  return (await readEvents(database, agendaId, 0)).map(({ number, kind, index, launch, outcome, category, code }) =>
    [number, kind, ...[index, launch, outcome, category, code].filter((value) => value !== null)].join(' '),
  );
}
const rowsOf = ({ agendaId }: { agendaId: string }) => database.$client`
  select operation, processing_state as state, processing_state_message as message, outcome, diagnostic_events as events
  from operation_progress where agenda_id = ${agendaId} order by index`;
const progressOf = async ({ agendaId }: { agendaId: string }) =>
  (await database.$client`select * from agenda_progress where agenda_id = ${agendaId}`)[0] ?? {};
const isFailing = async (agenda: TestAgenda) => (await progressOf(agenda))['failing'];
const skippedBecause = (why: string) => [{ message: `Not started: ${why}`, code: 'skipped', time: expect.any(Number) }];

test('an Agenda that fails tells each step, and what never ran in it is skipped', async () => {
  const agenda = await addRunningAgenda(database, { operations: ['a', 'b', 'c', 'd'].map((name) => ({ name })) });
  await start(agenda, 'a');
  await start(agenda, 'b');
  await finish(agenda, 'a');
  expect(await isFailing(agenda)).toBe(false);
  await finish(agenda, 'b', { outcome: 'failed', diagnosticEvents: [{ message: 'exit 1', code: 'exitCode' }] });
  expect(await isFailing(agenda)).toBe(true);
  await start(agenda, 'c');
  await finishAgenda(database, agenda, { outcome: 'failed' });
  expect(await told(agenda)).toEqual([
    '1 agenda.submitted',
    '2 agenda.admitted',
    '3 agenda.executing',
    '4 operation.executing 0 1',
    '5 operation.executing 1 1',
    '6 operation.complete 0 1 succeeded',
    '7 operation.complete 1 1 failed handler exitCode',
    '8 agenda.failing',
    '9 operation.executing 2 1',
    '10 operation.complete 2 1 abandoned infrastructure abandoned',
    '11 operation.complete 3 skipped',
    '12 agenda.complete failed',
  ]);
  const [last, ...none] = await readEvents(database, agenda.agendaId, 11);
  expect(none).toEqual([]);
  expect(last).toMatchObject({ kind: 'agenda.complete', message: 'exit 1', attempt: 1 });
  expect(await rowsOf(agenda)).toMatchObject([
    { operation: 'a', outcome: 'succeeded' },
    { operation: 'b', message: 'failed', outcome: 'failed' },
    { operation: 'c', message: 'abandoned', outcome: 'abandoned' },
    {
      ...{ operation: 'd', state: 'COMPLETE', message: 'skipped', outcome: 'skipped' },
      events: skippedBecause('Operation b failed'),
    },
  ]);
  expect(await progressOf(agenda)).toMatchObject({ outcome: 'failed', percent_complete: 25, failing: true });
});

test('a limit that passed is the outcome timedOut, and POP`s message stays failed', async () => {
  const agenda = await addRunningAgenda(database, { operations: [{ name: 'a' }, { name: 'b' }] });
  await start(agenda, 'a');
  await finish(agenda, 'a', { outcome: 'failed', ending: 'timedOut', category: 'timeout', code: 'runLimit' });
  await finishAgenda(database, agenda, { outcome: 'failed' });
  expect(await rowsOf(agenda)).toMatchObject([
    { message: 'failed', outcome: 'timedOut' },
    { outcome: 'skipped', events: skippedBecause('Operation a timed out') },
  ]);
  expect(await told(agenda)).toContain('5 operation.complete 0 1 timedOut timeout runLimit');
});

test('a launch that is lost is retried, with its category and code', async () => {
  const agenda = await addRunningAgenda(database);
  await start(agenda, 'only');
  await start(agenda, 'only', 'there');
  await finish(agenda, 'only', { launch: 2 });
  expect((await told(agenda)).slice(3)).toEqual([
    '4 operation.executing 0 1',
    '5 operation.retrying 0 1 infrastructure placeGone',
    '6 operation.executing 0 2',
    '7 operation.complete 0 2 succeeded',
  ]);
  expect(await isFailing(agenda)).toBe(false);
});

test('what cannot begin, such as with a reference to nothing, ends and makes the Agenda fail', async () => {
  const agenda = await addRunningAgenda(database, { operations: [{ name: 'only', payload: '@<nothing>' }] });
  await start(agenda, 'only');
  expect((await told(agenda)).slice(2)).toEqual([
    '3 agenda.executing',
    '4 operation.complete 0 1 failed data invalidReference',
    '5 agenda.failing',
  ]);
  expect(await isFailing(agenda)).toBe(true);
});

test('an end that the workflow gives counts as one that was reported, and only where there was none', async () => {
  const agenda = await addRunningAgenda(database, { operations: [{ name: 'a' }, { name: 'b' }] });
  await start(agenda, 'a');
  await finish(agenda, 'a');
  await settleOperations(database, agenda, [{ index: 0, without: 'failed' }, { index: 1 }]);
  expect(await isFailing(agenda)).toBe(false);
  await start(agenda, 'b');
  await settleOperations(database, agenda, [{ index: 1, without: 'failed', fault: 'the worker is gone' }]);
  expect(await isFailing(agenda)).toBe(true);
  expect((await told(agenda)).slice(5)).toEqual([
    '6 operation.executing 1 1',
    '7 operation.complete 1 1 failed infrastructure noEnding',
    '8 agenda.failing',
  ]);
  expect((await readEvents(database, agenda.agendaId, 6))[0]).toMatchObject({ message: 'the worker is gone' });
  expect(await rowsOf(agenda)).toMatchObject([{ outcome: 'succeeded' }, { message: 'failed', outcome: 'failed' }]);
});

test('one that is cancelled while it waits, or before it was made ready, ends whole', async () => {
  const insight = await addInsight(database);
  const [waiting, unready] = [await addAgenda(database, insight), await addAgenda(database, insight)];
  await database.$client`delete from ready_agenda where agenda_id = ${unready.agendaId}`;
  for (const [agenda, why] of [
    [waiting, 'while waiting'],
    [unready, 'before it was made ready'],
  ] as const) {
    await cancel(agenda);
    await cancel(agenda);
    expect(await told(agenda)).toEqual([
      '1 agenda.submitted',
      '2 agenda.cancelRequested',
      '3 operation.complete 0 skipped',
      '4 agenda.complete cancelled',
    ]);
    expect(await rowsOf(agenda)).toMatchObject([
      {
        state: 'COMPLETE',
        message: 'skipped',
        outcome: 'skipped',
        events: skippedBecause(`the Agenda was cancelled ${why}`),
      },
    ]);
    expect(await progressOf(agenda)).toMatchObject({ outcome: 'cancelled' });
  }
});

test('one that is cancelled while it runs ends whole', async () => {
  const agenda = await addRunningAgenda(database, { operations: [{ name: 'a' }, { name: 'b' }] });
  await start(agenda, 'a');
  await cancel(agenda);
  await cancel(agenda);
  await finish(agenda, 'a', { outcome: 'cancelled' });
  await finishAgenda(database, agenda, { outcome: 'cancelled' });
  expect((await told(agenda)).slice(4)).toEqual([
    '5 agenda.cancelRequested',
    '6 operation.complete 0 1 cancelled cancelled cancelled',
    '7 agenda.failing',
    '8 operation.complete 1 skipped',
    '9 agenda.complete cancelled',
  ]);
  expect((await rowsOf(agenda))[1]).toMatchObject({ events: skippedBecause('the Agenda was cancelled') });
});

test.each(['workflow terminated', 'Temporal refused to start this Agenda: why'])(
  'one whose workflow cannot go on says so in what never ran: %s',
  async (message) => {
    const agenda = await addRunningAgenda(database);
    await finishAgenda(database, agenda, { outcome: 'failed', message });
    expect(await rowsOf(agenda)).toMatchObject([{ outcome: 'skipped', events: skippedBecause(message) }]);
  },
);

test('one that began under a version without events ends with outcomes; the recount leaves it out', async () => {
  const agenda = await addRunningAgenda(database, { operations: [{ name: 'a' }, { name: 'b' }] });
  const sql = database.$client;
  await sql`delete from event where agenda_id = ${agenda.agendaId}`;
  await sql`
    update operation_progress set processing_state = 'COMPLETE', processing_state_message = 'failed'
    where agenda_id = ${agenda.agendaId} and index = 0`;
  await finishAgenda(database, agenda, { outcome: 'failed' });
  expect(await told(agenda)).toEqual(['1 operation.complete 1 skipped', '2 agenda.complete failed']);
  expect(await rowsOf(agenda)).toMatchObject([{ outcome: 'failed' }, { outcome: 'skipped' }]);
  expect(await eventsAgainstRecord(database)).toEqual([]);
});

test('after failures nothing of ended Agendas waits', async () => {
  const sql = database.$client;
  const [row] = await sql`
    select count(*)::int as waiting from operation_progress p join agenda_progress g using (agenda_id)
    where g.processing_state = 'COMPLETE'
      and (p.processing_state <> 'COMPLETE' or p.outcome is null or g.outcome is null)`;
  expect(row).toEqual({ waiting: 0 });
});

test('submissions, admissions, starts, ends, cancels and sweeps at once leave events that fit the record', async () => {
  const insight = await addInsight(database, { queueSize: 1_000 });
  const customerId = freshId('customer');
  await database.$client`
    insert into customer (id, cid, customer_id, title, resource_pool_id)
    values (${customerId}, 'c', 'owner', 'C', ${insight.resourcePoolId})`;
  await database.$client`
    update insight set is_global = true, mappers = '{"always":[]}'::json where id = ${insight.insightId}`;
  const names = ['a', 'b', 'c'];
  const travel = async (n: number): Promise<void> => {
    const submitted = await submitAgenda(database, {
      agenda: { customerId, operations: names.map((name) => ({ name, type: 'sample' })) },
      dependencies: [[], [], []],
      ...{ actor: 'test', cid: 'test' },
    });
    if (submitted.kind !== 'created') throw new Error(JSON.stringify(submitted));
    const agenda = { agendaId: submitted.agendaId, attempt: 1, ...insight };
    const first = n % 4 === 0 ? [cancel(agenda)] : [];
    await Promise.all([...first, admitBatch(database, { insightId: insight.insightId, batchId: freshId('batch') })]);
    await claimAttempt(database, { ...agenda, runId: 'run' });
    await Promise.all([
      ...names.map((name) => start(agenda, name)),
      ...names.map((name) => start(agenda, name, n % 3 === 0 ? 'there' : 'here')),
      ...names.map((name, index) => finish(agenda, name, { outcome: index === n % 5 ? 'failed' : 'succeeded' })),
      settleOperations(database, agenda, [{ index: n % 3, without: 'failed' }]),
      sweep(database, { quietSeconds: 0, sweepSeconds: 0 }),
      fillOutcomes(database),
      ...(n % 3 === 0 ? [cancel(agenda), cancel(agenda)] : []),
      ...(n % 2 === 0 ? [finishAgenda(database, agenda, { outcome: 'failed' })] : []),
    ]);
  };
  const agendas = 24;
  await Promise.all(Array.from({ length: agendas }, (_, n) => travel(n)));
  expect(await eventsAgainstRecord(database)).toEqual([]);
  await endAll(insight);
  expect(await eventsAgainstRecord(database)).toEqual([]);
  const [ends] = await database.$client`
    select count(*)::int as count from event e join agenda a on a.id = e.agenda_id
    where a.insight_id = ${insight.insightId} and e.kind = 'agenda.complete'`;
  expect(ends).toEqual({ count: agendas });
});

async function endAll({ insightId }: TestInsight): Promise<void> {
  const open = await database.$client<{ agendaId: string }[]>`
    select g.agenda_id as "agendaId" from agenda_progress g join agenda a on a.id = g.agenda_id
    where a.insight_id = ${insightId} and g.processing_state <> 'COMPLETE'`;
  for (const { agendaId } of open) {
    await cancel({ agendaId });
    await finishAgenda(database, { agendaId, attempt: 1 }, { outcome: 'cancelled' });
  }
}

test('the recount finds what does not fit: a state without its event, an event without its state, a gap', async () => {
  const changes = [
    (agenda: TestAgenda) => database.$client`
      update operation_progress set processing_state = 'COMPLETE', outcome = 'failed'
      where agenda_id = ${agenda.agendaId}`,
    (agenda: TestAgenda) =>
      database.$client`update agenda_progress set failing = true where agenda_id = ${agenda.agendaId}`,
    (agenda: TestAgenda) => database.$client`delete from running_agenda where agenda_id = ${agenda.agendaId}`,
    (agenda: TestAgenda) => database.$client`delete from event where agenda_id = ${agenda.agendaId} and number = 2`,
    (agenda: TestAgenda) => database.$client`
      insert into event (agenda_id, number, attempt, kind) values (${agenda.agendaId}, 3, 1, 'agenda.failing')`,
  ];
  const broken: string[] = [];
  for (const change of changes) {
    const agenda = await addRunningAgenda(database);
    await change(agenda);
    broken.push(agenda.agendaId);
  }
  const found = new Set((await eventsAgainstRecord(database)).map((difference) => difference.split(':')[0]));
  expect([...found].toSorted()).toEqual(broken.toSorted());
});

test('nothing else writes events', () => {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const rooms = ['activities', 'agenda', 'api', 'cli', 'db', 'machine', 'process', 'temporal', 'workers', 'workflows'];
  const rawWrite = /(insert\s+into|update|delete\s+from|truncate|merge\s+into)\s+"?event\b/i;
  const builtWrite = /\b(insert|update|delete)\(event\)/;
  const writers = rooms.flatMap((room) =>
    readdirSync(`${root}${room}`, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .map((file) => `${room}/${file}`)
      .filter((file) => {
        const text = readFileSync(`${root}${file}`, 'utf8');
        return rawWrite.test(text) || builtWrite.test(text);
      }),
  );
  expect(writers).toEqual(['db/event/write-events.ts']);
});
