import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addAgenda, addInsight, addRunningAgenda, freshId, type TestAgenda } from '../../test/support/test-records.ts';
import { admitBatch } from '../admission/admit-batch.ts';
import { finishOperations } from '../operation/finish-operations.ts';
import { startOperations } from '../operation/start-operations.ts';
import { cancelAgenda } from './cancel-agenda.ts';
import { claimAttempt, readPool } from './claim-attempt.ts';
import { finishAgenda } from './finish-agenda.ts';
import { readAdmittedTimes } from './read-progress.ts';
import { settleOperations } from './settle-operations.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const admitted = async () => {
  const insight = await addInsight(database);
  const agenda = await addAgenda(database, insight);
  await admitBatch(database, { insightId: insight.insightId, batchId: freshId('batch') });
  return agenda;
};
const begin = ({ resourcePoolId, agendaId, attempt }: TestAgenda, operation: string) =>
  startOperations(database, resourcePoolId, [{ agendaId, attempt, operation, place: 'here', worker: 'w' }]);
const end = ({ resourcePoolId, agendaId, attempt }: TestAgenda, operation: string, launch = 1) =>
  finishOperations(database, resourcePoolId, [
    { agendaId, attempt, operation, operationAttempt: 1, launch, outcome: 'succeeded' },
  ]);
const progressOf = async ({ agendaId }: TestAgenda) =>
  (await database.$client`select * from agenda_progress where agenda_id = ${agendaId}`)[0];
const statesOf = async ({ agendaId }: TestAgenda) =>
  (
    await database.$client<{ state: string; message: string }[]>`
      select processing_state as state, processing_state_message as message from operation_progress
        where agenda_id = ${agendaId} order by index`
  ).map(({ state, message }) => `${state} ${message}`);

test('the first run claims an attempt; another is told who holds it, until that is known to be closed', async () => {
  const agenda = await admitted();
  const claim = (runId: string, insteadOf?: string) =>
    claimAttempt(database, { ...agenda, runId, ...(insteadOf === undefined ? {} : { insteadOf }) });
  const of = (runId: string) => ({ runId, workflowId: null, firstRunId: null });
  const mine = { kind: 'claimed', resourcePoolId: agenda.resourcePoolId, cancelled: false };
  expect(await claim('one')).toEqual(mine);
  expect(await claim('one')).toEqual(mine);
  expect(await claim('two')).toEqual({ kind: 'heldBy', ...of('one') });
  expect(await claim('two', 'three')).toEqual({ kind: 'heldBy', ...of('one') });
  expect(await claim('two', 'one')).toEqual(mine);
  expect(await claim('one')).toEqual({ kind: 'heldBy', ...of('two') });
});

describe('runs of one chain', () => {
  const chain = (runId: string, firstRunId = 'first', workflowId = 'workflow') => ({ runId, workflowId, firstRunId });
  const claimOf = async ({ agendaId }: TestAgenda) =>
    (
      await database.$client`
        select run_id as "runId", workflow_id as "workflowId", first_run_id as "firstRunId" from running_agenda
        where agenda_id = ${agendaId}`
    )[0];

  test('take the claim over; a run of another chain or another workflow does not', async () => {
    const agenda = await admitted();
    const claim = (run: ReturnType<typeof chain>) => claimAttempt(database, { ...agenda, ...run });
    for (const runId of ['first', 'continued', 'reset']) {
      expect(await claim(chain(runId))).toMatchObject({ kind: 'claimed' });
      expect(await claimOf(agenda)).toEqual(chain(runId));
    }
    const held = { kind: 'heldBy', ...chain('reset') };
    expect(await claim(chain('other', 'other'))).toEqual(held);
    expect(await claim(chain('other', 'first', 'another workflow'))).toEqual(held);
    expect(await claimAttempt(database, { ...agenda, runId: 'other' })).toEqual(held);
    expect(await claimAttempt(database, { ...agenda, ...chain('other', 'other'), insteadOf: 'reset' })).toMatchObject({
      kind: 'claimed',
    });
    expect(await claimOf(agenda)).toEqual(chain('other', 'other'));
  });

  test('take over what a run of version 0.1.0 claimed, which wrote no chain down', async () => {
    const agenda = await admitted();
    await claimAttempt(database, { ...agenda, runId: 'first' });
    expect(await claimOf(agenda)).toEqual({ runId: 'first', workflowId: null, firstRunId: null });
    expect(await claimAttempt(database, { ...agenda, ...chain('other', 'other') })).toMatchObject({ kind: 'heldBy' });
    expect(await claimAttempt(database, { ...agenda, ...chain('reset') })).toMatchObject({ kind: 'claimed' });
  });

  test('end the attempt, whichever of them claimed it; others do not', async () => {
    const [claimed, old, without] = [await admitted(), await admitted(), await admitted()];
    await claimAttempt(database, { ...claimed, ...chain('continued') });
    await claimAttempt(database, { ...old, runId: 'first' });
    await claimAttempt(database, { ...without, ...chain('continued') });
    const finish = async (agenda: TestAgenda, run: { runId: string; firstRunId?: string; workflowId?: string }) =>
      (await finishAgenda(database, { ...agenda, ...run }, { outcome: 'succeeded' })).outcome;
    for (const agenda of [claimed, old]) {
      expect(await finish(agenda, chain('other', 'other'))).toBe('over');
      expect(await finish(agenda, chain('reset'))).toBe('succeeded');
    }
    expect(await finish(without, chain('reset', 'first', 'another workflow'))).toBe('over');
    expect(await finish(without, { runId: 'first' })).toBe('over');
    expect(await finish(without, { runId: 'continued' })).toBe('succeeded');
  });
});

