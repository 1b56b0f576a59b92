import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../test/support/workflow-environment.ts';
import { plainNames } from '../workflows/names.ts';
import { lazyTemporalClient } from './connect.ts';
import { poolWorkerCounter } from './count-pool-workers.ts';

let environment: WorkflowEnvironment;
beforeAll(async () => {
  environment = await realWorkflowEnvironment();
});
afterAll(() => environment[Symbol.asyncDispose]());

const log = pino({ level: 'silent' });

test('a pool with a worker is told from one without', async () => {
  await environment.run({ [plainNames.poolQueue('served')]: { runOperation: async () => undefined } }, async () => {
    await expect.poll(async () => poolWorkerCounter(environment.client, log)('served'), { timeout: 20_000 }).toBe(1);
    // Each look is a new one: where Temporal takes longer than the patience of a caller, nothing is said.
    const counted = async (pool: string) => {
      const count = poolWorkerCounter(environment.client, log);
      return Promise.all([count(pool), count(pool)]);
    };
    await expect.poll(() => counted('nobody'), { timeout: 20_000 }).toEqual([0, 0]);
    await expect.poll(() => counted('served'), { timeout: 20_000 }).toEqual([1, 1]);
  });
});

test('while Temporal is away nothing is said, and nobody waits for it twice', async () => {
  await using away = lazyTemporalClient({ address: '127.0.0.1:1', namespace: 'default', names: plainNames });
  const count = poolWorkerCounter(away, log);
  expect(await count('served')).toBeUndefined();
  const begun = performance.now();
  expect(await count('served')).toBeUndefined();
  expect(performance.now() - begun).toBeLessThan(100);
});
