/** What Pods are made of, as an API server takes it. Numbers are those of public reports. */
import { randomBytes } from 'node:crypto';
import { CoreV1Api, SchedulingV1Api, type V1Pod } from '@kubernetes/client-node';
import { describe, expect } from 'vitest';
import { maximumPayloadBytes, maximumResolvedPayloadBytes } from '../../agenda/types.ts';
import { KubernetesApi } from '../../k8s/kubernetes-api.ts';
import { clientConfig } from './cluster/facts.ts';
import { onPaper, podLauncher, podRun, toEnd } from './pod-launcher.ts';
import { clusterTest, sharedCluster, type TestNamespace, testNamespace } from './shared-cluster.ts';

const core = () => clientConfig(sharedCluster()).makeApiClient(CoreV1Api);
const forEver = onPaper({ 'run-for': 'never' });

async function podOf(namespace: string, podConfig: object, more: object = {}): Promise<V1Pod> {
  using launcher = await podLauncher(namespace);
  const run = podRun({ ...forEver, ...podConfig }, more);
  await launcher.start(run);
  return core().readNamespacedPod({ namespace, name: run.key });
}

const evictionOf = ({ metadata }: V1Pod) => [
  metadata?.annotations?.['cluster-autoscaler.kubernetes.io/safe-to-evict'],
  metadata?.annotations?.['karpenter.sh/do-not-disrupt'],
];

clusterTest('autoscalers leave the node of a Pod alone, unless its type says otherwise', async () => {
  await using namespace = await testNamespace('kwok');
  expect(evictionOf(await podOf(namespace.name, {}))).toEqual(['false', 'true']);
  expect(evictionOf(await podOf(namespace.name, { safeToEvict: true }))).toEqual([undefined, undefined]);
});

clusterTest('its grace, the net for when no worker lives, and secrets for its image are in the Pod', async () => {
  await using namespace = await testNamespace('kwok');
  const limits = { scheduledSeconds: 30, runSeconds: 100, graceSeconds: 7 };
  const pod = await podOf(namespace.name, { ...limits, imagePullSecrets: ['one', 'two'] });
  expect(pod.spec).toMatchObject({
    terminationGracePeriodSeconds: 7,
    // A minute more than the limits that a worker holds.
    activeDeadlineSeconds: 30 + 100 + 7 + 60,
    imagePullSecrets: [{ name: 'one' }, { name: 'two' }],
  });
  expect((await podOf(namespace.name, {})).spec?.activeDeadlineSeconds).toBeUndefined();
});

describe('a namespace with Pod Security "restricted"', () => {
  const restrict = (namespace: TestNamespace) =>
    new KubernetesApi(clientConfig(sharedCluster())).ask({
      method: 'PATCH',
      path: `/api/v1/namespaces/${namespace.name}`,
      body: { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } },
    });

  clusterTest('takes the default Pod, also one with every harmless field', async () => {
    await using namespace = await testNamespace('kwok');
    await restrict(namespace);
    using launcher = await podLauncher(namespace.name);
    expect(await toEnd(launcher, podRun(onPaper({ message: '1' })))).toMatchObject({ kind: 'succeeded', result: 1 });
    const more = {
      ...{ memoryRequestCount: '64Mi', readOnlyRoot: false, runAsUser: 1000, safeToEvict: true, pullAlways: true },
      ...{ configMapSettings: [{ configMapName: 'c', volumeName: 'c', volumeMountPath: '/c' }] },
      aliveCheckDetails: { alivePort: 80 },
    };
    expect(await toEnd(launcher, podRun({ ...onPaper({}), ...more }))).toMatchObject({ kind: 'succeeded' });
  });

  clusterTest('refuses root in its own words, for good', async () => {
    await using namespace = await testNamespace('kwok');
    await restrict(namespace);
    using launcher = await podLauncher(namespace.name);
    await expect(launcher.start(podRun({ ...forEver, runAsUser: 0 }))).rejects.toMatchObject({
      code: 'podRefused',
      message: expect.stringContaining('restricted'),
    });
  });
});