test('one of many runs that claim at once gets the attempt', async () => {
  const agenda = await admitted();
  const claims = await Promise.all(
    Array.from({ length: 8 }, (_, n) => claimAttempt(database, { ...agenda, runId: `run-${n}` })),
  );
  expect(claims.filter(({ kind }) => kind === 'claimed')).toHaveLength(1);
  expect(new Set(claims.map(({ kind }) => kind))).toEqual(new Set(['claimed', 'heldBy']));
});

test('a claim of a waiting, ended or unknown Agenda, or another attempt, is over', async () => {
  const waiting = await addAgenda(database, await addInsight(database));
  const agenda = await admitted();
  expect(await claimAttempt(database, { ...waiting, runId: 'r' })).toEqual({ kind: 'over' });
  expect(await claimAttempt(database, { ...agenda, attempt: 2, runId: 'r' })).toEqual({ kind: 'over' });
  expect(await claimAttempt(database, { agendaId: 'nothing', attempt: 1, runId: 'r' })).toEqual({ kind: 'over' });
  await finishAgenda(database, agenda, { outcome: 'failed' });
  expect(await claimAttempt(database, { ...agenda, runId: 'r' })).toEqual({ kind: 'over' });
});

test('a claim that waited for a cancel sees it', async () => {
  const agenda = await admitted();
  const claim = await database.$client.begin(async (sql) => {
    await sql`select 1 from running_agenda where agenda_id = ${agenda.agendaId} for update`;
    const waiting = claimAttempt(database, { ...agenda, runId: 'r' });
    await expect
      .poll(async () =>
        Number((await database.$client`select count(*) as n from pg_locks where not granted`)[0]?.['n']),
      )
      .toBeGreaterThan(0);
    await sql`update agenda set cancel_requested_time = clock_timestamp() where id = ${agenda.agendaId}`;
    return { waiting };
  });
  expect(await claim.waiting).toMatchObject({ kind: 'claimed', cancelled: true });
});

test('the pool of an attempt is that of the running one', async () => {
  const agenda = await addRunningAgenda(database);
  expect(await readPool(database, agenda)).toBe(agenda.resourcePoolId);
  expect(await readPool(database, { ...agenda, attempt: 2 })).toBeUndefined();
});

test('settling reads endings, gives one where there is none, and refuses what comes late', async () => {
  const agenda = await addRunningAgenda(database, { operations: ['a', 'b', 'c', 'd'].map((name) => ({ name })) });
  for (const name of ['a', 'b', 'c']) await begin(agenda, name);
  await end(agenda, 'a');
  const all = [0, 1, 2, 3].map((index) => ({ index }));
  expect((await settleOperations(database, agenda, all))?.map(({ outcome }) => outcome)).toEqual([
    'succeeded',
    'executing',
    'executing',
    'waiting',
  ]);
  const given = [
    { index: 0, without: 'failed' as const },
    { index: 1, without: 'failed' as const, fault: 'lost\0\ud800' },
    { index: 2, without: 'abandoned' as const },
  ];
  const settled = [
    { index: 0, outcome: 'succeeded' },
    { index: 1, outcome: 'failed' },
    { index: 2, outcome: 'abandoned' },
  ];
  expect(await settleOperations(database, agenda, given)).toEqual(settled);
  expect(await settleOperations(database, agenda, given.toReversed())).toEqual(settled);
  const [row] = await database.$client`select launch, diagnostic_events from operation_progress
      where agenda_id = ${agenda.agendaId} and index = 1`;
  expect(row).toMatchObject({ launch: 2, diagnostic_events: [{ message: 'lost\ufffd\ufffd', code: 'noEnding' }] });
  expect(await end(agenda, 'b')).toEqual([{ verdict: 'over' }]);
  expect(await end(agenda, 'b', 2)).toEqual([{ verdict: 'stored', outcome: 'failed' }]);
  expect(await settleOperations(database, { ...agenda, attempt: 2 }, all)).toBeUndefined();
  expect(await settleOperations(database, agenda, [])).toEqual([]);
});

