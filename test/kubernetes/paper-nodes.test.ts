/** Nodes that are lost, and Pods that have to make room. */
import { SchedulingV1Api } from '@kubernetes/client-node';
import { describe, expect } from 'vitest';
import { startCluster } from './cluster/cluster.ts';
import { clientConfig } from './cluster/facts.ts';
import { heard, onPaper, podLauncher, podRun, toEnd } from './pod-launcher.ts';
import { isRunning, PodPool } from './pod-pool.ts';
import { clusterTest, testNamespace, until } from './shared-cluster.ts';

describe('a node that is gone', () => {
  clusterTest('argo 1832: its Operation begins elsewhere, and the Pod that returns is void', async () => {
    await using cluster = await startCluster({ nodeGraceSeconds: 12 });
    const { facts } = cluster;
    const part = await cluster.addKwokNodes('losable', [{ name: 'losable-1', labels: { 'pop.test/lost': 'soon' } }]);
    await using namespace = await testNamespace('kwok', facts);
    const there = { nodeSelector: { 'pop.test/lost': 'soon' } };
    const forEver = onPaper({ 'run-for': 'never' });
    const options = { facts, nodeLostSeconds: 2 };
    await using pool = await PodPool.open(namespace.name, { ...forEver, ...there }, options);
    const worker = await pool.worker();
    const key = await pool.admit();
    const first = worker.run(key).ended;
    first.catch(() => undefined);
    const old = await pool.pod('first Pod', isRunning);
    part.pause();
    await expect(first).rejects.toMatchObject({ type: 'lost' });
    expect(await pool.service.launches(key.agendaId)).toMatchObject([{ ending: 'lost', code: 'nodeLost' }]);
    pool.setType(onPaper({ message: '"elsewhere"' }));
    await pool.again(worker, key);
    // Its node does not answer, so it is still there.
    expect((await pool.pods()).map(({ metadata }) => metadata?.uid)).toEqual([old.metadata?.uid]);
    part.continue();
    await until('end of the old Pod', async () => (await pool.pods()).length === 0 || undefined);
    expect(await pool.recorded(key)).toMatchObject({
      ...{ state: 'COMPLETE', message: 'succeeded', result: '"elsewhere"', launch: 2, attempts: 1 },
    });
    expect(await worker.pods.list()).toEqual([]);
  });

  clusterTest('and does not answer for a log either holds nothing up', async () => {
    await using cluster = await startCluster({ nodeGraceSeconds: 12 });
    const { facts } = cluster;
    const part = await cluster.addKwokNodes('losable', [{ name: 'losable-1', labels: { 'pop.test/lost': 'soon' } }]);
    await using namespace = await testNamespace('kwok', facts);
    using launcher = await podLauncher(namespace.name, { facts, nodeLostSeconds: 1 });
    // As quiet as can be, but nobody can tell once its node is frozen.
    const run = podRun({
      ...onPaper({ 'run-for': 'never' }),
      ...{ nodeSelector: { 'pop.test/lost': 'soon' }, quietSeconds: 8 },
    });
    const events = heard();
    const ending = toEnd(launcher, run, events);
    await until('start', async () => events.starts[0]);
    part.pause();
    const taken = until('loss', async () => {
      const pod = await cluster.api.readNamespacedPod({ namespace: namespace.name, name: run.key });
      return pod.metadata?.deletionTimestamp === undefined ? undefined : Date.now();
    });
    const [{ kind, log }, takenTime] = await Promise.all([ending, taken]);
    expect(Date.now() - takenTime).toBeLessThan(10_000);
    expect({ kind, totalBytes: log?.totalBytes }).toEqual({ kind: 'lost', totalBytes: 0 });
    expect(log?.output).toMatch(/^\[The log could not be read: /);
    part.continue();
  });
});

clusterTest('preempted: a Pod that makes room for one of higher priority is launched again', async () => {
  await using cluster = await startCluster();
  const { facts } = cluster;
  const capacity = { cpu: '2', memory: '1Gi', pods: '10' };
  await cluster.addKwokNodes('small', [{ name: 'small-1', labels: { 'pop.test/small': 'yes' }, capacity }]);
  const scheduling = clientConfig(facts).makeApiClient(SchedulingV1Api);
  await scheduling.createPriorityClass({ body: { metadata: { name: 'urgent' }, value: 1000 } });
  await using namespace = await testNamespace('kwok', facts);
  const big = { nodeSelector: { 'pop.test/small': 'yes' }, cpuMinRequestCount: '2' };
  await using pool = await PodPool.open(namespace.name, { ...onPaper({ 'run-for': 'never' }), ...big }, { facts });
  const worker = await pool.worker();
  const key = await pool.admit();
  const first = worker.run(key).ended;
  first.catch(() => undefined);
  await pool.pod('first Pod', isRunning);
  using launcher = await podLauncher(namespace.name, { facts, pool: 'urgent' });
  const urgent = podRun({ ...onPaper({ message: '"urgent"' }), ...big, priorityClassName: 'urgent' });
  const other = toEnd(launcher, urgent);
  await expect(first).rejects.toMatchObject({ type: 'lost' });
  expect(await other).toMatchObject({ kind: 'succeeded', result: 'urgent' });
  await launcher.forget(urgent.key);
  pool.setType({ ...onPaper({ message: '"later"' }), ...big });
  await pool.again(worker, key);
  expect(await pool.recorded(key)).toMatchObject({ message: 'succeeded', result: '"later"', launch: 2, attempts: 1 });
  expect(await pool.service.launches(key.agendaId)).toMatchObject([
    { ending: 'lost', category: 'infrastructure', code: 'preempted' },
    { ending: 'succeeded' },
  ]);
});
