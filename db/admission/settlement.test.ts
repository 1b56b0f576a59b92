import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Agenda } from '../../agenda/types.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addInsight, addPool, freshId, type TestInsight } from '../../test/support/test-records.ts';
import { cancelAgenda } from '../agenda/cancel-agenda.ts';
import { changePriority } from '../agenda/change-priority.ts';
import { claimAttempt } from '../agenda/claim-attempt.ts';
import { finishAgenda } from '../agenda/finish-agenda.ts';
import { submitAgenda } from '../agenda/submit-agenda.ts';
import { customer } from '../schema.ts';
import { lockCustomer, settleCustomer, updateCustomer } from '../settings/customer.ts';
import { lockInsight, settleInsight, updateInsight } from '../settings/insight.ts';
import { admitBatch } from './admit-batch.ts';

let database: TestDatabase;
let first: TestInsight;
let second: TestInsight;
let customerId: string;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());
beforeEach(async () => {
  const resourcePoolId = await addPool(database);
  [first, second] = [await addInsight(database, { resourcePoolId }), await addInsight(database, { resourcePoolId })];
  for (const { insightId } of [first, second])
    await database.$client`
      update insight
      set is_global = true, mappers = ${JSON.stringify({ operationType: [insightId] })}::text::json
      where id = ${insightId}`;
  customerId = freshId('customer');
  await database.insert(customer).values({ id: customerId, cid: 'test', customerId, title: 'A', resourcePoolId });
});

const submit = async ({ insightId }: TestInsight, more: Partial<Agenda> = {}): Promise<string> => {
  const agenda: Agenda = { customerId, operations: [{ name: 'a', type: insightId }], ...more };
  const answer = await submitAgenda(database, {
    agenda,
    dependencies: agenda.operations.map(() => []),
    actor: 'test',
    cid: 'cid',
  });
  if (answer.kind !== 'created') throw new Error(JSON.stringify(answer));
  return answer.agendaId;
};
const admit = ({ insightId }: TestInsight) => admitBatch(database, { insightId, batchId: freshId('batch') });
const reprioritise = (agendaId: string, priority: number) =>
  changePriority(database, { agendaId, priority, actor: 'somebody', cid: 'c' });

/** What was told since the last look. */
async function told(): Promise<Record<string, unknown>[]> {
  const rows = await database.$client`
    with gone as (delete from settlement returning *)
    select kind, insight_id as "insightId", customer_id as "customerId", need, priority, promoted,
      agenda_id as "agendaId", attempt
    from gone order by number`;
  return rows.map((row) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)));
}

test('a submission waits with what it declared, and says so', async () => {
  const agendaId = await submit(first, {
    operations: ['b', 'a', 'b'].map((type, n) => ({ name: `${n}`, type: n === 1 ? first.insightId : type })),
    ...{ priority: -7, peak: { cpu: 0.5, memory: 2 ** 33 }, expectedSeconds: 90.5 },
  });
  const waiting = { insightId: first.insightId, customerId, need: '1,0.5,8589934592,0', priority: -7, promoted: 0 };
  expect(await told()).toEqual([{ kind: 'ready', ...waiting }]);
  const [row] = await database.$client`
    select w.need, w.priority, w.agenda_type, w.expected_seconds, w.is_due, w.ready_time = a.added_time
      and w.moved_time = a.added_time as "isNow",
      a.peak, a.priority as "agendaPriority", a.expected_seconds as "agendaSeconds", a.not_before
    from ready_agenda w join agenda a on a.id = w.agenda_id where a.id = ${agendaId}`;
  expect(row).toEqual({
    ...{
      need: waiting.need,
      priority: -7,
      agenda_type: `b,${first.insightId}×4`,
      expected_seconds: 90.5,
      is_due: true,
      isNow: true,
    },
    ...{ peak: { cpu: 0.5, memory: 2 ** 33 }, agendaPriority: -7, agendaSeconds: 90.5, not_before: null },
  });
});

test('slots of a peak count as declared, none included; without a peak it is one slot', async () => {
  await submit(first, { peak: { slots: 3 } });
  await submit(first, { peak: { slots: 0, gpu: 1 } });
  await submit(first);
  expect((await told()).map(({ need }) => need)).toEqual(['3,0,0,0', '0,0,0,1', '1,0,0,0']);
});