describe('what is handed over', () => {
  const kibibyte = 1024;
  const text = (bytes: number) => JSON.stringify('x'.repeat(bytes - 2));
  /** What the Secrets of its Pod hold, by file. */
  async function filesOf(
    namespace: string,
    pod: V1Pod,
    encoding: BufferEncoding = 'utf8',
  ): Promise<Record<string, string>> {
    const sources = pod.spec?.volumes?.find(({ name }) => name === 'pop-in')?.projected?.sources ?? [];
    const files: Record<string, string> = {};
    for (const { secret } of sources) {
      const { data, metadata } = await core().readNamespacedSecret({ namespace, name: secret?.name ?? '' });
      expect(metadata?.ownerReferences).toMatchObject([{ kind: 'Pod', uid: pod.metadata?.uid }]);
      for (const [name, value] of Object.entries(data ?? {}))
        files[name] = Buffer.from(value, 'base64').toString(encoding);
    }
    return files;
  }
  const variablesOf = (pod: V1Pod) =>
    Object.fromEntries((pod.spec?.containers[0]?.env ?? []).map(({ name, value }) => [name, value]));

  clusterTest.for([64 * kibibyte, 64 * kibibyte + 1, 256 * kibibyte, maximumPayloadBytes])(
    'argo 3343: a payload and a last progress of %i bytes come whole, by file',
    async (bytes) => {
      await using namespace = await testNamespace('kwok');
      const [payload, lastProgress] = [text(bytes), text(bytes).replaceAll('x', 'y')];
      const pod = await podOf(namespace.name, {}, { payload, lastProgress });
      const files = await filesOf(namespace.name, pod);
      // No diff of a mebibyte.
      expect(files['payload.json'] === payload && files['last-progress.json'] === lastProgress).toBe(true);
      const { PAYLOAD, LAST_PROGRESS } = variablesOf(pod);
      const isSmall = bytes <= 64 * kibibyte;
      expect([PAYLOAD === payload, LAST_PROGRESS === lastProgress]).toEqual([isSmall, isSmall]);
    },
  );

  clusterTest('a payload of several parts has a Secret for each, which go with the Pod', async () => {
    await using namespace = await testNamespace('kwok');
    const payload = text(maximumResolvedPayloadBytes).replaceAll('xxx', '€');
    const pod = await podOf(namespace.name, {}, { payload });
    const { POP_PAYLOAD_PARTS, POP_PAYLOAD_FILE } = variablesOf(pod);
    expect([POP_PAYLOAD_PARTS, POP_PAYLOAD_FILE]).toEqual(['4', '/pop/in/payload.json']);
    const parts = await filesOf(namespace.name, pod, 'base64');
    expect(Object.keys(parts)).toEqual(['payload.json', 'payload.json.1', 'payload.json.2', 'payload.json.3']);
    const whole = Buffer.concat(Object.values(parts).map((part) => Buffer.from(part, 'base64')));
    expect(whole.toString() === payload).toBe(true);
  });

  clusterTest('an image built for POP is not launched with a payload of several parts', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    const run = podRun({ ...onPaper({}), contract: 'pop1' }, { payload: text(maximumPayloadBytes + 1) });
    await expect(launcher.start(run)).rejects.toMatchObject({ code: 'payloadTooLarge' });
    expect((await core().listNamespacedPod({ namespace: namespace.name })).items).toEqual([]);
    expect((await core().listNamespacedSecret({ namespace: namespace.name })).items).toEqual([]);
  });

  clusterTest('a payload that asks for compressed variables is in segments of them, and in the file', async () => {
    await using namespace = await testNamespace('kwok');
    const payload = JSON.stringify(randomBytes(300_000).toString('base64'));
    const pod = await podOf(namespace.name, { payloadTransport: 'compressedEnvVar' }, { payload });
    const variables = variablesOf(pod);
    const segments = Object.keys(variables).filter((name) => name.startsWith('POP_COMPRESSED_PAYLOAD_'));
    expect(segments.length).toBeGreaterThan(3);
    const { inflateSync } = await import('node:zlib');
    const compressed = segments.map((_, index) => variables[`POP_COMPRESSED_PAYLOAD_${index}`]).join('');
    expect(inflateSync(Buffer.from(compressed, 'base64')).toString() === payload).toBe(true);
    expect((await filesOf(namespace.name, pod))['payload.json'] === payload).toBe(true);
  });
});

clusterTest('a priority class that is not there refuses the Pod for good, and one that is there counts', async () => {
  await using namespace = await testNamespace('kwok');
  using launcher = await podLauncher(namespace.name);
  await expect(launcher.start(podRun({ ...forEver, priorityClassName: 'none' }))).rejects.toMatchObject({
    code: 'podRefused',
    message: expect.stringContaining('no PriorityClass with name none'),
  });
  const scheduling = clientConfig(sharedCluster()).makeApiClient(SchedulingV1Api);
  const name = `of-${namespace.name}`;
  await scheduling.createPriorityClass({ body: { metadata: { name }, value: 1000 } });
  try {
    expect((await podOf(namespace.name, { priorityClassName: name })).spec?.priority).toBe(1000);
  } finally {
    await scheduling.deletePriorityClass({ name });
  }
});
