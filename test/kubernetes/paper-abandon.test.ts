/** A start that failed is taken back only as far as nothing of it has begun. */
import { CoreV1Api } from '@kubernetes/client-node';
import { expect } from 'vitest';
import { clientConfig } from './cluster/facts.ts';
import { heard, onPaper, podLauncher, podRun } from './pod-launcher.ts';
import { clusterTest, sharedCluster, testNamespace, until } from './shared-cluster.ts';

const core = () => clientConfig(sharedCluster()).makeApiClient(CoreV1Api);
const uidsIn = async (namespace: string) =>
  (await core().listNamespacedPod({ namespace })).items.map(({ metadata }) => metadata?.uid);

clusterTest('a Pod that ended though its start failed is adopted by the next start, and not run again', async () => {
  await using namespace = await testNamespace('kwok');
  using launcher = await podLauncher(namespace.name);
  const run = podRun(onPaper({ message: '"done"' }));
  await launcher.start(run);
  await until('its end', async () => (await launcher.list())[0]?.alive === false || undefined);
  const before = await uidsIn(namespace.name);
  await launcher.abandon(run.key);
  expect(await launcher.start(run)).toEqual({ key: run.key, adopted: true });
  const ending = launcher.follow(run, heard(), new AbortController().signal);
  expect(await ending).toMatchObject({ kind: 'succeeded', result: 'done' });
  expect(await uidsIn(namespace.name)).toEqual(before);
});

clusterTest('a Pod that has not begun when its start failed goes', async () => {
  await using namespace = await testNamespace('kwok');
  using launcher = await podLauncher(namespace.name);
  const run = podRun({ ...onPaper({}), nodeSelector: { 'pop.test/nowhere': 'yes' } });
  await launcher.start(run);
  // So that nothing of it changes any more.
  await until('the words of the scheduler', async () => {
    const { items } = await core().listNamespacedPod({ namespace: namespace.name });
    return items[0]?.status?.conditions;
  });
  await launcher.abandon(run.key);
  await until('no Pod', async () => (await uidsIn(namespace.name)).length === 0 || undefined);
  expect(await launcher.list()).toEqual([]);
});
