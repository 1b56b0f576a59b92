/** What is left of Pods after many Operations: 200, and 10,000 with POP_PODS=every (`npm run test:pods`). */
import { CoreV1Api } from '@kubernetes/client-node';
import { describe, expect } from 'vitest';
import type { PodReapOrder } from '../../messages/pod-reaping.ts';
import { clientConfig } from './cluster/facts.ts';
import { onPaper, podLauncher, podRun, toEnd } from './pod-launcher.ts';
import { clusterTest, sharedCluster, testNamespace, until } from './shared-cluster.ts';

const core = () => clientConfig(sharedCluster()).makeApiClient(CoreV1Api);
const podsIn = async (namespace: string) => (await core().listNamespacedPod({ namespace })).items;
const namesIn = async (namespace: string) => (await podsIn(namespace)).map(({ metadata }) => metadata?.name).sort();
const gentle: PodReapOrder = { olderThanSeconds: 3_600, mostKept: 1_000, batch: 10, mostSeconds: 60, logOnly: false };
const operations = process.env.POP_PODS === 'every' ? 10_000 : 200;
const kept = { ...onPaper({}), reapCompletedPods: false };

async function ended(launcher: Awaited<ReturnType<typeof podLauncher>>, podConfig: object): Promise<string> {
  const run = podRun(podConfig);
  expect(await toEnd(launcher, run)).toMatchObject({ kind: 'succeeded' });
  await launcher.forget(run.key);
  return run.key;
}

describe('after many Operations', () => {
  clusterTest(
    'at most the kept number of Pods is left, the youngest, and no Secret of the others',
    async () => {
      await using namespace = await testNamespace('kwok');
      using launcher = await podLauncher(namespace.name);
      const [atOnce, mostKept] = [20, 25];
      const rounds = operations / atOnce;
      for (let round = 0; round < rounds; round += 1)
        await Promise.all(Array.from({ length: atOnce }, (_, n) => ended(launcher, n % 2 === 0 ? kept : onPaper({}))));
      // Those that are not kept go at once.
      await until(
        'kept Pods',
        async () => (await podsIn(namespace.name)).length === (rounds * atOnce) / 2 || undefined,
      );
      const batches: number[] = [];
      const reaping = { ...gentle, mostKept, mostSeconds: 300 };
      const report = await launcher.reap(reaping, () => void batches.push(1));
      const gone = operations / 2 - mostKept;
      expect(report).toEqual({ pods: gone, namespaces: 0, kept: mostKept, complete: true });
      expect(batches).toHaveLength(Math.ceil(gone / gentle.batch));
      const left = await until('few Pods', async () => {
        const pods = await podsIn(namespace.name);
        return pods.length === mostKept ? pods : undefined;
      });
      const ends = left.map(
        ({ status }) => status?.containerStatuses?.[0]?.state?.terminated?.finishedAt?.getTime() ?? 0,
      );
      expect(await launcher.reap(reaping, () => undefined)).toMatchObject({ pods: 0, kept: mostKept });
      await until('few Secrets', async () => {
        const { items } = await core().listNamespacedSecret({ namespace: namespace.name });
        return items.length === mostKept || undefined;
      });
      const youngest = Math.max(...ends);
      expect(youngest - Math.min(...ends)).toBeLessThan(60_000);
      expect(await launcher.list()).toEqual([]);
    },
    900_000,
  );

  clusterTest('Pods go by age, and running, young and unacknowledged ones stay', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    const old = await ended(launcher, kept);
    const ofOld = Date.now();
    await until('three seconds', async () => Date.now() > ofOld + 3_000 || undefined);
    const young = await ended(launcher, kept);
    const running = podRun({ ...onPaper({ 'run-for': 'never' }), reapCompletedPods: false });
    await launcher.start(running);
    const unacknowledged = podRun(kept);
    await toEnd(launcher, unacknowledged);
    const reaping = { ...gentle, olderThanSeconds: 3 };
    expect(await launcher.reap({ ...reaping, logOnly: true }, () => undefined)).toMatchObject({ pods: 1, kept: 1 });
    expect(await namesIn(namespace.name)).toEqual([old, young, running.key, unacknowledged.key].sort());
    expect(await launcher.reap(reaping, () => undefined)).toMatchObject({ pods: 1, kept: 1 });
    await until('one Pod less', async () => (await podsIn(namespace.name)).length === 3 || undefined);
    expect(await namesIn(namespace.name)).toEqual([young, running.key, unacknowledged.key].sort());
  });

  clusterTest('of another pool nothing goes', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    using other = await podLauncher(namespace.name, { pool: 'other' });
    const key = await ended(other, kept);
    expect(await launcher.reap({ ...gentle, mostKept: 0 }, () => undefined)).toMatchObject({ pods: 0, kept: 0 });
    expect(await namesIn(namespace.name)).toEqual([key]);
  });
});
