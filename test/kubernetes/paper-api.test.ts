/** The way to the API server: connections that die silently, credentials that are renewed, and several clusters. */
import { mkdtempDisposable, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CoreV1Api, KubeConfig, RbacAuthorizationV1Api } from '@kubernetes/client-node';
import { expect } from 'vitest';
import { ApiError } from '../../k8s/api-errors.ts';
import { CustomerNamespaces } from '../../k8s/customer-namespaces.ts';
import { KubernetesApi } from '../../k8s/kubernetes-api.ts';
import { type ClusterFacts, clientConfig } from './cluster/facts.ts';
import { heard, onPaper, podLauncher, podRun, toEnd } from './pod-launcher.ts';
import { isRunning, PodPool } from './pod-pool.ts';
import { clusterTest, sharedCluster, testNamespace, until } from './shared-cluster.ts';
import { tcpProxy } from './tcp-proxy.ts';

/** A launcher over a client of its own. */
function launcherOf(config: KubeConfig, namespace: string) {
  const api = new KubernetesApi(config);
  const template = { labels: {}, annotations: {}, objects: [] };
  const customerNamespaces = new CustomerNamespaces({ api, pool: namespace, watchesAll: false, template });
  return podLauncher(namespace, { api, customerNamespaces });
}

clusterTest('a watch that is silently dead behind a half-open proxy is begun anew within its limit', async () => {
  await using namespace = await testNamespace('kwok');
  const facts = sharedCluster();
  const { hostname, port } = new URL(facts.url);
  await using proxy = await tcpProxy(hostname, Number(port));
  const url = `https://${hostname}:${proxy.port}`;
  using launcher = await launcherOf(clientConfig({ ...facts, url }), namespace.name);
  const events = heard();
  const run = podRun(onPaper({ 'run-for': '3s', message: '"heard of"' }));
  const ending = toEnd(launcher, run, events);
  await until('start', async () => events.starts[0]);
  proxy.losesAll();
  const lost = Date.now();
  const before = proxy.made();
  expect(await ending).toMatchObject({ kind: 'succeeded', result: 'heard of' });
  // The watch is silent for 30 s at most; a request that is lost is asked again after as long.
  expect(Date.now() - lost).toBeLessThan(75_000);
  expect(proxy.made()).toBeGreaterThan(before);
  expect(await toEnd(launcher, podRun(onPaper({ message: '2' })))).toMatchObject({ kind: 'succeeded', result: 2 });
});

async function isRefused(facts: ClusterFacts, token: string): Promise<true | undefined> {
  const answer = await new KubernetesApi(clientConfig(facts, token))
    .ask({ path: '/api' })
    .catch((error: unknown) => error);
  return answer instanceof ApiError && answer.status === 401 ? true : undefined;
}

clusterTest('the worker’s own token is rotated: the new one is taken from its file', async () => {
  await using namespace = await testNamespace('kwok');
  await using folder = await mkdtempDisposable(join(tmpdir(), 'pop-token-'));
  const facts = sharedCluster();
  const admin = clientConfig(facts);
  const here = { namespace: namespace.name };
  const metadata = { name: 'worker' };
  const core = admin.makeApiClient(CoreV1Api);
  const rbac = admin.makeApiClient(RbacAuthorizationV1Api);
  await core.createNamespacedServiceAccount({ ...here, body: { metadata } });
  const rules = [
    { apiGroups: [''], resources: ['pods', 'pods/log', 'secrets'], verbs: ['*'] },
    { apiGroups: [''], resources: ['namespaces'], verbs: ['get'] },
  ];
  await rbac.createNamespacedRole({ ...here, body: { metadata, rules } });
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'worker' };
  const subjects = [{ kind: 'ServiceAccount', name: 'worker' }];
  await rbac.createNamespacedRoleBinding({ ...here, body: { metadata, roleRef, subjects } });
  /** A token that ends with its Secret. */
  const tokenOf = async (name: string) => {
    const secret = await core.createNamespacedSecret({ ...here, body: { metadata: { name } } });
    const boundObjectRef = { apiVersion: 'v1', kind: 'Secret', name, uid: secret.metadata?.uid ?? '' };
    const spec = { audiences: [], boundObjectRef };
    const made = await core.createNamespacedServiceAccountToken({ ...here, ...metadata, body: { spec } });
    return made.status?.token ?? '';
  };
  const file = join(folder.path, 'token');
  const first = await tokenOf('first');
  await writeFile(file, first);
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [{ name: 'c', server: facts.url, caData: Buffer.from(facts.ca).toString('base64') }],
    // As the client library sets itself up in a Pod.
    users: [{ name: 'u', authProvider: { name: 'tokenFile', config: { tokenFile: file } } }],
    contexts: [{ name: 'x', cluster: 'c', user: 'u' }],
    currentContext: 'x',
  });
  using launcher = await launcherOf(config, namespace.name);
  expect(await toEnd(launcher, podRun(onPaper({ message: '1' })))).toMatchObject({ result: 1 });
  const long = podRun(onPaper({ 'run-for': '80s', message: '"lasts"' }));
  await launcher.start(long);
  const ending = launcher.follow(long, heard(), new AbortController().signal);
  const next = await tokenOf('second');
  // As the kubelet does: whole, or not at all.
  await writeFile(`${file}.new`, next);
  await rename(`${file}.new`, file);
  await core.deleteNamespacedSecret({ ...here, name: 'first' });
  await until('end of the first token', () => isRefused(facts, first));
  const run = podRun(onPaper({ message: '3' }));
  await until('a start with the new token', () => launcher.start(run).catch(() => undefined), 120);
  expect(await launcher.follow(run, heard(), new AbortController().signal)).toMatchObject({ result: 3 });
  expect(await ending).toMatchObject({ kind: 'succeeded', result: 'lasts' });
});

clusterTest('several clusters in one pool are told apart by place: no run of the other is adopted', async () => {
  await using one = await testNamespace('kwok');
  await using two = await testNamespace('kwok');
  await using pool = await PodPool.open(one.name, onPaper({ 'run-for': 'never' }));
  const here = await pool.worker();
  const there = await pool.worker({ namespace: two.name });
  expect(here.pods.place).not.toBe(there.pods.place);
  const key = await pool.admit();
  const activity = here.run(key);
  activity.ended.catch(() => undefined);
  await pool.pod('Pod', isRunning);
  expect(await there.pods.list()).toEqual([]);
  expect(await there.pods.find(key)).toEqual([]);
  here.shutDown();
  await expect(activity.ended).rejects.toMatchObject({ type: 'letGo' });
  pool.setType(onPaper({ message: '"there"' }));
  // The launch of a place that this worker does not reach counts as lost, and another one follows.
  await expect(there.run(key, { attempt: 2 }).ended).rejects.toMatchObject({ type: 'later' });
  await pool.again(there, key);
  expect(await pool.recorded(key)).toMatchObject({
    result: '"there"',
    launch: 2,
    attempts: 1,
    place: there.pods.place,
  });
  const launches = await pool.service.launches(key.agendaId);
  expect(launches.map(({ place }) => place)).toEqual([here.pods.place, there.pods.place]);
  // The first still runs: it is the first cluster's to stop, and its reports are void.
  expect((await pool.pods()).filter(isRunning)).toHaveLength(1);
});
