/**
 * Rows about Pods. This suite has no cluster: of a Pod it looks at what the launcher makes of the registry, and its
 * life runs on a server that keeps objects. test/kubernetes shows the same on a real cluster.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { JsonObject } from '../../agenda/types.ts';
import { CustomerNamespaces } from '../../k8s/customer-namespaces.ts';
import { KubernetesApi } from '../../k8s/kubernetes-api.ts';
import { KubernetesLauncher } from '../../k8s/kubernetes-launcher.ts';
import { labels } from '../../k8s/names.ts';
import { emptyTemplate } from '../../k8s/namespace-template.ts';
import { kubernetesRunOf, podOf } from '../../k8s/pod-spec.ts';
import { parseRegistry, settingsFor } from '../../launchers/registry.ts';
import { FakeApiServer, type KeptObject } from '../support/fake-api-server.ts';
import { FakeKubernetes } from '../support/fake-kubernetes.ts';
import { never, recorded, runOf } from '../support/scratch.ts';
import { OwnPool } from './own-pool.ts';
import { ended, newTenant, operationOf, resultOf, submit, until } from './running-system.ts';

const pods = '/api/v1/namespaces/media/pods';

/** The Pod of a type, as the pool worker makes it of a registry. */
function podFor(registry: unknown, type: string) {
  const settings = settingsFor(parseRegistry(JSON.stringify(registry), '/etc/pop/registry.json'), type);
  if (settings === undefined) throw new Error(`${type} is not registered.`);
  const run = kubernetesRunOf({ ...runOf({ command: ['x'] }), type, settings });
  const pod = podOf(run, 'media', { pool: 'p', nodeLostSeconds: 60 });
  const { spec, metadata } = pod as { spec: JsonObject & { containers: JsonObject[] }; metadata: JsonObject };
  return { metadata, spec, container: spec.containers[0] ?? {} };
}

async function launcherOn(fake: FakeApiServer): Promise<KubernetesLauncher> {
  const api = new KubernetesApi(fake.config);
  return KubernetesLauncher.connect({
    ...{ api, namespace: 'media', pool: 'p', nodeLostSeconds: 60, createsAtOnce: 10, onReachable: () => undefined },
    customerNamespaces: new CustomerNamespaces({ api, pool: 'p', template: emptyTemplate, watchesAll: false }),
  });
}

test('row 74: a type has its own image, and the base’s processor', () => {
  const registry = {
    basePodConfig: { imageName: 'registry.test/base:1', cpuMinRequestCount: '250m', cpuMaxRequestCount: '500m' },
    sample: { podConfig: { imageName: 'registry.test/sample:2' } },
    other: { podConfig: { cpuMinRequestCount: '2', cpuMaxRequestCount: '2' } },
  };
  expect(podFor(registry, 'sample').container).toMatchObject({
    image: 'registry.test/sample:2',
    resources: { requests: { cpu: '250m' }, limits: { cpu: '500m' } },
  });
  expect(podFor(registry, 'other').container).toMatchObject({
    image: 'registry.test/base:1',
    resources: { requests: { cpu: '2' }, limits: { cpu: '2' } },
  });
});

test('row 75: config maps, NFS exports, tolerations, service account, labels and variables are in the Pod', () => {
  const registry = {
    basePodConfig: { serviceAccountName: 'pop-service', labels: { team: 'video' } },
    sample: {
      configMapName: 'sample-config',
      podConfig: {
        imageName: 'registry.test/sample:1',
        envVars: { QUALITY: 'high' },
        useTaintedNodes: true,
        taintedNodeSelector: 'dedicated=media',
        taintedNodeToleration: 'dedicated=media:NoSchedule',
        nfsSettings: [
          { nfsServer: 'nas', nfsServerPath: '/export', nfsMountPaths: ['/mnt/a', '/mnt/b'], nfsReadOnly: true },
        ],
      },
    },
  };
  const { metadata, spec, container } = podFor(registry, 'sample');
  expect(metadata.labels).toMatchObject({ team: 'video' });
  expect(spec).toMatchObject({ serviceAccountName: 'pop-service', nodeSelector: { dedicated: 'media' } });
  expect(spec.tolerations).toContainEqual({
    key: 'dedicated',
    operator: 'Equal',
    value: 'media',
    effect: 'NoSchedule',
  });
  expect(spec.volumes).toContainEqual({
    name: 'config-volume',
    configMap: {
      name: 'sample-config',
      items: [
        { key: 'external-properties', path: 'external.properties' },
        { key: 'env-properties', path: 'env.properties' },
      ],
    },
  });
  expect(spec.volumes).toContainEqual({ name: 'nfs-0', nfs: { server: 'nas', path: '/export', readOnly: true } });
  expect(container.volumeMounts).toEqual(
    expect.arrayContaining([
      { name: 'config-volume', mountPath: '/app/config', readOnly: true },
      { name: 'nfs-0', mountPath: '/mnt/a', readOnly: true },
      { name: 'nfs-0', mountPath: '/mnt/b', readOnly: true },
    ]),
  );
  expect(container.env).toContainEqual({ name: 'QUALITY', value: 'high' });
});

