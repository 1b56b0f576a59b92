/** The launcher's rules on an apiserver, with Pods on paper: what the cluster says decides. */
import { CoreV1Api, type V1Pod } from '@kubernetes/client-node';
import { describe, expect } from 'vitest';
import { finalizer, labels } from '../../k8s/names.ts';
import { clientConfig } from './cluster/facts.ts';
import { heard, onPaper, podLauncher, podRun, toEnd } from './pod-launcher.ts';
import { clusterTest, sharedCluster, testNamespace, until } from './shared-cluster.ts';

const core = () => clientConfig(sharedCluster()).makeApiClient(CoreV1Api);
const never = () => new AbortController().signal;
const podsIn = async (namespace: string): Promise<V1Pod[]> => (await core().listNamespacedPod({ namespace })).items;
const none = async (namespace: string) =>
  until('no Pod', async () => (await podsIn(namespace)).length === 0 || undefined);

describe('a Pod that ends', () => {
  clusterTest('with exit code 0: its termination message is the result, its times are the cluster’s', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    const events = heard();
    const run = podRun(onPaper({ message: '{"done":true}', 'run-for': '200ms' }));
    const ending = await toEnd(launcher, run, events);
    expect(ending).toMatchObject({ kind: 'succeeded', result: { done: true } });
    expect(ending.endedTime).toBeGreaterThanOrEqual(ending.startedTime ?? Number.POSITIVE_INFINITY);
    await launcher.forget(run.key);
    expect(await launcher.list()).toEqual([]);
    await none(namespace.name);
    // The cluster clears away what it owned, in its own time.
    await until('no Secret', async () => {
      const { items } = await core().listNamespacedSecret({ namespace: namespace.name });
      return items.length === 0 || undefined;
    });
  });

  clusterTest('with another exit code fails, and says which', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    expect(await toEnd(launcher, podRun(onPaper({ 'exit-code': '3' })))).toMatchObject({
      kind: 'failed',
      code: 'exitCode',
      diagnosticEvents: [{ code: 'exitCode', message: 'The handler ended with exit code 3.' }],
    });
  });

  clusterTest('for its memory is outOfMemory, with its limit', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    const podConfig = { ...onPaper({ 'exit-code': '137', reason: 'OOMKilled' }), memoryRequestCount: '64Mi' };
    expect(await toEnd(launcher, podRun(podConfig))).toMatchObject({
      kind: 'failed',
      code: 'outOfMemory',
      diagnosticEvents: [{ message: expect.stringContaining('64Mi') }],
    });
  });

  clusterTest('with a cut result says that it is too large, and what takes a larger one', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    const ending = await toEnd(launcher, podRun(onPaper({ message: `"${'x'.repeat(4_095)}` })));
    expect(ending).toMatchObject({
      kind: 'failed',
      code: 'resultTooLarge',
      diagnosticEvents: [{ message: expect.stringContaining('POP_TOKEN_FILE') }],
    });
  });

  clusterTest('and is kept stays without its finalizer, nobody’s concern any more', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    const run = podRun({ ...onPaper({}), reapCompletedPods: false });
    await toEnd(launcher, run);
    await launcher.forget(run.key);
    const [pod] = await podsIn(namespace.name);
    expect(pod?.metadata?.finalizers).toBeUndefined();
    expect(pod?.metadata?.labels?.[labels.done]).toBe('true');
    using second = await podLauncher(namespace.name);
    expect(await second.list()).toEqual([]);
  });
});

