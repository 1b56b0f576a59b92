/** The cluster that other tests stand on: what they expect of it holds. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  ApiException,
  AuthenticationV1Api,
  CoreV1Api,
  RbacAuthorizationV1Api,
  type V1Container,
  type V1Pod,
  type V1PodSpec,
  type V1SecurityContext,
} from '@kubernetes/client-node';
import { describe, expect } from 'vitest';
import { identify, isAlive } from '../../launchers/local/process-identity.ts';
import { startCluster } from './cluster/cluster.ts';
import { clientConfig } from './cluster/facts.ts';
import { isHealthy } from './cluster/health.ts';
import { importImage } from './cluster/real-node.ts';
import { busyboxImage, nodeImage, writeNodeImage } from './images.ts';
import {
  clusterTest,
  hasEnded,
  realNodeTest,
  sharedCluster,
  testNamespace,
  until,
  untilPod,
} from './shared-cluster.ts';

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

describe('a Pod on the real node', () => {
  const run = (name: string, container: Partial<V1Container>, restOfPod: Partial<V1PodSpec> = {}): V1Pod => ({
    metadata: { name },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'main', image: busyboxImage, imagePullPolicy: 'Never', ...container }],
      ...restOfPod,
    },
  });

  realNodeTest('has its exit code, its log and its termination message', async () => {
    await using namespace = await testNamespace('real');
    const api = adminApi();
    const command = ['sh', '-c', 'echo hello; echo because > /dev/termination-log; exit 3'];
    await api.createNamespacedPod({ namespace: namespace.name, body: run('fails', { command }) });
    const name = { namespace: namespace.name, name: 'fails' };
    const { status, spec } = await untilPod(api, name, hasEnded);
    expect(spec?.nodeName).toBe(sharedCluster().realNode?.name);
    expect(status?.phase).toBe('Failed');
    expect(status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 3,
      reason: 'Error',
      message: 'because\n',
    });
    expect(await api.readNamespacedPodLog(name)).toBe('hello\n');
  });

  realNodeTest('is killed when it takes more memory than its limit', async () => {
    await using namespace = await testNamespace('real');
    const api = adminApi();
    const body = run('greedy', { command: ['tail', '/dev/zero'], resources: { limits: { memory: '24Mi' } } });
    await api.createNamespacedPod({ namespace: namespace.name, body });
    const { status } = await untilPod(api, { namespace: namespace.name, name: 'greedy' }, hasEnded);
    expect(status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 137, reason: 'OOMKilled' });
  });

  realNodeTest('waits for an image that nobody has', async () => {
    await using namespace = await testNamespace('real');
    const api = adminApi();
    await api.createNamespacedPod({ namespace: namespace.name, body: run('imageless', { image: 'pop.test/none:1' }) });
    const { status } = await untilPod(
      api,
      { namespace: namespace.name, name: 'imageless' },
      (found) => found.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'ErrImageNeverPull',
    );
    expect(status?.phase).toBe('Pending');
  });

  realNodeTest('runs Node, as a user without rights on a root that it cannot write', async () => {
    await using namespace = await testNamespace('real');
    const api = adminApi();
    const securityContext: V1SecurityContext = {
      runAsNonRoot: true,
      runAsUser: 1000,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    };
    const body = run('version', { image: nodeImage, command: ['node', '--version'], securityContext });
    await api.createNamespacedPod({ namespace: namespace.name, body });
    const name = { namespace: namespace.name, name: 'version' };
    expect((await untilPod(api, name, hasEnded)).status?.phase).toBe('Succeeded');
    expect(await api.readNamespacedPodLog(name)).toBe(`${process.version}\n`);
  });

  realNodeTest('finds what was put into its image, and the apiserver by its Service', async () => {
    await using namespace = await testNamespace('real');
    const api = adminApi();
    await using folder = await mkdtempDisposable(join(tmpdir(), 'pop-handlers-'));
    await writeFile(join(folder.path, 'ask.mjs'), askApiserver);
    const image = { name: 'pop.test/asks:1', copies: [{ from: folder.path, to: '/handlers' }] };
    await writeNodeImage({ ...image, command: ['node', '/handlers/ask.mjs'] }, join(folder.path, 'image.tar'));
    await importImage(sharedCluster(), join(folder.path, 'image.tar'));
    await api.createNamespacedPod({ namespace: namespace.name, body: run('asks', { image: image.name }) });
    const name = { namespace: namespace.name, name: 'asks' };
    const ended = await untilPod(api, name, hasEnded);
    const log = await api.readNamespacedPodLog(name);
    expect({ phase: ended.status?.phase, log }).toEqual({
      phase: 'Succeeded',
      log: `system:serviceaccount:${namespace.name}:default\n`,
    });
  });
});

/** Asks the apiserver who it is, as any client in a Pod does. */
const askApiserver = `
  import { readFileSync } from 'node:fs';
  import { request } from 'node:https';
  const account = (name) => readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/' + name, 'utf8');
  const asked = request({
    host: process.env.KUBERNETES_SERVICE_HOST,
    port: process.env.KUBERNETES_SERVICE_PORT,
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    method: 'POST',
    ca: account('ca.crt'),
    headers: { authorization: 'Bearer ' + account('token'), 'content-type': 'application/json' },
  });
  asked.end(JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }));
  asked.on('response', async (answer) => {
    console.log(JSON.parse((await answer.toArray()).join('')).status.userInfo.username);
  });
`;

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
  const cluster = await startCluster({ scheduler: false, realNode: process.argv[2] === 'real' });
  console.log(JSON.stringify(cluster.parts.map(({ pid }) => pid)));
  setInterval(() => undefined, 1000);
`;

clusterTest('a cluster leaves no process when the one that started it is killed', async () => {
  const kind = sharedCluster().realNode === undefined ? 'paper' : 'real';
  const module = new URL('cluster/cluster.ts', import.meta.url).href;
  const child = spawn(process.execPath, ['--input-type=module', '-e', holder, module, kind], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const parts = (JSON.parse(line) as number[]).map(identify);
  expect(parts).toHaveLength(kind === 'real' ? 7 : 4);
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
