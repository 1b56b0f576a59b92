/**
 * What the world does to Pods, and what the record says of their Operations, on paper and on a kubelet. Numbers are
 * those of public reports.
 */
import { CoreV1Api, type V1Pod } from '@kubernetes/client-node';
import { describe, expect } from 'vitest';
import { clientConfig } from './cluster/facts.ts';
import { grounds } from './grounds.ts';
import { heard, onPaper, podLauncher, podRun } from './pod-launcher.ts';
import { isRunning, PodPool } from './pod-pool.ts';
import { clusterTest, sharedCluster, testNamespace, until } from './shared-cluster.ts';

const core = () => clientConfig(sharedCluster()).makeApiClient(CoreV1Api);
const nameOf = ({ metadata }: V1Pod) => ({ namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' });
const evict = (pod: V1Pod) =>
  core().createNamespacedPodEviction({ ...nameOf(pod), body: { metadata: { name: pod.metadata?.name ?? '' } } });
const remove = (pod: V1Pod) => core().deleteNamespacedPod(nameOf(pod));
const isPlaced = ({ status }: V1Pod) => status?.conditions?.some(({ type }) => type === 'PodScheduled') === true;
const never = () => new AbortController().signal;

/** Takes off what keeps it, as somebody who forces a Pod away does. */
async function removeForced(pod: V1Pod): Promise<void> {
  await core().patchNamespacedPod({ ...nameOf(pod), body: [{ op: 'remove', path: '/metadata/finalizers' }] });
  await core().deleteNamespacedPod({ ...nameOf(pod), gracePeriodSeconds: 0 });
}

describe.each(grounds)(
  'what the infrastructure takes away ($kind) is launched again, and costs no attempt',
  (ground) => {
    const { kind, test, runs, staysOn, waits } = ground;

    test.for([
      ['argo 5543: drained, and exits with 143', runs, evict, 'drained'],
      ['argo 2881: deleted by hand while it ran', runs, remove, 'deleted'],
      ['deleted by hand before it ran', waits, remove, 'deleted'],
      ['deleted by force, its finalizer with it', runs, removeForced, 'deleted'],
      ['armada: old Pod still terminating', staysOn, remove, 'deleted'],
    ] as const)('%s', async ([, podConfig, take, code]) => {
      await using namespace = await testNamespace(kind);
      await using pool = await PodPool.open(namespace.name, podConfig);
      const worker = await pool.worker();
      const key = await pool.admit();
      const first = worker.run(key).ended;
      first.catch(() => undefined);
      const old = await pool.pod('first Pod', (pod) => (podConfig === waits ? isPlaced(pod) : isRunning(pod)));
      await take(old);
      await expect(first).rejects.toMatchObject({ type: 'lost' });
      pool.setType(ground.gives('second'));
      await pool.again(worker, key);
      expect(await pool.recorded(key)).toMatchObject({
        ...{ state: 'COMPLETE', message: 'succeeded', result: '"second"', launch: 2, attempts: 1 },
      });
      expect(await pool.service.launches(key.agendaId)).toMatchObject([
        { launch: 1, ending: 'lost', category: 'infrastructure', code, decision: 'again' },
        { launch: 2, ending: 'succeeded' },
      ]);
      const left = podConfig === staysOn ? [old.metadata?.name] : [];
      await until('no other Pod', async () => {
        const names = (await pool.pods()).map(({ metadata }) => metadata?.name);
        return JSON.stringify(names) === JSON.stringify(left) || undefined;
      });
    });
  },
);

clusterTest('argo 2711: evicted by its node, and launched again', async () => {
  await using namespace = await testNamespace('kwok');
  const evicted = onPaper({ 'pod-reason': 'Evicted', 'exit-code': '137' });
  await using pool = await PodPool.open(namespace.name, evicted);
  const worker = await pool.worker();
  const key = await pool.admit();
  await expect(worker.run(key).ended).rejects.toMatchObject({ type: 'lost' });
  pool.setType(onPaper({ message: '"second"' }));
  await pool.again(worker, key);
  expect(await pool.recorded(key)).toMatchObject({ message: 'succeeded', launch: 2, attempts: 1 });
  expect(await pool.service.launches(key.agendaId)).toMatchObject([{ code: 'evicted' }, { ending: 'succeeded' }]);
  expect(await pool.pods()).toEqual([]);
});

describe.each(grounds)('a Pod that is gone when its worker looks ($kind)', ({ kind, test, runs, gives }) => {
  test('argo 14885, 7466: has the result that its token reported, and no second run', async () => {
    await using namespace = await testNamespace(kind);
    await using pool = await PodPool.open(namespace.name, runs);
    const worker = await pool.worker();
    const key = await pool.admit();
    const activity = worker.run(key);
    activity.ended.catch(() => undefined);
    const pod = await pool.pod('Pod', isRunning);
    worker.shutDown();
    await expect(activity.ended).rejects.toMatchObject({ type: 'letGo' });
    const secret = await core().readNamespacedSecret(nameOf(pod));
    const token = Buffer.from(secret.data?.token ?? '', 'base64').toString();
    const fence = JSON.parse(pod.metadata?.annotations?.['pop.fence'] ?? '');
    const answer = await fetch(`${pool.service.url}/resourcepool/service/finishOperation`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ items: [{ ...fence, outcome: 'succeeded', result: '"by token"' }] }),
    });
    expect(await answer.json()).toMatchObject({ items: [{ verdict: 'stored' }] });
    await removeForced(pod);
    await (await pool.worker()).run(key, { attempt: 2 }).ended;
    expect(await pool.recorded(key)).toMatchObject({ message: 'succeeded', result: '"by token"', launch: 1 });
    expect(await pool.pods()).toEqual([]);
  });

  test('says that its log is gone with it, and never shows an empty one', async () => {
    await using namespace = await testNamespace(kind);
    using launcher = await podLauncher(namespace.name);
    const ending = await launcher.follow(podRun(gives('seen by nobody')), heard(), never());
    expect(ending).toMatchObject({ kind: 'lost', code: 'deleted', log: { totalBytes: 0 } });
    expect(ending.log?.output).toContain('gone before it was read');
  });

  test('is kept from all who collect ended Pods until its end is acknowledged', async () => {
    await using namespace = await testNamespace(kind);
    await using pool = await PodPool.open(namespace.name, gives('kept', 3));
    const worker = await pool.worker();
    const key = await pool.admit();
    const activity = worker.run(key);
    activity.ended.catch(() => undefined);
    const pod = await pool.pod('Pod', isRunning);
    worker.shutDown();
    await expect(activity.ended).rejects.toMatchObject({ type: 'letGo' });
    const ended = await pool.pod('end', ({ status }) => status?.phase === 'Succeeded');
    const finishedAt = ended.status?.containerStatuses?.[0]?.state?.terminated?.finishedAt?.getTime() ?? 0;
    // Within one second nobody could tell which came first.
    await until('a second', async () => Date.now() > finishedAt + 2_000 || undefined);
    // As the garbage collector of the controller-manager does.
    await core().deleteNamespacedPod({ ...nameOf(pod), gracePeriodSeconds: 0 });
    await (await pool.worker()).run(key, { attempt: 2 }).ended;
    expect(await pool.recorded(key)).toMatchObject({ message: 'succeeded', result: '"kept"', launch: 1 });
    await until('no Pod', async () => (await pool.pods()).length === 0 || undefined);
  });
});

