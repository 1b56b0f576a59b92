/** The whole product on Kubernetes: from submission to the record, with Pods that outlive their pool workers. */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { Farm, isRunning } from './farm.ts';
import { onPaper } from './pod-launcher.ts';
import { PodWitness } from './pod-witness.ts';
import { clusterTest, hasCluster, until } from './shared-cluster.ts';

let farm: Farm;
beforeAll(async () => {
  if (hasCluster) farm = await Farm.start();
});
afterAll(() => farm?.[Symbol.asyncDispose]());

const type = (podConfig: object) => ({ podConfig });
const succeeds = type(onPaper({ message: '{"n":7,"text":"seven"}', 'run-for': '100ms' }));
const holds = type({ ...onPaper({ 'run-for': 'never' }), graceSeconds: 1 });

describe('an Agenda of Pods', () => {
  clusterTest('runs along its references to its end; the record has launches, place, times and results', async () => {
    const needy = type({
      ...onPaper({ message: '[1,2]' }),
      ...{ cpuMinRequestCount: '1500m', cpuMaxRequestCount: '2', memoryRequestCount: '64Mi' },
    });
    await using pool = await farm.pool({ succeeds, needy });
    await using witness = await PodWitness.begin(pool.facts, pool.namespace);
    await using _worker = await pool.worker();
    const agenda = await pool.submit([
      { name: 'first', type: 'succeeds', payload: { a: 1 } },
      { name: 'left', type: 'needy', payload: { n: '@<first.out::/n>' } },
      { name: 'right', type: 'succeeds', payload: '@<first.out::/>' },
      { name: 'last', type: 'succeeds', payload: ['@<left.out::/1>', '@<right.out::/text>'] },
    ]);
    const progress = await pool.ended(agenda);
    expect(progress, JSON.stringify(progress)).toMatchObject({
      processingStateMessage: 'succeeded',
      percentComplete: 100,
    });
    expect(Object.fromEntries(progress.operationProgress.map((each) => [each.operation, each.resultPayload]))).toEqual({
      first: '{"n":7,"text":"seven"}',
      left: '[1,2]',
      right: '{"n":7,"text":"seven"}',
      last: '{"n":7,"text":"seven"}',
    });
    const attempts = await pool.attempts(agenda);
    expect(attempts.map(({ operation }) => operation).toSorted()).toEqual(['first', 'last', 'left', 'right']);
    for (const each of attempts) {
      expect(each).toMatchObject({ launch: 1, operationAttempt: 1, ending: 'succeeded', decision: 'ended' });
      // The cluster's: it tells whole seconds.
      expect([(each.startedTime ?? 0.5) % 1_000, (each.endedTime ?? 0.5) % 1_000]).toEqual([0, 0]);
      expect(each.endedTime).toBeGreaterThanOrEqual(each.startedTime ?? Number.POSITIVE_INFINITY);
    }
    const { metadata } = await pool.core.readNamespace({ name: pool.namespace });
    expect(new Set(attempts.map(({ place }) => place))).toEqual(new Set([`kubernetes:${metadata?.uid}`]));
    expect(witness.seen).toHaveLength(4);
    await pool.untilPods(0);
    const { all } = await farm.request<{ all: unknown[] }>('GET', `/resourcepool/${pool.id}/workers`);
    expect(all).toMatchObject([
      { alive: true, slots: 100, types: { succeeds: { cpu: 0.01 }, needy: { cpu: 1.5, memory: 64 * 2 ** 20 } } },
    ]);
    expect(await farm.differences()).toEqual([]);
  });

  clusterTest('its Pods see payloads with the values of the references, in their Secrets', async () => {
    await using pool = await farm.pool({ succeeds, holds });
    await using _worker = await pool.worker();
    const agenda = await pool.submit([
      { name: 'first', type: 'succeeds' },
      { name: 'second', type: 'holds', payload: { n: '@<first.out::/n>' } },
    ]);
    const [pod] = await pool.untilPods(
      1,
      (each) => isRunning(each) && each.metadata?.labels?.['pop.operation'] === 'second',
    );
    expect(await pool.secretFile(pod?.metadata?.name, 'payload.json')).toBe('{"n":7}');
    await farm.request('POST', `/agenda/${agenda.id}/cancel`);
    expect((await pool.ended(agenda)).processingStateMessage).toBe('cancelled');
  });
});

