/** One answer to many starts, whatever their payloads weigh together. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Json, maximumPayloadBytes, maximumResolvedPayloadBytes } from '../../agenda/types.ts';
import { mostAnswerBytes } from '../../messages/limits.ts';
import type { StartOperationItem, StartVerdict } from '../../messages/resource-pool.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addInsight, addRunningAgenda, type TestAgenda } from '../../test/support/test-records.ts';
import { readOperations } from './fence.ts';
import { startOperations } from './start-operations.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const itemOf = ({ agendaId }: TestAgenda, operation: string): StartOperationItem => ({
  ...{ agendaId, attempt: 1, operation, place: 'here', worker: 'w', understands: ['later', 'elsewhere'] },
});
const startAll = async (agenda: TestAgenda, items: readonly StartOperationItem[]) =>
  (await startOperations(database, agenda.resourcePoolId, items)).verdicts;
const bytesOf = (verdict: StartVerdict): number =>
  verdict.verdict === 'run' ? Buffer.byteLength(verdict.payload) + Buffer.byteLength(verdict.lastProgress ?? '') : 0;
const states = async ({ agendaId }: TestAgenda) =>
  (
    await database.$client<{ state: string }[]>`
      select processing_state as state from operation_progress where agenda_id = ${agendaId} order by index`
  ).map(({ state }) => state);

/** Asks again for what had no room, as a pool worker does, and gives the answers of each request. */
async function ask(agenda: TestAgenda, names: readonly string[]): Promise<StartVerdict[][]> {
  const answers: StartVerdict[][] = [];
  for (let left = names; left.length > 0; ) {
    const verdicts = await startAll(
      agenda,
      left.map((name) => itemOf(agenda, name)),
    );
    answers.push(verdicts);
    const again = left.filter((_, n) => verdicts[n]?.verdict === 'later');
    expect(again.length).toBeLessThan(left.length);
    left = again;
  }
  return answers;
}

/** Readers of one result of 900,000 bytes, each with a payload of this. */
async function readers(count: number, payload: Json, result: Json = 'x'.repeat(900_000)) {
  const operations = [
    { name: 'first' },
    ...Array.from({ length: count }, (_, n) => ({ name: `r${n}`, payload, dependencies: [0] })),
  ];
  const agenda = await addRunningAgenda(database, { operations });
  await database.$client`
    update operation_progress set processing_state = 'COMPLETE', processing_state_message = 'succeeded',
      result_payload = ${JSON.stringify(result)}
    where agenda_id = ${agenda.agendaId} and index = 0`;
  return { agenda, names: Array.from({ length: count }, (_, n) => `r${n}`) };
}

test('payloads that references make large come in several answers, none above the limit, each once', async () => {
  const { agenda, names } = await readers(20, ['@<first.out>', '@<first.out>', '@<first.out>', '@<first.out>']);
  const answers = await ask(agenda, names);
  for (const verdicts of answers)
    expect(verdicts.reduce((sum, verdict) => sum + bytesOf(verdict), 0)).toBeLessThanOrEqual(mostAnswerBytes);
  expect(answers).toHaveLength(10);
  const runs = answers.flat().filter(({ verdict }) => verdict === 'run');
  expect(runs).toHaveLength(20);
  expect(runs.every((run) => bytesOf(run) === 3_600_013)).toBe(true);
  expect(runs.every((run) => run.verdict === 'run' && run.launch === 1)).toBe(true);
});

test('small payloads that point into large results come in several answers: what is read counts', async () => {
  const { agenda, names } = await readers(20, '@<first.out::/0>', [7, 'x'.repeat(900_000)]);
  const answers = await ask(agenda, names);
  expect(answers.map((verdicts) => verdicts.filter(({ verdict }) => verdict === 'run').length)).toEqual([9, 9, 2]);
  expect(
    answers.flat().every((each) => each.verdict === 'later' || (each as { payload?: string }).payload === '7'),
  ).toBe(true);
});

test('a small Agenda has room beside the large ones that were asked for before it', async () => {
  const insight = await addInsight(database);
  const payload = 'y'.repeat(maximumPayloadBytes - 2);
  const names = Array.from({ length: 12 }, (_, n) => `o${n}`);
  const large = await addRunningAgenda(database, { insight, operations: names.map((name) => ({ name, payload })) });
  const small = await addRunningAgenda(database, { insight, operations: [{ name: 'small', payload: 1 }] });
  const verdicts = await startAll(large, [...names.map((name) => itemOf(large, name)), itemOf(small, 'small')]);
  expect(verdicts.at(-1)).toMatchObject({ verdict: 'run', payload: '1' });
  expect(verdicts.map(({ verdict }) => verdict)).toEqual([
    ...Array.from({ length: 8 }, () => 'run'),
    ...Array.from({ length: 4 }, () => 'later'),
    'run',
  ]);
});