describe.each(grounds)('a worker that comes late ($kind)', ({ kind, test, waits, gives, startSeconds }) => {
  test('airflow 40018: a Pod that began long before has no time-out, and its stamps are the Pod’s', async () => {
    await using namespace = await testNamespace(kind);
    const limits = { scheduledSeconds: startSeconds, runSeconds: 60, quietSeconds: 60 };
    const lastsSeconds = startSeconds + 5;
    await using pool = await PodPool.open(namespace.name, { ...gives('late', lastsSeconds), ...limits });
    const first = await pool.worker();
    const key = await pool.admit();
    const activity = first.run(key);
    activity.ended.catch(() => undefined);
    const began = await pool.pod('Pod', isRunning);
    const startedAt = began.status?.containerStatuses?.[0]?.state?.running?.startedAt?.getTime() ?? 0;
    first.shutDown();
    await expect(activity.ended).rejects.toMatchObject({ type: 'letGo' });
    // Longer than a Pod may take to start.
    await until('that long', async () => Date.now() > startedAt + (startSeconds + 2) * 1_000 || undefined);
    await (await pool.worker()).run(key, { attempt: 2 }).ended;
    expect(await pool.recorded(key)).toMatchObject({ message: 'succeeded', launch: 1 });
    const [times] = await pool.service.database.$client<{ started: number; took: number }[]>`
      select extract(epoch from started_time)::float8 * 1000 as started,
        extract(epoch from ended_time - started_time)::float8 as took
      from operation_progress where agenda_id = ${key.agendaId}`;
    expect(times?.started).toBe(startedAt);
    expect(times?.took).toBeGreaterThanOrEqual(lastsSeconds - 1);
  });

  test('finds a Pod that never started at its limit, from the Pod’s time on', async () => {
    await using namespace = await testNamespace(kind);
    using first = await podLauncher(namespace.name);
    const run = podRun({ ...waits, scheduledSeconds: 5 });
    await first.start(run);
    const asked = Date.now();
    await until('six seconds', async () => Date.now() > asked + 6_000 || undefined);
    using second = await podLauncher(namespace.name);
    const begun = Date.now();
    const ending = await second.follow(run, heard(), never());
    // A registry that does not answer is a fault of the type, where the kubelet has told of it by then.
    expect(kind === 'real' ? ['failed', 'timedOut'] : ['timedOut']).toContain(ending.kind);
    expect(Date.now() - begun).toBeLessThan(5_000);
  });
});

clusterTest('the cause of waiting is in the record while it waits, and goes when it starts', async () => {
  await using namespace = await testNamespace('kwok');
  await using pool = await PodPool.open(namespace.name, {
    ...onPaper({ 'run-for': 'never' }),
    nodeSelector: { 'pop.test/later': namespace.name },
  });
  const key = await pool.admit();
  const activity = (await pool.worker()).run(key);
  activity.ended.catch(() => undefined);
  const words = () => pool.recorded(key).then(({ message }) => message);
  await expect.poll(words, { timeout: 30_000 }).toContain('The Pod cannot be scheduled: ');
  const label = (value: string | null) => ({ metadata: { labels: { 'pop.test/later': value } } });
  const { KubernetesApi } = await import('../../k8s/kubernetes-api.ts');
  const api = new KubernetesApi(clientConfig(sharedCluster()));
  const node = '/api/v1/nodes/kwok-1';
  await api.ask({ method: 'PATCH', path: node, body: label(namespace.name) });
  try {
    await expect.poll(words, { timeout: 30_000 }).toBe('The handler runs.');
  } finally {
    await api.ask({ method: 'PATCH', path: node, body: label(null) });
  }
});