describe('a Pod that does not start', () => {
  clusterTest(
    'for want of its image fails as configuration in the end, with the words of the kubelet meanwhile',
    async () => {
      await using namespace = await testNamespace('kwok');
      using launcher = await podLauncher(namespace.name);
      const events = heard();
      const waits = onPaper({
        'waiting-reason': 'ImagePullBackOff',
        'waiting-message': 'registry.test/none: not found',
      });
      const run = podRun({ ...waits, scheduledSeconds: 2 });
      expect(await toEnd(launcher, run, events)).toMatchObject({
        kind: 'failed',
        code: 'imageUnavailable',
        diagnosticEvents: [{ message: expect.stringContaining('registry.test/none: not found') }],
      });
      expect(events.progresses.map(({ message }) => message)).toContain(
        'The container waits: ImagePullBackOff: registry.test/none: not found',
      );
      await launcher.forget(run.key);
      await none(namespace.name);
    },
  );

  clusterTest('for want of a node is timed out, with the words of the scheduler', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    const events = heard();
    const run = podRun({ ...onPaper({}), nodeSelector: { 'pop.test/nowhere': 'yes' }, scheduledSeconds: 2 });
    expect(await toEnd(launcher, run, events)).toMatchObject({
      kind: 'timedOut',
      limit: 'scheduled',
      diagnosticEvents: [{ code: 'scheduledLimit', message: expect.stringContaining('node affinity') }],
    });
    expect(events.progresses[0]?.message).toContain('The Pod cannot be scheduled: ');
  });

  clusterTest('for want of quota is no launch: the words say so, and a later start takes it', async () => {
    await using namespace = await testNamespace('kwok');
    const quota = { metadata: { name: 'none' }, spec: { hard: { pods: '0' } } };
    await core().createNamespacedResourceQuota({ namespace: namespace.name, body: quota });
    await until('the quota', async () => {
      const { items } = await core().listNamespacedResourceQuota({ namespace: namespace.name });
      return items[0]?.status?.hard;
    });
    using launcher = await podLauncher(namespace.name);
    const run = podRun(onPaper({}));
    await expect(launcher.start(run)).rejects.toMatchObject({
      name: 'ApiError',
      message: expect.stringContaining('quota'),
    });
    expect(await launcher.list()).toEqual([]);
    await core().deleteNamespacedResourceQuota({ namespace: namespace.name, name: 'none' });
    await until('a start', () => launcher.start(run).catch(() => undefined));
    expect(await launcher.follow(run, heard(), never())).toMatchObject({ kind: 'succeeded' });
  });

  clusterTest('because the cluster refuses it for good can never start, and says why', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    const run = podRun(
      onPaper({}, { containers: [{ name: 'handler', workingDir: '/', ports: [{ containerPort: -1 }] }] }),
    );
    await expect(launcher.start(run)).rejects.toMatchObject({ name: 'LaunchError', code: 'podRefused' });
    expect(await podsIn(namespace.name)).toEqual([]);
  });

  clusterTest('because its template has a field that is none can never start, and says which', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    await expect(launcher.start(podRun(onPaper({}, { nodeSelect: { a: 'b' } })))).rejects.toMatchObject({
      code: 'podRefused',
      message: expect.stringContaining('nodeSelect'),
    });
    expect(await podsIn(namespace.name)).toEqual([]);
  });

  clusterTest('because its name is somebody else’s leaves that alone', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    const run = podRun(onPaper({}));
    const spec = { containers: [{ name: 'own', image: 'none' }] };
    await core().createNamespacedPod({ namespace: namespace.name, body: { metadata: { name: run.key }, spec } });
    await expect(launcher.start(run)).rejects.toMatchObject({ code: 'nameTaken' });
    await launcher.stop(run.key, 0);
    await launcher.forget(run.key);
    expect(await podsIn(namespace.name)).toHaveLength(1);
  });
});

