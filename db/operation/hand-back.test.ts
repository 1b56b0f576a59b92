import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { aliveSeconds, elsewhere, registryHours, type StartOperationItem } from '../../messages/resource-pool.ts';
import { eventsAgainstRecord } from '../../test/support/events-against-record.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addRunningAgenda, type TestAgenda } from '../../test/support/test-records.ts';
import { cancelAgenda } from '../agenda/cancel-agenda.ts';
import { finishAgenda } from '../agenda/finish-agenda.ts';
import { tellWorker } from '../pool/tell-worker.ts';
import { startOperations } from './start-operations.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const tell = ({ resourcePoolId }: TestAgenda, worker: string, ...types: string[]) =>
  tellWorker(database, resourcePoolId, {
    ...{ worker, version: '0', slots: 4, startedTime: 1, registryDigest: types.join() },
    types: Object.fromEntries(types.map((type) => [type, {}])),
  });

/** As the worker `asking` asks, which does not serve the type `strange`. */
const ask = async (agenda: TestAgenda, more: Partial<StartOperationItem> = {}) => {
  const { agendaId, attempt, resourcePoolId } = agenda;
  const item = { agendaId, attempt, operation: 'only', type: 'strange', place: 'here', worker: 'asking' };
  return (await startOperations(database, resourcePoolId, [{ ...item, understands: ['later', elsewhere], ...more }]))
    .verdicts[0];
};
const running = () => addRunningAgenda(database, { operations: [{ name: 'only', type: 'strange' }] });
const rowOf = async ({ agendaId }: TestAgenda) =>
  (await database.$client`select * from operation_progress where agenda_id = ${agendaId}`)[0];
const age = (agenda: TestAgenda, table: 'pool_worker' | 'pool_registry', seconds: number) => database.$client`
  /* test: age */
  update ${database.$client(table)} set seen_time = seen_time - make_interval(secs => ${seconds})
  where resource_pool_id = ${agenda.resourcePoolId}`;