test('one not to be admitted before a time is not due until then; a time in the past does not count', async () => {
  const notBefore = 253_402_300_799_999;
  const later = await submit(first, { notBefore });
  const past = await submit(first, { notBefore: 1 });
  const never = await submit(first, { notBefore, params: { doNotRun: true } });
  const rows = await database.$client<{ agenda_id: string; is_due: boolean; ready: number; moved: number }[]>`
    select agenda_id, is_due, extract(epoch from ready_time) * 1000 as ready, extract(epoch
      from moved_time) * 1000 as moved
    from ready_agenda where customer_id = ${customerId}`;
  const of = (agendaId: string) => rows.find((row) => row.agenda_id === agendaId);
  expect(of(later)).toMatchObject({ is_due: false, ready: '253402300799999.000000', moved: '253402300799999.000000' });
  expect(of(past)).toMatchObject({ is_due: true });
  expect(Math.abs(Number(of(past)?.ready) - Date.now())).toBeLessThan(60_000);
  expect(of(never)).toBeUndefined();
  expect(await admit(first)).toMatchObject({ admitted: 1, againInSeconds: expect.any(Number) });
});

test('a cancel of one that waits tells that it is gone, of one that runs nothing', async () => {
  const agendaId = await submit(first, { priority: 3, peak: { slots: 2 } });
  const runs = await submit(second);
  expect((await admit(second)).admitted).toBe(1);
  await told();
  expect(await cancelAgenda(database, { agendaId, actor: 'test' })).toEqual({
    state: 'ended',
    wakeInsights: [first.insightId],
  });
  expect(await cancelAgenda(database, { agendaId, actor: 'test' })).toEqual({ state: 'over', wakeInsights: [] });
  expect((await cancelAgenda(database, { agendaId: runs, actor: 'test' })).state).toBe('requested');
  expect(await told()).toEqual([
    { kind: 'gone', insightId: first.insightId, customerId, need: '2,0,0,0', priority: 3, promoted: 0, agendaId },
  ]);
});

test('an end is told to its Insight, and to others where its customer waits under a limit over all', async () => {
  const [one, two] = [await submit(first), await submit(first)];
  expect((await admit(first)).admitted).toBe(2);
  await submit(second);
  await told();
  const ended = (agendaId: string) => ({ kind: 'ended', insightId: first.insightId, customerId, agendaId, attempt: 1 });
  await finishAgenda(database, { agendaId: one, attempt: 1 }, { outcome: 'succeeded' });
  await finishAgenda(database, { agendaId: one, attempt: 1 }, { outcome: 'failed' });
  expect(await told()).toEqual([ended(one)]);

  await database.$client`update customer set maximum_running = 2 where id = ${customerId}`;
  const answer = await finishAgenda(database, { agendaId: two, attempt: 1 }, { outcome: 'cancelled' });
  expect(answer.wakeInsights).toEqual([second.insightId]);
  expect(await told()).toEqual([ended(two), { kind: 'changed', insightId: second.insightId, customerId }]);
});

test('another priority is told, audited and woken for, once', async () => {
  const agendaId = await submit(first, { peak: { slots: 2 } });
  await database.$client`update ready_agenda set promoted = 2 where agenda_id = ${agendaId}`;
  await told();
  expect(await reprioritise(agendaId, 9)).toEqual({ state: 'waits', wakeInsights: [first.insightId] });
  expect(await reprioritise(agendaId, 9)).toEqual({ state: 'waits', wakeInsights: [] });
  expect(await told()).toEqual([
    { kind: 'ready', insightId: first.insightId, customerId, need: '2,0,0,0', priority: 9, promoted: 2 },
  ]);
  const [row] = await database.$client`
    select a.priority as agenda, w.priority as waiting, a.updated_time > a.added_time as "isUpdated" from agenda a
      join ready_agenda w on w.agenda_id = a.id
    where a.id = ${agendaId}`;
  expect(row).toEqual({ agenda: 9, waiting: 9, isUpdated: true });
  const entries = await database.$client`
    select actor, cid, customer_id, before, after from audit_entry
      where object_id = ${agendaId} and action = 'agenda.priority'`;
  expect([...entries]).toEqual([
    { actor: 'somebody', cid: 'c', customer_id: customerId, before: { priority: 0 }, after: { priority: 9 } },
  ]);
});