test('an Operation that stopped by a cancel the workflow has not heard of is cancelled, not failed', async () => {
  const agenda = await addRunningAgenda(database, { operations: [{ name: 'a' }, { name: 'b' }] });
  await begin(agenda, 'a');
  await cancelAgenda(database, { agendaId: agenda.agendaId, actor: 'test' });
  expect(
    await settleOperations(database, agenda, [
      { index: 0, without: 'failed', fault: 'cancelled' },
      { index: 1, without: 'abandoned' },
    ]),
  ).toEqual([
    { index: 0, outcome: 'cancelled' },
    { index: 1, outcome: 'abandoned' },
  ]);
});

test('an end gives the place back, once, and says whom to wake and what to log', async () => {
  const insight = await addInsight(database, { slots: 1 });
  const sibling = await addInsight(database, { resourcePoolId: insight.resourcePoolId });
  const agenda = await addRunningAgenda(database, { insight, operations: [{ name: 'a' }, { name: 'b' }] });
  await addAgenda(database, sibling);
  await begin(agenda, 'a');
  const first = await finishAgenda(database, { ...agenda, runId: 'run' }, { outcome: 'failed', message: 'why' });
  expect(first).toMatchObject({
    outcome: 'failed',
    wakeInsights: [sibling.insightId],
    line: { cid: 'test-cid', customerId: 'customer', insightId: insight.insightId },
  });
  expect(await finishAgenda(database, { ...agenda, runId: 'run' }, { outcome: 'succeeded' })).toEqual({
    outcome: 'over',
    wakeInsights: [],
  });
  expect(await progressOf(agenda)).toMatchObject({
    ...{ processing_state: 'COMPLETE', processing_state_message: 'failed', attempts_completed: 1, percent_complete: 0 },
    diagnostic_events: [{ message: 'why', code: 'failed' }],
  });
  expect(await statesOf(agenda)).toEqual(['COMPLETE abandoned', 'COMPLETE skipped']);
  const audit =
    await database.$client`select actor, action, after from audit_entry where object_id = ${agenda.agendaId}`;
  expect([...audit]).toEqual([{ actor: 'system', action: 'agenda.end', after: { outcome: 'failed', message: 'why' } }]);
  expect(await admitBatch(database, { insightId: sibling.insightId, batchId: freshId('batch') })).toMatchObject({
    admitted: 1,
  });
});

test('a failed end names the cause that its first failed Operation gave', async () => {
  const agenda = await admitted();
  await begin(agenda, 'only');
  await finishOperations(database, agenda.resourcePoolId, [
    {
      ...{ agendaId: agenda.agendaId, attempt: agenda.attempt, operation: 'only', operationAttempt: 1, launch: 1 },
      outcome: 'failed',
      diagnosticEvents: [{ message: 'the disk is full' }, { message: 'exit code 1' }],
    },
  ]);
  await finishAgenda(database, agenda, { outcome: 'failed', message: 'Failed to complete operation: only' });
  expect((await progressOf(agenda))?.diagnostic_events).toMatchObject([
    { message: 'Failed to complete operation: only: the disk is full' },
  ]);
});

test('the time of admission outlives the place that was held', async () => {
  const agenda = await admitted();
  const [running] =
    await database.$client`select admitted_time from running_agenda where agenda_id = ${agenda.agendaId}`;
  await finishAgenda(database, agenda, { outcome: 'succeeded' });
  expect((await progressOf(agenda))?.admitted_time).toEqual(running?.admitted_time);
  expect((await readAdmittedTimes(database, [agenda.agendaId])).get(agenda.agendaId)).toBeInstanceOf(Date);
});

test('an end by another run or of another attempt touches nothing; one that nobody claimed may be ended', async () => {
  const agenda = await addRunningAgenda(database);
  const over = { outcome: 'over', wakeInsights: [] };
  expect(await finishAgenda(database, { ...agenda, runId: 'other' }, { outcome: 'succeeded' })).toEqual(over);
  expect(await finishAgenda(database, { ...agenda, attempt: 2 }, { outcome: 'succeeded' })).toEqual(over);
  expect(await progressOf(agenda)).toMatchObject({ processing_state: 'WAITING' });
  const unclaimed = await admitted();
  expect(await finishAgenda(database, { ...unclaimed, runId: 'any' }, { outcome: 'succeeded' })).toMatchObject({
    outcome: 'succeeded',
  });
  expect(await progressOf(unclaimed)).toMatchObject({ percent_complete: 100, processing_state_message: 'succeeded' });
});

test('of many ends at once one counts', async () => {
  const agenda = await addRunningAgenda(database);
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, n) =>
      finishAgenda(database, agenda, { outcome: n % 2 === 0 ? 'failed' : 'cancelled' }),
    ),
  );
  expect(answers.filter(({ outcome }) => outcome !== 'over')).toHaveLength(1);
  expect(await progressOf(agenda)).toMatchObject({ attempts_completed: 1 });
});
