import { afterAll, beforeAll, expect, test } from 'vitest';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../test/support/workflow-environment.ts';
import { plainNames } from '../workflows/names.ts';
import { lazyTemporalClient, type TemporalClient } from './connect.ts';
import { watchPoller } from './poller-watch.ts';

let environment: WorkflowEnvironment;
beforeAll(async () => {
  environment = await realWorkflowEnvironment();
});
afterAll(() => environment[Symbol.asyncDispose]());

const patience = { timeout: 20_000 };
/** As the Workers of the tests' environment name themselves. */
const identity = `${process.pid}@${(await import('node:os')).hostname()}`;

function watch(client: TemporalClient, options: { identity?: string; isWanted?: () => boolean; signal: AbortSignal }) {
  return watchPoller({
    ...{ client, queue: 'watched', type: 'activity' as const, identity, isWanted: () => true },
    ...{ longestMilliseconds: 400, everyMilliseconds: 50 },
    ...options,
  });
}

test('a Worker that comes for work is well; one that Temporal does not see is not, after its time', async () => {
  const end = new AbortController();
  const { signal } = end;
  await environment.run({ watched: { work: async () => undefined } }, async () => {
    const nobody = watch(environment.client, { identity: 'nobody', signal });
    expect(nobody()).toBeUndefined();
    await expect.poll(nobody, patience).toMatch(/^Temporal has not seen this worker at "watched" for \d+ s$/);
    const here = watch(environment.client, { signal });
    // Longer gone than it may: what is told of it then is of looks that saw it.
    await expect.poll(() => nobody()?.match(/ ([2-9]) s$/), patience).toBeTruthy();
    expect(here()).toBeUndefined();
    end.abort();
    expect(nobody()).toBeUndefined();
  });
});

test('nothing is said of one that has its hands full, nor while Temporal does not answer', async () => {
  const end = new AbortController();
  const { signal } = end;
  await using away = lazyTemporalClient({ address: '127.0.0.1:1', namespace: 'default', names: plainNames });
  let isFull = true;
  const full = watch(environment.client, { identity: 'full', isWanted: () => !isFull, signal });
  const unknown = watch(away, { signal });
  const other = watch(environment.client, { identity: 'other', signal });
  await expect.poll(other, patience).toBeDefined();
  expect([full(), unknown()]).toEqual([undefined, undefined]);
  isFull = false;
  await expect.poll(full, patience).toBeDefined();
  end.abort();
});