test('one that is not ready yet keeps its new priority; one that runs or has ended does not get any', async () => {
  const held = await submit(first, { params: { doNotRun: true } });
  const agendaId = await submit(first);
  expect((await admit(first)).admitted).toBe(1);
  await told();
  expect(await reprioritise(held, 4)).toEqual({ state: 'waits', wakeInsights: [] });
  expect(await reprioritise(agendaId, 4)).toEqual({ state: 'running', wakeInsights: [] });
  await finishAgenda(database, { agendaId, attempt: 1 }, { outcome: 'succeeded' });
  expect(await reprioritise(agendaId, 4)).toEqual({ state: 'over', wakeInsights: [] });
  expect(await reprioritise('nothing', 4)).toEqual({ state: 'over', wakeInsights: [] });
  expect((await told()).map(({ kind }) => kind)).toEqual(['ended']);
  const rows =
    await database.$client`select id, priority from agenda where customer_id = ${customerId} order by added_time`;
  expect([...rows]).toEqual([
    { id: held, priority: 4 },
    { id: agendaId, priority: 0 },
  ]);
});

test('each of two priorities of a customer gets its turn, however they came', async () => {
  await database.$client`update insight set maximum_running = 1 where id = ${first.insightId}`;
  const agendaIds: string[] = [];
  for (const priority of [0, 0, 7, 0]) {
    agendaIds.push(await submit(first, { priority }));
    await admit(first);
  }
  await reprioritise(agendaIds.at(-1) as string, 3);
  const started: string[] = [];
  for (const _ of agendaIds) {
    await admit(first);
    const [running] = await database.$client<
      { id: string }[]
    >`select agenda_id as id from running_agenda where customer_id = ${customerId}`;
    if (running === undefined) break;
    started.push(running.id);
    await finishAgenda(database, { agendaId: running.id, attempt: 1 }, { outcome: 'succeeded' });
  }
  expect(started.toSorted()).toEqual(agendaIds.toSorted());
});

test('submissions, cancels, priorities, ends, settings and admissions at once never deadlock', async () => {
  const insights = [first, second];
  const waiting: string[] = [];
  const rounds = Array.from({ length: 40 }, (_, n) => n);
  const jobs = rounds.flatMap((n): Promise<unknown>[] => {
    const insight = insights[n % 2] as TestInsight;
    const work = async (): Promise<void> => {
      const agendaId = await submit(insight, { priority: n % 7 });
      waiting.push(agendaId);
      const answers = await Promise.all([
        reprioritise(agendaId, (n * 3) % 11),
        n % 3 === 0 ? cancelAgenda(database, { agendaId, actor: 'test' }) : undefined,
        admit(insight),
        reprioritise(waiting[(n * 5) % waiting.length] as string, 5),
      ]);
      expect(answers).toHaveLength(4);
      await finishAgenda(database, { agendaId, attempt: 1 }, { outcome: n % 2 === 0 ? 'succeeded' : 'cancelled' });
    };
    const settings = database.transaction(async (writer) => {
      if (n % 2 === 0) {
        const before = await lockCustomer(writer, customerId);
        const after =
          before &&
          (await updateCustomer(writer, customerId, {
            ...before,
            weight: n + 1,
            maximumRunning: n % 4 === 0 ? 3 : null,
          }));
        if (before && after) await settleCustomer(writer, before, after);
      } else {
        const before = await lockInsight(writer, insight.insightId);
        const after = before && (await updateInsight(writer, insight.insightId, { ...before, weight: n + 1 }));
        if (before && after) await settleInsight(writer, before, after);
      }
    });
    return [work(), settings];
  });
  await Promise.all(jobs);
  // What is left ends as well, so each came to one end.
  for (let round = 0; round < 50; round += 1) {
    for (const insight of insights) await admit(insight);
    const running = await database.$client<
      { agenda_id: string }[]
    >`select agenda_id from running_agenda where customer_id = ${customerId}`;
    for (const { agenda_id: agendaId } of running)
      await finishAgenda(database, { agendaId, attempt: 1 }, { outcome: 'succeeded' });
    const [left] = await database.$client<{ n: number }[]>`
      select (select count(*) from ready_agenda where customer_id = ${customerId})::int as n`;
    if (left?.n === 0) break;
  }
  const ends = await database.$client<{ n: number; attempts: number }[]>`
    select count(*)::int as n, max(attempts_completed) as attempts from agenda_progress
    where customer_id = ${customerId} and processing_state = 'COMPLETE'`;
  expect(ends[0]).toEqual({ n: rounds.length, attempts: 1 });
  expect(await claimAttempt(database, { agendaId: waiting[0] as string, attempt: 1, runId: 'late' })).toEqual({
    kind: 'over',
  });
});