test('what had no room is as it was', async () => {
  const { agenda, names } = await readers(3, ['@<first.out>', '@<first.out>', '@<first.out>', '@<first.out>']);
  const verdicts = await startAll(
    agenda,
    names.map((name) => itemOf(agenda, name)),
  );
  expect(verdicts.map(({ verdict }) => verdict)).toEqual(['run', 'run', 'later']);
  expect(verdicts[2]).toEqual({ verdict: 'later', inMilliseconds: 0 });
  expect(await states(agenda)).toEqual(['COMPLETE', 'EXECUTING', 'EXECUTING', 'WAITING']);
});

test('payloads as submitted are not read beyond the limit either', async () => {
  const payload = 'y'.repeat(maximumPayloadBytes - 2);
  const operations = Array.from({ length: 12 }, (_, n) => ({ name: `o${n}`, payload }));
  const agenda = await addRunningAgenda(database, { operations });
  const answers = await ask(
    agenda,
    operations.map(({ name }) => name),
  );
  expect(answers.map((verdicts) => verdicts.filter(({ verdict }) => verdict === 'run').length)).toEqual([8, 4]);
});

test('what is beyond the limit is not even read', async () => {
  const payload = 'y'.repeat(998);
  const operations = Array.from({ length: 4 }, (_, n) => ({ name: `o${n}`, payload }));
  const agenda = await addRunningAgenda(database, { operations });
  const items = operations.map(({ name }) => itemOf(agenda, name));
  const read = async (mostBytes: number) => {
    const rows = await database.$client.begin((sql) =>
      readOperations(sql, agenda.resourcePoolId, items, { mostBytes }),
    );
    return rows.map(({ payload: text, beyond }) => [text?.length ?? 0, beyond]);
  };
  expect(await read(2_001)).toEqual([...[0, 1, 2].map(() => [1_000, false]), [0, true]]);
  expect(await read(2_000)).toEqual([...[0, 1].map(() => [1_000, false]), ...[2, 3].map(() => [0, true])]);
  expect(await read(1)).toEqual([[1_000, false], ...[1, 2, 3].map(() => [0, true])]);
});

test('what has ended is answered at once, however much of it comes before, and hides nothing', async () => {
  const payload = 'y'.repeat(maximumPayloadBytes - 2);
  const operations = Array.from({ length: 11 }, (_, n) => ({ name: `o${n}`, payload }));
  const agenda = await addRunningAgenda(database, { operations });
  await database.$client`
    update operation_progress set processing_state = 'COMPLETE', processing_state_message = 'succeeded'
    where agenda_id = ${agenda.agendaId} and index < 10`;
  const [first, second] = await ask(
    agenda,
    operations.map(({ name }) => name),
  );
  expect(first?.map(({ verdict }) => verdict)).toEqual([...Array.from({ length: 10 }, () => 'ended'), 'later']);
  expect(second).toMatchObject([{ verdict: 'run', payload: JSON.stringify(payload) }]);
});

test('a payload at the limit and the largest last progress fit into one answer', async () => {
  const most = maximumPayloadBytes;
  const fixed = Buffer.byteLength(JSON.stringify(['', '', '', '']));
  const size = (maximumResolvedPayloadBytes - fixed) / 4;
  const agenda = await addRunningAgenda(database, {
    operations: [
      { name: 'first' },
      { name: 'all', payload: Array.from({ length: 4 }, () => '@<first.out>'), dependencies: [0] },
      { name: 'more', payload: [...Array.from({ length: 4 }, () => '@<first.out>'), 'one more'], dependencies: [0] },
    ],
  });
  const at = ' '.repeat(most - '{"at":""}'.length);
  await database.$client`
    update operation_progress set processing_state = 'COMPLETE', processing_state_message = 'succeeded',
      result_payload = ${JSON.stringify('x'.repeat(Math.floor(size)))}
    where agenda_id = ${agenda.agendaId} and index = 0`;
  await database.$client`
    update operation_progress set processing_state = 'EXECUTING', launch = 1, attempt_count = 1, place = 'here',
      params = ${JSON.stringify({ at })}::text::json
    where agenda_id = ${agenda.agendaId} and index = 1`;
  const [all, more] = await startAll(agenda, [itemOf(agenda, 'all'), itemOf(agenda, 'more')]);
  expect(all).toMatchObject({ verdict: 'run', adopt: true });
  expect(all?.verdict === 'run' && Buffer.byteLength(all.payload)).toBeGreaterThan(maximumResolvedPayloadBytes - 4);
  expect(all?.verdict === 'run' && all.lastProgress?.includes(at)).toBe(true);
  expect(more).toEqual({ verdict: 'ended', outcome: 'failed' });
});

test('a worker of version 0.1.0, which knows no waits, gets all in one answer', async () => {
  const { agenda, names } = await readers(3, ['@<first.out>', '@<first.out>', '@<first.out>', '@<first.out>']);
  const old = names.map((name) => ({ ...itemOf(agenda, name), understands: undefined }));
  expect((await startAll(agenda, old)).map(({ verdict }) => verdict)).toEqual(['run', 'run', 'run']);
});