test('row 83: a handler runs a tool as a Pod and follows its log; one that fails fails the Operation', async () => {
  await using fake = await FakeKubernetes.open();
  const folder = await mkdtemp(join(tmpdir(), 'pop-tool-'));
  try {
    const registry = join(folder, 'registry.json');
    const sample = {
      command: ['node', fileURLToPath(new URL('../../handler/sample.ts', import.meta.url))],
      commands: [{ program: 'echo', args: ['{word}'], placeholders: { word: '[a-z]+' } }],
      envVars: { POP_EXTERNAL_LAUNCH: 'kubernetes', POP_KUBERNETES_URL: fake.url },
    };
    await writeFile(registry, JSON.stringify({ basePodConfig: {}, sample: { podConfig: sample } }));
    await using pool = await OwnPool.make();
    await pool.startWorker({ POP_REGISTRY: registry });
    const tenant = await newTenant({}, pool.id);
    /** Submits, plays the kubelet of the tool's Pod, and returns the end. */
    const runTool = async (word: string, exitCode: number) => {
      const actions = [{ action: 'externalExecute', paramsMap: { externalArgs: ['echo', word] } }];
      const agenda = await submit(tenant, {
        operations: [{ name: 'a', type: 'sample', payload: { actions, resultPayload: 'done' } }],
      });
      const name = await until('its tool has a Pod', () => [...fake.pods.keys()][0]);
      expect(fake.pods.get(name)?.spec.containers[0]).toMatchObject({ command: ['echo'], args: [word] });
      fake.setState(name, { running: {} });
      await until('its log is followed', () => (fake.follows === 1 ? true : undefined));
      fake.write(name, `2030-01-01T00:00:01.000000001Z said ${word}`);
      fake.setState(name, { terminated: { exitCode, reason: exitCode === 0 ? 'Completed' : 'Error' } });
      fake.endLogs();
      const progress = await ended(tenant, agenda);
      expect(fake.pods.size).toBe(0);
      const { all } = (await tenant.send('GET', `/agenda/${agenda.id}/logs`)).body;
      expect(all[0].output).toContain(`said ${word}`);
      return progress;
    };
    expect(resultOf(await runTool('well', 0), 'a')).toBe('done');
    const failed = await runTool('badly', 3);
    expect(failed.processingStateMessage).toBe('failed');
    expect(operationOf(failed, 'a').diagnosticEvents?.[0]).toMatchObject({
      code: 'externalFailed',
      message: expect.stringContaining('exit code 3'),
      payload: { lastLines: ['said badly'] },
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** A Pod whose end was acknowledged; its handler ended so many minutes ago, or runs. */
function donePod(fake: FakeApiServer, name: string, endedMinutesAgo: number | undefined): KeptObject {
  const finishedAt = new Date(Date.now() - (endedMinutesAgo ?? 0) * 60_000).toISOString();
  const state = endedMinutesAgo === undefined ? { running: {} } : { terminated: { exitCode: 0, finishedAt } };
  return fake.put(`${pods}/${name}`, {
    metadata: {
      name,
      namespace: 'media',
      labels: { [labels.pool]: 'p', [labels.done]: 'true' },
      annotations: { 'pop.keep': 'true' },
    },
    status: {
      phase: endedMinutesAgo === undefined ? 'Running' : 'Succeeded',
      containerStatuses: [{ name: 'handler', state }],
    },
  });
}

test('row 101: old ended Pods go in batches; running and young ones stay', async () => {
  await using fake = await FakeApiServer.open('media');
  using launcher = await launcherOn(fake);
  for (let index = 0; index < 5; index += 1) donePod(fake, `old-${index}`, 61 + index);
  donePod(fake, 'young', 59);
  donePod(fake, 'running', undefined);
  fake.put(`${pods}/of-another-pool`, {
    metadata: { namespace: 'media', labels: { [labels.pool]: 'q', [labels.done]: 'true' } },
  });
  const order = { olderThanSeconds: 3_600, mostKept: 100, batch: 2, mostSeconds: 60 };
  const batches: number[] = [];
  const onBatch = () => batches.push(fake.names(pods).length);

  const told = await launcher.reap({ ...order, logOnly: true }, () => undefined);
  expect(told).toMatchObject({ pods: 5, complete: true });
  expect(fake.names(pods)).toHaveLength(8);

  expect(await launcher.reap({ ...order, logOnly: false }, onBatch)).toMatchObject({
    pods: 5,
    kept: 1,
    complete: true,
  });
  expect(fake.names(pods).sort()).toEqual(['of-another-pool', 'running', 'young']);
  expect(batches).toEqual([6, 4, 3]);
});

test('row 102: a Pod deletes itself when its end is known, unless it is to be kept', async () => {
  await using fake = await FakeApiServer.open('media');
  using launcher = await launcherOn(fake);
  const toItsEnd = async (reapCompletedPods: boolean) => {
    const key = `op-${reapCompletedPods}`;
    const run = runOf({ launch: 'kubernetes', imageName: 'x', reapCompletedPods }, { key });
    await launcher.start(run);
    const following = launcher.follow(run, recorded(), never());
    const [startedAt, finishedAt] = [new Date().toISOString(), new Date().toISOString()];
    const terminated = { exitCode: 0, message: '"done"', startedAt, finishedAt };
    fake.setStatus(`${pods}/${key}`, { containerStatuses: [{ name: 'handler', state: { terminated } }] });
    expect(await following).toMatchObject({ kind: 'succeeded', result: 'done' });
    // Nobody has acknowledged its end yet.
    expect(fake.names(pods)).toContain(key);
    await launcher.forget(key);
    expect(await launcher.list()).toEqual([]);
  };
  await toItsEnd(true);
  expect(fake.names(pods)).toEqual([]);
  expect(fake.names('/api/v1/namespaces/media/secrets')).toEqual([]);
  await toItsEnd(false);
  expect(fake.names(pods)).toEqual(['op-false']);
  expect(fake.objects.get(`${pods}/op-false`)?.metadata.finalizers).toEqual([]);
});
