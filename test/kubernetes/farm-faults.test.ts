/** The cluster's API fails in the middle of the work: each Operation runs once all the same. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect } from 'vitest';
import { readAudit } from './cluster/audit.ts';
import { type Cluster, startCluster } from './cluster/cluster.ts';
import { Farm, type FarmPool, isRunning, type SubmittedAgenda } from './farm.ts';
import { type Mood, moodyProxy } from './moody-proxy.ts';
import { onPaper } from './pod-launcher.ts';
import { PodWitness } from './pod-witness.ts';
import { clusterTest, hasCluster, until } from './shared-cluster.ts';

let farm: Farm;
beforeAll(async () => {
  if (hasCluster) farm = await Farm.start();
});
afterAll(() => farm?.[Symbol.asyncDispose]());

const type = (podConfig: object) => ({ podConfig });
const step = type(onPaper({ 'run-for': '500ms', message: '"done"' }));
const chain = (length: number) =>
  Array.from({ length }, (_, n) => ({
    ...{ name: `o${n}`, type: 'step' },
    ...(n === 0 ? {} : { dependsOn: [`o${n - 1}`] }),
  }));
const fan = (width: number) => Array.from({ length: width }, (_, n) => ({ name: `o${n}`, type: 'step' }));

/** All came to their end by one launch each. */
async function allOnce(pool: FarmPool, agendas: readonly SubmittedAgenda[], pods: number): Promise<void> {
  const ends = await Promise.all(agendas.map((agenda) => pool.ended(agenda, 240)));
  for (const progress of ends) expect(progress.processingStateMessage, JSON.stringify(progress)).toBe('succeeded');
  const launches = (await Promise.all(agendas.map((agenda) => pool.attempts(agenda)))).flat();
  expect(launches).toHaveLength(pods);
  for (const each of launches) expect(each).toMatchObject({ launch: 1, ending: 'succeeded' });
}

/** Forgets all revisions of the store but the newest, as a cluster does every five minutes. */
async function compact(cluster: Cluster): Promise<void> {
  const flags = await readFile(`/proc/${cluster.part('etcd').pid}/cmdline`, 'utf8');
  const url = /--listen-client-urls=([^\0]+)/.exec(flags)?.[1];
  const ask = async (path: string, body: object) => {
    const response = await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body) });
    expect(response.status).toBe(200);
    return (await response.json()) as { header: { revision: string } };
  };
  // Something newer than whatever anybody has seen.
  const base64 = Buffer.from('/pop.test/newer').toString('base64');
  const { header } = await ask('/v3/kv/put', { key: base64, value: base64 });
  await ask('/v3/kv/compaction', { revision: header.revision, physical: true });
}

clusterTest('the apiserver is killed and started again, what it watched from is compacted away', async () => {
  await using cluster = await startCluster({ audit: true });
  await using pool = await farm.pool({ step, long: type(onPaper({ 'run-for': '10s' })) }, { facts: cluster.facts });
  await using worker = await pool.worker();
  const agendas = [
    await pool.submit(chain(12)),
    await pool.submit(fan(30)),
    await pool.submit([...fan(5)].map((each) => ({ ...each, type: 'long' }))),
  ];
  await pool.untilPods(5, (pod) => isRunning(pod) && pod.metadata?.labels?.['app.kubernetes.io/component'] === 'long');
  const apiserver = cluster.part('kube-apiserver');
  await apiserver.kill();
  await worker.says('Pods cannot be followed just now');
  // So that nothing can be continued where it was.
  await compact(cluster);
  await apiserver.start();
  await worker.says('the API server answers again', 120);
  await allOnce(pool, agendas, 12 + 30 + 5);
  await pool.untilPods(0);
  const user = `system:serviceaccount:${pool.namespace}:pool-worker`;
  const asked = (await readAudit(cluster.facts, user)).filter(({ stage }) => stage === 'ResponseComplete');
  const created = asked.filter(
    ({ verb, objectRef, responseStatus }) =>
      verb === 'create' && objectRef?.resource === 'pods' && responseStatus?.code === 201,
  );
  expect(new Set(created.map(({ objectRef }) => objectRef?.name)).size).toBe(created.length);
  expect(created).toHaveLength(12 + 30 + 5);
  // One list at the start, and one when the watch could not go on.
  const lists = asked.filter(({ verb, requestURI }) => verb === 'list' && requestURI.includes('limit=500'));
  expect(lists.filter(({ responseStatus }) => responseStatus?.code === 200).length).toBeGreaterThanOrEqual(2);
});

