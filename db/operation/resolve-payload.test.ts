import { afterAll, beforeAll, expect, test } from 'vitest';
import { maximumReferencedBytes } from '../../agenda/resolve-payload.ts';
import type { Json } from '../../agenda/types.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addAgenda, addInsight } from '../../test/support/test-records.ts';
import { resolvePayloads } from './resolve-payload.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

/** An Agenda whose Operations `s0`, `s1` … succeeded with these results. */
async function withResults(results: readonly Json[]): Promise<string> {
  const operations = results.map((_, n) => ({ name: `s${n}` }));
  const { agendaId } = await addAgenda(database, await addInsight(database), { operations });
  for (const [n, result] of results.entries()) {
    await database.$client`
      update operation_progress set processing_state = 'COMPLETE', processing_state_message = 'succeeded',
        result_payload = ${JSON.stringify(result)}
      where agenda_id = ${agendaId} and index = ${n}`;
  }
  return agendaId;
}
const resolve = (agendaId: string, ...payloads: Json[]) =>
  database.$client.begin((sql) =>
    resolvePayloads(
      sql,
      payloads.map((payload) => ({ agendaId, name: 'reader', payload: JSON.stringify(payload) })),
    ),
  );

test('small and large results come into payloads in the order asked, each Operation with its own', async () => {
  const large = 'x'.repeat(200_000);
  const agendaId = await withResults([{ a: [1, true] }, { large, n: 7 }]);
  expect(
    await resolve(agendaId, { it: '@<s0.out::/a/1>' }, '@<s1.out>', ['@<s1.out::/n>', '@<pop.operationName>'], 'plain'),
  ).toEqual([
    { payload: '{"it":true}' },
    { payload: JSON.stringify({ large, n: 7 }) },
    { payload: '[7,"reader"]' },
    { payload: '"plain"' },
  ]);
});

test('many payloads that name many results each get theirs', async () => {
  const agendaId = await withResults(Array.from({ length: 200 }, (_, n) => n));
  const names = Array.from({ length: 200 }, (_, n) => `@<s${n}.out>`);
  const resolved = await resolve(agendaId, names, 'plain', names.toReversed(), names);
  const numbers = Array.from({ length: 200 }, (_, n) => n);
  expect(resolved).toEqual(
    [numbers, 'plain', numbers.toReversed(), numbers].map((value) => ({ payload: JSON.stringify(value) })),
  );
});

test('results that together pass the limit are not read, and the largest are named', async () => {
  const count = Math.ceil(maximumReferencedBytes / 1_000_000) + 1;
  const agendaId = await withResults(Array.from({ length: count }, (_, n) => ['x'.repeat(1_000_000 + n), n]));
  const names = Array.from({ length: count }, (_, n) => `@<s${n}.out::/1>`);
  const [few, all] = await resolve(agendaId, names.slice(0, 3), names);
  expect(few).toEqual({ payload: '[0,1,2]' });
  expect(all).toMatchObject({
    fault: { code: 'payloadTooLarge', message: expect.stringContaining(`the limit is ${maximumReferencedBytes}`) },
  });
  expect(all).toMatchObject({ fault: { message: expect.stringContaining(`Referenced: s${count - 1}.out `) } });
});

test('a small payload that names one result many times is measured, not made', async () => {
  const agendaId = await withResults(['x'.repeat(900_000)]);
  const [resolved] = await resolve(
    agendaId,
    Array.from({ length: 10_000 }, () => '@<s0.out>'),
  );
  expect(resolved).toMatchObject({ fault: { code: 'payloadTooLarge' } });
});
