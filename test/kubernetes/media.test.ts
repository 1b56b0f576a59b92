/**
 * POP itself in a cluster: migrations, api, control worker and pool worker as the manifests of k8s/deploy say, and the
 * media Agenda in real containers, from a video to its HLS manifest. Postgres and Temporal are beside it, on this
 * machine, for their images cannot be made without a registry.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtempDisposable, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CoreV1Api, type V1Pod } from '@kubernetes/client-node';
import { expect } from 'vitest';
import { type AgendaProgress, client, type Request } from '../../examples/demo/client.ts';
import { mediaAgenda } from '../../examples/media/agenda.ts';
import { System } from '../../machine/system.ts';
import { clientConfig } from './cluster/facts.ts';
import { toolPath } from './cluster/tools.ts';
import { kubectl, kustomization } from './kubectl.ts';
import { importHandlerImages, importPopImage } from './pop-images.ts';
import { reachablePort } from './reachable.ts';
import { realNodeTest, sharedCluster, testNamespace, until } from './shared-cluster.ts';

const deploy = 'k8s/deploy';
const admin = () => clientConfig(sharedCluster()).makeApiClient(CoreV1Api);
const agendaSeconds = 400;

/** A volume for the claim of the media handlers: a folder of this machine. */
async function provideVolume(namespace: string, path: string): Promise<AsyncDisposable> {
  const name = `media-${namespace}`;
  await admin().createPersistentVolume({
    body: {
      metadata: { name },
      spec: {
        capacity: { storage: '2Gi' },
        accessModes: ['ReadWriteOnce'],
        hostPath: { path },
        claimRef: { namespace, name: 'pop-media' },
        persistentVolumeReclaimPolicy: 'Retain',
      },
    },
  });
  return { [Symbol.asyncDispose]: async () => void (await admin().deletePersistentVolume({ name })) };
}

/** A way to the api from here, as a user makes it. */
async function portForward(namespace: string): Promise<AsyncDisposable & { readonly url: string }> {
  const child: ChildProcess = spawn(
    toolPath('kubectl'),
    ['port-forward', '-n', namespace, 'service/pop-api', ':8080', '--kubeconfig', sharedCluster().kubeconfig],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'close');
  if (child.stdout === null) throw new Error('kubectl has no output.');
  let port: string | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    port = /^Forwarding from 127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port !== undefined) break;
  }
  child.stdout.resume();
  if (port === undefined) throw new Error('kubectl port-forward ended.');
  return {
    url: `http://127.0.0.1:${port}/v1`,
    async [Symbol.asyncDispose]() {
      child.kill();
      await ended;
    },
  };
}

const podsOf = async (namespace: string, labelSelector: string): Promise<readonly V1Pod[]> =>
  (await admin().listNamespacedPod({ namespace, labelSelector })).items;

async function makeSettings(operator: Request): Promise<void> {
  await operator('POST', '/resourcepool', { id: 'minikube', customerId: 'operations', title: 'Minikube' });
  await operator('POST', '/customer', { id: 'acme', customerId: 'acme', title: 'Acme', resourcePoolId: 'minikube' });
  const insight = { id: 'all', customerId: 'operations', title: 'All', resourcePoolId: 'minikube', isGlobal: true };
  await operator('POST', '/insight', { ...insight, mappers: { always: [] }, maximumRunning: 4 });
}

/** Waits for its end. */
async function untilComplete(operator: Request, progressId: string): Promise<AgendaProgress> {
  const ask = () => operator<AgendaProgress>('GET', `/progress/agenda/${progressId}`);
  return until(
    'end of the Agenda',
    async () => {
      const progress = await ask();
      return progress.processingState === 'COMPLETE' ? progress : undefined;
    },
    agendaSeconds,
  );
}

