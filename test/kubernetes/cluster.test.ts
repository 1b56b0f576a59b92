/** The cluster that other tests stand on: what they expect of it holds. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { ApiException, AuthenticationV1Api, CoreV1Api, RbacAuthorizationV1Api } from '@kubernetes/client-node';
import { describe, expect } from 'vitest';
import { identify, isAlive } from '../../launchers/local/process-identity.ts';
import { startCluster } from './cluster/cluster.ts';
import { clientConfig } from './cluster/facts.ts';
import { isHealthy } from './cluster/health.ts';
import { clusterTest, hasEnded, sharedCluster, testNamespace, until, untilPod } from './shared-cluster.ts';

function pod(name: string, annotations: Record<string, string>, finalizers: string[] = []) {
  const containers = [{ name: 'main', image: 'none' }];
  return { metadata: { name, annotations, finalizers }, spec: { restartPolicy: 'Never', containers } };
}

const adminApi = () => clientConfig(sharedCluster()).makeApiClient(CoreV1Api);

describe('a Pod on paper', () => {
  clusterTest('ends as its annotations say', async () => {
    await using namespace = await testNamespace('kwok');
    const api = adminApi();
    const annotations = {
      'pop.test/run-for': '100ms',
      'pop.test/exit-code': '3',
      'pop.test/reason': 'OOMKilled',
      'pop.test/message': 'said "no"',
    };
    await api.createNamespacedPod({ namespace: namespace.name, body: pod('killed', annotations) });
    const { status } = await untilPod(api, { namespace: namespace.name, name: 'killed' }, hasEnded);
    expect(status?.phase).toBe('Failed');
    expect(status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 3,
      reason: 'OOMKilled',
      message: 'said "no"',
    });
  });

  clusterTest('succeeds without annotations', async () => {
    await using namespace = await testNamespace('kwok');
    const api = adminApi();
    await api.createNamespacedPod({ namespace: namespace.name, body: pod('plain', {}) });
    const { status } = await untilPod(api, { namespace: namespace.name, name: 'plain' }, hasEnded);
    expect(status?.phase).toBe('Succeeded');
    expect(status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 0, reason: 'Completed' });
  });

  clusterTest('is evicted with the reason of the Pod', async () => {
    await using namespace = await testNamespace('kwok');
    const api = adminApi();
    const annotations = { 'pop.test/pod-reason': 'Evicted', 'pop.test/pod-message': 'low on memory' };
    await api.createNamespacedPod({ namespace: namespace.name, body: pod('evicted', annotations) });
    const { status } = await untilPod(api, { namespace: namespace.name, name: 'evicted' }, hasEnded);
    expect(status).toMatchObject({ phase: 'Failed', reason: 'Evicted', message: 'low on memory' });
  });

  clusterTest('waits for an image that it cannot have', async () => {
    await using namespace = await testNamespace('kwok');
    const api = adminApi();
    const annotations = { 'pop.test/waiting-reason': 'ImagePullBackOff', 'pop.test/waiting-message': 'no such image' };
    await api.createNamespacedPod({ namespace: namespace.name, body: pod('waiting', annotations) });
    const { status } = await untilPod(
      api,
      { namespace: namespace.name, name: 'waiting' },
      (found) => found.status?.containerStatuses?.[0]?.state?.waiting !== undefined,
    );
    expect(status?.phase).toBe('Pending');
    const waiting = { reason: 'ImagePullBackOff', message: 'no such image' };
    expect(status?.containerStatuses?.[0]?.state?.waiting).toEqual(waiting);
  });

  clusterTest('ends when it is deleted, and is gone with its last finalizer', async () => {
    await using namespace = await testNamespace('kwok');
    const api = adminApi();
    const name = { namespace: namespace.name, name: 'kept' };
    const body = pod('kept', { 'pop.test/run-for': 'never' }, ['pop.test/kept']);
    await api.createNamespacedPod({ namespace: namespace.name, body });
    await untilPod(api, name, ({ status }) => status?.phase === 'Running');
    await api.deleteNamespacedPod(name);
    const ended = await untilPod(api, name, hasEnded);
    expect(ended.status?.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(143);
    expect(ended.metadata?.deletionTimestamp).toBeDefined();
    await api.patchNamespacedPod({ ...name, body: [{ op: 'remove', path: '/metadata/finalizers' }] });
    await until('end of the Pod', () => isGone(api.readNamespacedPod(name)));
  });
});

describe('the control plane', () => {
  clusterTest('refuses a ServiceAccount what no role allows it', async () => {
    await using namespace = await testNamespace('kwok');
    const admin = clientConfig(sharedCluster());
    const roles = admin.makeApiClient(RbacAuthorizationV1Api);
    await adminApi().createNamespacedServiceAccount({
      namespace: namespace.name,
      body: { metadata: { name: 'reader' } },
    });
    await roles.createNamespacedRole({
      namespace: namespace.name,
      body: { metadata: { name: 'reads' }, rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['list'] }] },
    });
    await roles.createNamespacedRoleBinding({
      namespace: namespace.name,
      body: {
        metadata: { name: 'reads' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reads' },
        subjects: [{ kind: 'ServiceAccount', name: 'reader', namespace: namespace.name }],
      },
    });
    const { status } = await adminApi().createNamespacedServiceAccountToken({
      namespace: namespace.name,
      name: 'reader',
      body: { spec: { audiences: [], expirationSeconds: 600 } },
    });
    const reader = clientConfig(sharedCluster(), status?.token ?? '');
    const who = await reader.makeApiClient(AuthenticationV1Api).createSelfSubjectReview({ body: {} });
    expect(who.status?.userInfo?.username).toBe(`system:serviceaccount:${namespace.name}:reader`);
    const api = reader.makeApiClient(CoreV1Api);
    // The role is seen by the authorizer a moment after it was made.
    await until('list that the role allows', () =>
      api.listNamespacedPod({ namespace: namespace.name }).catch(unlessRefused),
    );
    await expect(
      api.createNamespacedPod({ namespace: namespace.name, body: pod('not-mine', {}) }),
    ).rejects.toMatchObject({ code: 403 });
    await expect(api.listNamespacedPod({ namespace: 'default' })).rejects.toMatchObject({ code: 403 });
  });

  clusterTest('writes down who asked for what', async () => {
    await using namespace = await testNamespace('kwok');
    const file = sharedCluster().auditLog ?? '';
    const wanted = `/api/v1/namespaces/${namespace.name}`;
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
    const events = lines.map((line) => JSON.parse(line) as { requestURI: string; user: { username: string } });
    const mine = events.filter(({ requestURI }) => requestURI.startsWith(wanted));
    expect(new Set(mine.map(({ user }) => user.username))).toContain('admin');
  });
});

describe('parts that fail', () => {
  clusterTest('a restarted apiserver has its objects, and a frozen one answers when it goes on', async () => {
    await using cluster = await startCluster({ scheduler: false, controllerManager: false, kwokNodes: [] });
    const body = { metadata: { name: 'kept' }, data: { answer: '42' } };
    await cluster.api.createNamespacedConfigMap({ namespace: 'default', body });
    const before = cluster.part('kube-apiserver').pid;
    await cluster.part('kube-apiserver').restart();
    expect(cluster.part('kube-apiserver').pid).not.toBe(before);
    const kept = await cluster.api.readNamespacedConfigMap({ namespace: 'default', name: 'kept' });
    expect(kept.data).toEqual({ answer: '42' });

    const health = { ca: cluster.facts.ca, token: cluster.facts.adminToken };
    cluster.part('kube-apiserver').pause();
    expect(await isHealthy(`${cluster.facts.url}/readyz`, health)).toBe(false);
    cluster.part('kube-apiserver').continue();
    expect(await isHealthy(`${cluster.facts.url}/readyz`, health)).toBe(true);
  });

  clusterTest('a frozen node is lost, and its Pods are to be deleted', async () => {
    await using cluster = await startCluster({ nodeGraceSeconds: 12, evictionSeconds: 1 });
    const part = await cluster.addKwokNodes('losable', [{ name: 'losable-1', labels: { 'pop.test/lost': 'soon' } }]);
    const body = pod('stranded', { 'pop.test/run-for': 'never' });
    await cluster.api.createNamespacedPod({
      namespace: 'default',
      body: { ...body, spec: { ...body.spec, nodeSelector: { 'pop.test/lost': 'soon' } } },
    });
    const name = { namespace: 'default', name: 'stranded' };
    await untilPod(cluster.api, name, ({ status }) => status?.phase === 'Running');
    part.pause();
    const lost = await untilPod(cluster.api, name, ({ metadata }) => metadata?.deletionTimestamp !== undefined);
    expect(lost.status?.phase).toBe('Running');
    expect(lost.status?.conditions?.find(({ type }) => type === 'DisruptionTarget')?.reason).toBe(
      'DeletionByTaintManager',
    );
    part.continue();
    await until('end of the Pod', () => isGone(cluster.api.readNamespacedPod(name)));
  });
});

/** Starts a cluster in a process of its own, which says the ids of all parts. */
const holder = `
  const { startCluster } = await import(process.argv[1]);
  const cluster = await startCluster({ scheduler: false, controllerManager: false });
  console.log(JSON.stringify(cluster.parts.map(({ pid }) => pid)));
  setInterval(() => undefined, 1000);
`;

clusterTest('a cluster leaves no process when the one that started it is killed', async () => {
  const module = new URL('cluster/cluster.ts', import.meta.url).href;
  const child = spawn(process.execPath, ['--input-type=module', '-e', holder, module], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const parts = (JSON.parse(line) as number[]).map(identify);
  expect(parts).toHaveLength(3);
  expect(parts).not.toContain(undefined);
  child.kill('SIGKILL');
  await until('end of all parts', async () =>
    parts.some((part) => part !== undefined && isAlive(part)) ? undefined : true,
  );
});

async function isGone(read: Promise<unknown>): Promise<true | undefined> {
  try {
    await read;
    return undefined;
  } catch (error) {
    if (error instanceof ApiException && error.code === 404) return true;
    throw error;
  }
}

function unlessRefused(error: unknown): undefined {
  if (!(error instanceof ApiException && error.code === 403)) throw error;
}
