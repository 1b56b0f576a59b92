/**
 * POP itself in a cluster, as the overlay for minikube makes it, but for Postgres and Temporal: their images cannot be
 * made without a registry, so both are beside the cluster, on this machine.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CoreV1Api, type V1Pod } from '@kubernetes/client-node';
import postgres from 'postgres';
import { client, type Request } from '../../examples/demo/client.ts';
import { System } from '../../machine/system.ts';
import { clientConfig } from './cluster/facts.ts';
import { toolPath } from './cluster/tools.ts';
import { kubectl, kustomization } from './kubectl.ts';
import { importHandlerImages, importPopImage } from './pop-images.ts';
import { reachable } from './reachable.ts';
import { sharedCluster, testNamespace } from './shared-cluster.ts';

/** It runs, and waits for Agendas of its pool. */
export interface PopInCluster extends AsyncDisposable {
  readonly namespace: string;
  /** What its handlers have at /media, here. */
  readonly media: string;
  /** May do everything. */
  readonly operator: Request;
  pods(name: string): Promise<readonly V1Pod[]>;
}

const overlay = 'k8s/deploy/overlays/minikube';
const databaseName = 'in_cluster';
/** What the cluster of tests cannot pull, and what there is on this machine in its place. */
const elsewhere = ['pop-postgres', 'pop-temporal'];
const admin = () => clientConfig(sharedCluster()).makeApiClient(CoreV1Api);

/** Goes through docs/deploy.md: images, the overlay, the first key, settings, the pool's key. */
export async function startPopInCluster(): Promise<PopInCluster> {
  await using parts = new AsyncDisposableStack();
  await importPopImage();
  await importHandlerImages();
  const home = parts.use(await mkdtempDisposable(join(tmpdir(), 'pop-in-cluster-')));
  // Postgres runs as somebody else.
  await chmod(home.path, 0o755);
  const media = join(home.path, 'media');
  await mkdir(media);
  // What provisioners make is everybody's to write.
  await chmod(media, 0o777);
  const settings = await startServers(home.path, parts);
  const { name: namespace } = parts.use(await testNamespace('real'));
  parts.use(await provideVolume(namespace, media));
  parts.defer(async () => {
    const policies = ['validatingadmissionpolicy,validatingadmissionpolicybinding', 'pop-handlers'];
    await kubectl('delete', ...policies, '--ignore-not-found');
  });
  const patiently = async (...command: string[]) => {
    try {
      await kubectl(...command, '-n', namespace, '--timeout=240s');
    } catch (cause) {
      throw new Error(`${(cause as Error).message}\n${await logsOf(namespace)}`, { cause });
    }
  };
  await applyOverlay(namespace, settings);
  await patiently('wait', '--for=condition=complete', 'job/pop-migrate');
  await patiently('rollout', 'status', 'deployment/pop-api');
  // There is no kube-proxy and no DNS: the worker and handlers go to the api's Pod.
  const pods = (name: string) => podsOf(namespace, `app.kubernetes.io/name=${name}`);
  const [apiPod] = await pods('pop-api');
  await applyOverlay(namespace, { ...settings, api: `http://${apiPod?.status?.podIP}:8080/v1` });

  const { url } = parts.use(await portForward(namespace));
  const first = await kubectl('exec', '-n', namespace, 'deployment/pop-api', '--', 'pop', 'key', 'create', '--first');
  const operator = client(url, first.trim());
  await makeSettings(operator);
  const wanted = { title: 'pool worker', accounts: ['operations'], scopes: ['pool:minikube'] };
  const { key } = await operator<{ key: string }>('POST', '/apikey', wanted);
  await kubectl('create', 'secret', 'generic', 'pop-pool-key', '-n', namespace, `--from-literal=key=${key}`);
  await kubectl('create', '-n', namespace, '-f', 'examples/media/kubernetes/make-clip.yaml');
  await patiently('wait', '--for=condition=complete', 'job/pop-make-clip');
  for (const name of ['pop-control', 'pop-pool-worker']) await patiently('rollout', 'status', `deployment/${name}`);
  const kept = parts.move();
  return { namespace, media, operator, pods, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

interface Settings {
  readonly temporal: string;
  readonly database: string;
  readonly api?: string;
}

/** Postgres with an empty database, and Temporal, where Pods reach them. */
async function startServers(home: string, parts: AsyncDisposableStack): Promise<Settings> {
  const system = parts.use(await System.start({ home, registry: '', without: ['api', 'control', 'pool'] }));
  const sql = postgres(system.urls.database, { max: 1 });
  await sql`/* test: an empty database */ create database ${sql(databaseName)}`;
  await sql.end();
  const temporal = parts.use(await reachable(`http://127.0.0.1:${system.ports.temporal}`));
  const record = parts.use(await reachable(`http://127.0.0.1:${system.ports.postgres}`));
  const database = new URL(system.urls.database);
  database.host = `${record.host}:${record.port}`;
  database.pathname = `/${databaseName}`;
  return { temporal: `${temporal.host}:${temporal.port}`, database: database.href };
}

async function applyOverlay(namespace: string, { temporal, database, api }: Settings): Promise<void> {
  const removed = elsewhere.map((name) => ({
    patch: JSON.stringify({ $patch: 'delete', apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name } }),
  }));
  const literals = api === undefined ? [] : [`POP_URL=${api}`];
  await using changed = await kustomization((of) => ({
    namespace,
    resources: [of(overlay)],
    patches: removed,
    configMapGenerator: [
      { name: 'pop-settings', behavior: 'merge', literals: [`TEMPORAL_ADDRESS=${temporal}`] },
      { name: 'pop-pool-settings', behavior: 'merge', literals },
    ],
    secretGenerator: [{ name: 'pop-database', behavior: 'merge', literals: [`url=${database}`] }],
  }));
  await kubectl('apply', '-k', changed.path);
}

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

/** What the programs logged, for a failure to tell. */
async function logsOf(namespace: string): Promise<string> {
  const pods = await podsOf(namespace, 'app.kubernetes.io/name');
  const texts = pods.map(async ({ metadata, status }) => {
    const name = metadata?.name ?? '';
    const log = await admin()
      .readNamespacedPodLog({ namespace, name, tailLines: 8 })
      .catch((error: Error) => error.message);
    return `${name}: ${JSON.stringify(status?.containerStatuses?.[0]?.state)}\n${log}`;
  });
  return (await Promise.all(texts)).join('\n');
}

async function makeSettings(operator: Request): Promise<void> {
  await operator('POST', '/resourcepool', { id: 'minikube', customerId: 'operations', title: 'Minikube' });
  await operator('POST', '/customer', { id: 'acme', customerId: 'acme', title: 'Acme', resourcePoolId: 'minikube' });
  const insight = { id: 'all', customerId: 'operations', title: 'All', resourcePoolId: 'minikube', isGlobal: true };
  await operator('POST', '/insight', { ...insight, mappers: { always: [] }, maximumRunning: 4 });
}