describe('a pool worker that dies', () => {
  const short = type(onPaper({ 'run-for': '4s', message: '"done"' }));

  clusterTest('by kill -9 leaves its Pods to the next one, which adopts each; nothing runs twice', async () => {
    await using pool = await farm.pool({ short });
    await using witness = await PodWitness.begin(pool.facts, pool.namespace);
    await using first = await pool.worker();
    const operations = Array.from({ length: 20 }, (_, n) => ({ name: `o${n}`, type: 'short' }));
    const agenda = await pool.submit(operations);
    await pool.untilPods(20, isRunning);
    first.process.kill('SIGKILL');
    await first.process.ended;
    await using second = await pool.worker();
    expect((await pool.ended(agenda)).processingStateMessage).toBe('succeeded');
    expect(witness.seen).toHaveLength(20);
    for (const each of await pool.attempts(agenda)) expect(each).toMatchObject({ launch: 1, ending: 'succeeded' });
    const ends = (await second.log()).split('\n').filter((line) => line.includes('"operation ended"'));
    expect(ends).toHaveLength(20);
    for (const line of ends) expect(JSON.parse(line)).toMatchObject({ adopted: true, outcome: 'succeeded' });
    await pool.untilPods(0);
  });

  clusterTest('does not keep a cancelled Agenda from its end: the next one stops its Pods', async () => {
    await using pool = await farm.pool({ holds });
    await using first = await pool.worker();
    const agenda = await pool.submit([
      { name: 'a', type: 'holds' },
      { name: 'b', type: 'holds' },
    ]);
    await pool.untilPods(2, isRunning);
    first.process.kill('SIGKILL');
    await first.process.ended;
    await farm.request('POST', `/agenda/${agenda.id}/cancel`);
    await using _second = await pool.worker();
    const progress = await pool.ended(agenda);
    expect(progress.processingStateMessage).toBe('cancelled');
    await pool.untilPods(0);
    for (const each of progress.operationProgress) expect(each.processingStateMessage).toBe('cancelled');
  });

  clusterTest(
    'and no other comes in time: the Agenda is cancelled all the same, and its Pods go when one comes',
    async () => {
      await using pool = await farm.pool({ holds });
      await using first = await pool.worker();
      const agenda = await pool.submit([{ name: 'a', type: 'holds' }]);
      await pool.untilPods(1, isRunning);
      first.process.kill('SIGKILL');
      await first.process.ended;
      await farm.request('POST', `/agenda/${agenda.id}/cancel`);
      // POP_CANCEL_SECONDS is 15 here.
      const progress = await pool.ended(agenda, 90);
      expect(progress.processingStateMessage).toBe('cancelled');
      expect(await pool.pods()).toHaveLength(1);
      await using _second = await pool.worker();
      await pool.untilPods(0);
    },
  );
});

describe('an Agenda that is to end', () => {
  clusterTest('by a cancel: its Pods are gone, and the record says cancelled', async () => {
    await using pool = await farm.pool({ holds, succeeds });
    await using _worker = await pool.worker();
    const agenda = await pool.submit([
      { name: 'done', type: 'succeeds' },
      { name: 'a', type: 'holds', dependsOn: ['done'] },
      { name: 'b', type: 'holds', dependsOn: ['done'] },
      { name: 'never', type: 'succeeds', dependsOn: ['a'] },
    ]);
    await pool.untilPods(2, isRunning);
    await farm.request('POST', `/agenda/${agenda.id}/cancel`);
    const progress = await pool.ended(agenda);
    expect(progress.processingStateMessage).toBe('cancelled');
    const messages = progress.operationProgress.map((each) => [each.operation, each.processingStateMessage]);
    expect(Object.fromEntries(messages)).toEqual({
      done: 'succeeded',
      a: 'cancelled',
      b: 'cancelled',
      never: 'skipped',
    });
    await pool.untilPods(0);
    await until('no Secret', async () => {
      const { items } = await pool.core.listNamespacedSecret({ namespace: pool.namespace });
      return items.length === 0 || undefined;
    });
  });

  clusterTest('by the limits of its Operations: each says which, and no Pod is left', async () => {
    const lost = type({ ...onPaper({}), nodeSelector: { 'pop.test/nowhere': 'yes' } });
    await using pool = await farm.pool({ holds, lost });
    await using _worker = await pool.worker();
    const run = await pool.submit([{ name: 'a', type: 'holds', timeout: { runSeconds: 2 } }]);
    const scheduled = await pool.submit([{ name: 'a', type: 'lost', timeout: { scheduledSeconds: 2 } }]);
    const ends = await Promise.all([run, scheduled].map((each) => pool.ended(each)));
    expect(ends.map(({ operationProgress: [only] }) => only)).toMatchObject([
      { processingStateMessage: 'failed', failureCategory: 'timeout', failureCode: 'runLimit' },
      { processingStateMessage: 'failed', failureCategory: 'timeout', failureCode: 'scheduledLimit' },
    ]);
    await pool.untilPods(0);
  });
});