describe('a Pod that is taken away', () => {
  clusterTest('by an eviction for want of memory is lost as evicted', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    const evicted = onPaper({
      'pod-reason': 'Evicted',
      'pod-message': 'The node was low on memory.',
      'exit-code': '137',
    });
    expect(await toEnd(launcher, podRun(evicted))).toMatchObject({
      kind: 'lost',
      code: 'evicted',
      message: 'The node was low on memory.',
    });
  });

  clusterTest.for([
    ['a drain, though its handler heeds SIGTERM', true, 'drained'],
    ['somebody’s hand', false, 'deleted'],
  ] as const)('by %s is lost as such', async ([, isEviction, code]) => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    const events = heard();
    const run = podRun(onPaper({ 'run-for': 'never' }));
    const ending = toEnd(launcher, run, events);
    await until('its start', async () => events.starts[0]);
    const who = { namespace: namespace.name, name: run.key };
    if (!isEviction) await core().deleteNamespacedPod(who);
    else
      await clientConfig(sharedCluster())
        .makeApiClient(CoreV1Api)
        .createNamespacedPodEviction({ ...who, body: { metadata: { name: run.key } } });
    expect(await ending).toMatchObject({ kind: 'lost', code });
    await launcher.forget(run.key);
    await none(namespace.name);
  });

  clusterTest('after it ended is its ending all the same, and never a second run', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    const run = podRun(onPaper({ message: '"mine"' }));
    await launcher.start(run);
    await until('its end', async () => (await launcher.list())[0]?.alive === false || undefined);
    // Within one second nobody could tell which came first.
    const ended = Date.now();
    await until('a second', async () => Date.now() > ended + 1_500 || undefined);
    await core().deleteNamespacedPod({ namespace: namespace.name, name: run.key });
    using second = await podLauncher(namespace.name);
    expect(await second.follow(run, heard(), never())).toMatchObject({ kind: 'succeeded', result: 'mine' });
  });

  clusterTest('is never adopted: the next launch has a name of its own', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    const first = podRun(onPaper({ 'run-for': 'never', 'stop-takes': '30s' }));
    const events = heard();
    const ending = toEnd(launcher, first, events);
    await until('its start', async () => events.starts[0]);
    await core().deleteNamespacedPod({ namespace: namespace.name, name: first.key });
    expect(await ending).toMatchObject({ kind: 'lost', code: 'deleted' });
    const next = podRun(onPaper({ message: '2' }), { agendaId: first.agendaId, launch: 2 });
    expect(await launcher.start(next)).toEqual({ key: next.key, adopted: false });
    expect(await launcher.follow(next, heard(), never())).toMatchObject({ kind: 'succeeded', result: 2 });
  });
});

describe('several workers', () => {
  clusterTest('a second one finds, adopts and finishes what the first began', async () => {
    await using namespace = await testNamespace('kwok');
    const first = await podLauncher(namespace.name);
    const run = podRun(onPaper({ 'run-for': '2s', message: '"adopted"' }));
    await first.start(run);
    first[Symbol.dispose]();
    using second = await podLauncher(namespace.name);
    expect(second.place).toBe(first.place);
    expect(await second.list()).toMatchObject([{ key: run.key, alive: true }]);
    expect(await second.start(run)).toEqual({ key: run.key, adopted: true });
    expect(await second.follow(run, heard(), never())).toMatchObject({ kind: 'succeeded', result: 'adopted' });
    expect(await podsIn(namespace.name)).toHaveLength(1);
  });

  clusterTest('a stop that a dead worker ordered and did not carry out is finished by whoever follows', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    const run = podRun(onPaper({ 'run-for': 'never' }));
    await launcher.start(run);
    const order = JSON.stringify({ reason: 'timedOut', limit: 'run', seconds: 5, graceSeconds: 1 });
    const strategic = { metadata: { annotations: { 'pop.stop': order } } };
    const api = clientConfig(sharedCluster());
    const { KubernetesApi } = await import('../../k8s/kubernetes-api.ts');
    const path = `/api/v1/namespaces/${namespace.name}/pods/${run.key}`;
    await new KubernetesApi(api).ask({ method: 'PATCH', path, body: strategic });
    expect(await launcher.follow(run, heard(), never())).toMatchObject({ kind: 'timedOut', limit: 'run' });
  });

  clusterTest('a finalizer keeps a Pod until its end is acknowledged', async () => {
    await using namespace = await testNamespace('kwok');
    using launcher = await podLauncher(namespace.name);
    const run = podRun(onPaper({}));
    await launcher.start(run);
    await until('its end', async () => (await launcher.list())[0]?.alive === false || undefined);
    await core().deleteNamespacedPod({ namespace: namespace.name, name: run.key });
    const [pod] = await podsIn(namespace.name);
    expect(pod?.metadata?.finalizers).toEqual([finalizer]);
    await launcher.forget(run.key);
    await none(namespace.name);
  });
});
