import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { type Agenda, customerId, TestSystem } from './test-system.ts';

let it: TestSystem;
beforeAll(async () => {
  it = await TestSystem.start();
});
afterEach(() => it.heal());
afterAll(() => it[Symbol.asyncDispose]());

const streams = 6;
const perStream = 15;

/** Submits under this key until an answer comes, as a careful customer does. Returns it, and how many tries it took. */
async function submitPatiently(key: string): Promise<{ agenda: Agenda; tries: number }> {
  const operations = [{ name: 'say', type: 'logMessages', payload: { logMessages: [key] } }];
  for (let tries = 1; ; tries += 1) {
    try {
      const { status, body } = await it.send(
        'POST',
        '/agenda',
        { customerId, title: key, operations },
        { 'Idempotency-Key': key },
      );
      if (status === 201) return { agenda: it.accepted(body), tries };
      // Another try of ours is still under way, or the api goes or comes: told to come again.
      expect([409, 503], JSON.stringify(body)).toContain(status);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
    await delay(50);
  }
}

test('kill -9 of the api during submission loses nothing accepted and doubles nothing', async () => {
  const answers: Awaited<ReturnType<typeof submitPatiently>>[] = [];
  const submitting = Promise.all(
    Array.from({ length: streams }, async (_, stream) => {
      for (let n = 0; n < perStream; n += 1) answers.push(await submitPatiently(`key-${stream}-${n}`));
    }),
  );
  for (const share of [0.2, 0.6]) {
    await until('submissions are under way', () => answers.length >= streams * perStream * share);
    await it.system.kill('api');
    await it.system.start('api');
  }
  await submitting;
  expect(answers.some(({ tries }) => tries > 1)).toBe(true);
  const ids = answers.map(({ agenda }) => agenda.id);
  expect(new Set(ids).size).toBe(streams * perStream);
  const stored = await it.sql<
    { id: string; title: string }[]
  >`select id, title from agenda where customer_id = ${customerId}`;
  expect(stored.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  expect(new Set(stored.map(({ title }) => title)).size).toBe(stored.length);
  await it.prove();
});