realNodeTest(
  'the media Agenda runs in containers to its HLS manifest, by programs that are Pods',
  { timeout: 900_000 },
  async () => {
    await importPopImage();
    await importHandlerImages();
    await using home = await mkdtempDisposable(join(tmpdir(), 'pop-in-cluster-'));
    // Postgres runs as somebody else.
    await chmod(home.path, 0o755);
    const media = join(home.path, 'media');
    await mkdir(media);
    // What provisioners make is everybody's to write.
    await chmod(media, 0o777);
    const without = ['api', 'control', 'pool'] as const;
    await using outside = await System.start({ home: home.path, registry: '', without });
    await using temporal = await reachablePort(outside.ports.temporal);
    await using postgres = await reachablePort(outside.ports.postgres);
    await using namespace = await testNamespace('real');
    await using _volume = await provideVolume(namespace.name, media);
    await kubectl('label', 'namespace', namespace.name, 'pod-security.kubernetes.io/enforce=restricted');
    const database = new URL(outside.urls.database);
    database.host = `${postgres.host}:${postgres.port}`;
    const url = (service: string) => `http://${service}:8080/v1`;
    const programs = (resources: readonly string[], api: string) =>
      kustomization((of) => ({
        namespace: namespace.name,
        resources: resources.map((name) => of(`${deploy}/base/${name}`)),
        components: resources.includes('pool-worker') ? [of('examples/media/kubernetes')] : [],
        images: [{ name: 'pop', newTag: 'dev' }],
        generatorOptions: { disableNameSuffixHash: true },
        configMapGenerator: [
          { name: 'pop-settings', literals: [`TEMPORAL_ADDRESS=${temporal.host}:${temporal.port}`] },
          { name: 'pop-pool-settings', literals: ['POP_POOL_ID=minikube', `POP_URL=${url(api)}`, 'POP_CONCURRENCY=8'] },
        ],
        secretGenerator: [{ name: 'pop-database', literals: [`url=${database}`] }],
      }));
    await using control = await programs(['migrate', 'api', 'control'], 'nobody');
    await kubectl('apply', '-k', control.path);
    const wait = (...what: string[]) => kubectl('wait', '-n', namespace.name, '--timeout=180s', ...what);
    await wait('--for=condition=complete', 'job/pop-migrate');
    await kubectl('rollout', 'status', '-n', namespace.name, '--timeout=180s', 'deployment/pop-api');
    // There is no kube-proxy and no DNS: workers and handlers go to the api's Pod.
    const [apiPod] = await podsOf(namespace.name, 'app.kubernetes.io/name=pop-api');
    await using worker = await programs(['pool-worker'], apiPod?.status?.podIP ?? '');
    // Before its key is made: it waits for that.
    await kubectl('apply', '-k', worker.path);

    await using way = await portForward(namespace.name);
    const operator = client(way.url, outside.keys.operator);
    await makeSettings(operator);
    const scopes = ['pool:minikube'];
    const body = { title: 'pool worker', accounts: ['operations'], scopes };
    const { key } = await operator<{ key: string }>('POST', '/apikey', body);
    await kubectl('create', 'secret', 'generic', 'pop-pool-key', '-n', namespace.name, `--from-literal=key=${key}`);
    await kubectl('create', '-n', namespace.name, '-f', 'examples/media/kubernetes/make-clip.yaml');
    await wait('--for=condition=complete', 'job/pop-make-clip');
    for (const name of ['pop-control', 'pop-pool-worker'])
      await kubectl('rollout', 'status', '-n', namespace.name, '--timeout=240s', `deployment/${name}`);

    const agenda = mediaAgenda({ customerId: 'acme', source: '/media/clip.mp4', folder: '/media/acme' });
    const { progressId } = await operator<{ progressId: string }>('POST', '/agenda', agenda);
    const { processingStateMessage, operationProgress } = await untilComplete(operator, progressId);
    expect(processingStateMessage, JSON.stringify(operationProgress)).toBe('succeeded');
    for (const each of operationProgress) expect(each).toMatchObject({ launch: 1, attemptCount: 1 });
    const packed = operationProgress.find(({ operation }) => operation === 'package')?.resultPayload;
    expect(JSON.parse(packed ?? 'null')).toMatchObject({ manifest: '/media/acme/hls/master.m3u8' });
    const manifest = await readFile(join(media, 'acme/hls/master.m3u8'), 'utf8');
    expect(manifest).toMatch(/RESOLUTION=640x360[\s\S]*RESOLUTION=320x180[\s\S]*RESOLUTION=160x90/);
    expect((await readdir(join(media, 'acme'))).sort()).toEqual(
      expect.arrayContaining(['filmstrip.jpg', 'hls', 'large.mp4']),
    );
    // What ended was acknowledged and is gone.
    await until('end of all handlers', async () => {
      const left = await podsOf(namespace.name, 'app.kubernetes.io/name=pop-handler');
      return left.length === 0 || undefined;
    });

    // An edit of the registry is in force without a restart.
    await addType(namespace.name);
    const told = async () => {
      const { items } = await operator<{ items: readonly { types?: readonly { type: string }[] }[] }>(
        'GET',
        '/resourcepool/minikube/workers',
      );
      return JSON.stringify(items).includes('"later"') || undefined;
    };
    await until('type that was added', told, 180);
    const later = await operator<{ progressId: string }>('POST', '/agenda', {
      customerId: 'acme',
      operations: [{ name: 'only', type: 'later', payload: { actions: [], resultPayload: { edited: true } } }],
    });
    const done = await untilComplete(operator, later.progressId);
    expect(done.operationProgress[0]).toMatchObject({
      processingStateMessage: 'succeeded',
      resultPayload: '{"edited":true}',
    });
    const [pod] = await podsOf(namespace.name, 'app.kubernetes.io/name=pop-pool-worker');
    expect(pod?.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 0, ready: true });
  },
);

async function addType(namespace: string): Promise<void> {
  const found = await admin().readNamespacedConfigMap({ namespace, name: 'pop-registry' });
  const registry = JSON.parse(found.data?.['registry.json'] ?? 'null') as Record<string, unknown>;
  const data = { 'registry.json': JSON.stringify({ ...registry, later: registry.sample }) };
  await kubectl('patch', 'configmap', 'pop-registry', '-n', namespace, '--patch', JSON.stringify({ data }));
}