clusterTest('requests are throttled, refused and lost on the way, now and then', async () => {
  await using pool = await farm.pool({ step });
  await using witness = await PodWitness.begin(pool.facts, pool.namespace);
  const moods: readonly Mood[] = ['throttle', 'unavailable', 'breakOff', 'breakOffAfter'];
  // Every fifth request, so that the four take turns among creates, patches, deletes and watches.
  const moodOf = (n: number) => (n % 5 === 0 ? moods[(n / 5) % moods.length] : undefined);
  await using proxy = await moodyProxy({ facts: pool.facts, moodOf });
  const kubeconfig = await proxy.kubeconfigFor(pool.token, join(dirname(pool.registry), 'moody.kubeconfig'));
  await using _worker = await pool.worker({ POP_KUBECONFIG: kubeconfig });
  const agendas = [await pool.submit(chain(5)), await pool.submit(fan(30))];
  await allOnce(pool, agendas, 35);
  await pool.untilPods(0);
  // One that never began may have been taken back, and made again.
  expect(witness.seen.filter(({ hasBegun }) => hasBegun)).toHaveLength(35);
  for (const mood of moods) expect(proxy.counts[mood], mood).toBeGreaterThan(2);
});

clusterTest('a quota that is too small makes Operations wait, and they run once it is raised', async () => {
  await using pool = await farm.pool({ step, holds: type({ ...onPaper({ 'run-for': 'never' }), graceSeconds: 1 }) });
  await using witness = await PodWitness.begin(pool.facts, pool.namespace);
  const { namespace } = pool;
  const quota = { metadata: { name: 'small' }, spec: { hard: { pods: '2' } } };
  await pool.core.createNamespacedResourceQuota({ namespace, body: quota });
  await until('the quota', async () => {
    const { status } = await pool.core.readNamespacedResourceQuota({ namespace, name: 'small' });
    return status?.hard;
  });
  await using _worker = await pool.worker();
  const holding = await pool.submit([
    { name: 'a', type: 'holds' },
    { name: 'b', type: 'holds' },
  ]);
  await pool.untilPods(2, isRunning);
  const agenda = await pool.submit(fan(8));
  await until('all wait, and say why', async () => {
    const { operationProgress } = await pool.progress(agenda);
    return operationProgress.every((each) => JSON.stringify(each).includes('exceeded quota: small')) || undefined;
  });
  expect((await pool.attempts(agenda)).every(({ ending }) => ending === undefined)).toBe(true);
  const body = [{ op: 'replace', path: '/spec/hard/pods', value: '20' }];
  await pool.core.patchNamespacedResourceQuota({ namespace, name: 'small', body });
  await allOnce(pool, [agenda], 8);
  expect(witness.seen).toHaveLength(2 + 8);
  await farm.request('POST', `/agenda/${holding.id}/cancel`);
  await pool.ended(holding);
});

clusterTest('all connections to the apiserver break again and again while Pods end', async () => {
  await using pool = await farm.pool({ step });
  await using witness = await PodWitness.begin(pool.facts, pool.namespace);
  await using proxy = await moodyProxy({ facts: pool.facts });
  const kubeconfig = await proxy.kubeconfigFor(pool.token, join(dirname(pool.registry), 'broken.kubeconfig'));
  await using _worker = await pool.worker({ POP_KUBECONFIG: kubeconfig });
  const agendas = [await pool.submit(chain(6)), await pool.submit(fan(20))];
  const stop = new AbortController();
  const breaking = (async () => {
    while (!stop.signal.aborted) {
      proxy.breakAll();
      await delay(700, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  try {
    await allOnce(pool, agendas, 26);
  } finally {
    stop.abort();
    await breaking;
  }
  await pool.untilPods(0);
  expect(witness.seen.filter(({ hasBegun }) => hasBegun)).toHaveLength(26);
});