describe('an Operation of a type that the asking worker does not serve', () => {
  test('is handed back while another worker serves it, soon at first: nothing is spent, and it says why', async () => {
    const agenda = await running();
    await tell(agenda, 'asking', 'other');
    await tell(agenda, 'serving', 'other', 'strange');
    const first = await ask(agenda);
    expect(first).toMatchObject({ verdict: 'elsewhere', reason: expect.stringContaining('"strange"') });
    expect(first?.verdict === 'elsewhere' && first.inMilliseconds).toBeLessThanOrEqual(120);
    const row = await rowOf(agenda);
    expect(row).toMatchObject({ processing_state: 'WAITING', launch: 0, attempt_count: 0, failure_code: null });
    expect(row).toMatchObject({
      blocked_reason: expect.stringMatching(/^It waits for a pool worker that serves .*"strange"/),
      blocked_since: expect.stringMatching(/^20/),
    });
    expect(await database.$client`select from operation_attempt where agenda_id = ${agenda.agendaId}`).toHaveLength(0);
    // The one that serves it gets it, and nothing is left of that.
    expect(await ask(agenda, { worker: 'serving', launcher: 'local' })).toMatchObject({ verdict: 'run', launch: 1 });
    expect(await rowOf(agenda)).toMatchObject({
      launch: 1,
      attempt_count: 1,
      blocked_reason: null,
      blocked_since: null,
    });
    expect(await eventsAgainstRecord(database)).toEqual([]);
  });

  test('waits longer the longer it is handed back, never longer than 5 s', async () => {
    const agenda = await running();
    await tell(agenda, 'serving', 'strange');
    await ask(agenda);
    const since = (seconds: number) => database.$client`
      update operation_progress set blocked_since = clock_timestamp() - make_interval(secs => ${seconds})
      where agenda_id = ${agenda.agendaId}`;
    const waitAfter = async (seconds: number) => {
      await since(seconds);
      const verdict = await ask(agenda);
      return verdict?.verdict === 'elsewhere' ? verdict.inMilliseconds : Number.NaN;
    };
    expect(await waitAfter(1)).toBeGreaterThanOrEqual(800);
    expect(await waitAfter(600)).toBeGreaterThanOrEqual(4_000);
    expect(await waitAfter(600)).toBeLessThanOrEqual(6_000);
  });

  test('waits while one of late did serve it, and is handed out once nobody remembers', async () => {
    const agenda = await running();
    await tell(agenda, 'serving', 'strange');
    await age(agenda, 'pool_worker', aliveSeconds + 1);
    await tell(agenda, 'asking', 'other');
    expect(await ask(agenda)).toMatchObject({ verdict: 'elsewhere', reason: expect.stringMatching(/^No pool worker/) });
    await age(agenda, 'pool_registry', registryHours * 3_600 + 1);
    await tell(agenda, 'asking', 'other');
    expect(await ask(agenda)).toMatchObject({ verdict: 'run', launch: 1 });
  });

  test('is no longer handed back to one that left in order, but to who it served last', async () => {
    const agenda = await running();
    await tell(agenda, 'serving', 'strange');
    await tellWorker(database, agenda.resourcePoolId, {
      ...{ worker: 'serving', version: '0', slots: 4, startedTime: 1, registryDigest: 'strange' },
      ...{ types: { strange: {} }, leaving: true },
    });
    expect(await ask(agenda)).toMatchObject({ verdict: 'elsewhere', reason: expect.stringMatching(/^No pool worker/) });
  });

  test('is handed out where the asker is the only one that ever served it, or understands no hand-back', async () => {
    const [agenda, old] = [await running(), await running()];
    expect(await ask(agenda)).toMatchObject({ verdict: 'run' });
    await tell(old, 'serving', 'strange');
    expect(await ask(old, { understands: ['later'] })).toMatchObject({ verdict: 'run' });
  });

  test('keeps its launch where one runs, which does not show as blocked', async () => {
    const agenda = await running();
    await tell(agenda, 'serving', 'strange');
    await ask(agenda, { worker: 'serving', launcher: 'local' });
    expect(await ask(agenda, { place: 'there' })).toMatchObject({ verdict: 'elsewhere' });
    expect(await rowOf(agenda)).toMatchObject({ launch: 1, processing_state: 'EXECUTING', blocked_reason: null });
    expect(await ask(agenda, { worker: 'serving', launcher: 'local' })).toMatchObject({ verdict: 'run', adopt: true });
  });

  test('can be cancelled, and what ends it leaves nothing of the wait', async () => {
    const [cancelled, over] = [await running(), await running()];
    for (const agenda of [cancelled, over]) {
      await tell(agenda, 'serving', 'strange');
      await ask(agenda);
    }
    await cancelAgenda(database, { agendaId: cancelled.agendaId, actor: 'test', cid: 'test' });
    expect(await ask(cancelled)).toEqual({ verdict: 'cancelled' });
    await finishAgenda(database, { agendaId: over.agendaId, attempt: 1, runId: 'run' }, { outcome: 'failed' });
    expect(await rowOf(over)).toMatchObject({ outcome: 'skipped', blocked_reason: null, blocked_since: null });
    expect(await eventsAgainstRecord(database)).toEqual([]);
  });

  test('is told apart from the others of a request', async () => {
    const agenda = await addRunningAgenda(database, {
      operations: [
        { name: 'a', type: 'strange' },
        { name: 'b', type: 'sample' },
      ],
    });
    await tell(agenda, 'serving', 'strange');
    const item = { agendaId: agenda.agendaId, attempt: 1, place: 'here', worker: 'asking', understands: [elsewhere] };
    const { verdicts } = await startOperations(database, agenda.resourcePoolId, [
      { ...item, operation: 'a', type: 'strange' },
      { ...item, operation: 'b', type: 'sample', launcher: 'local' },
    ]);
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(['elsewhere', 'run']);
  });
});
