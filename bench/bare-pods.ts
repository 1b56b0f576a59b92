/**
 * The baseline of `bench:pods`, a process of its own as the pool worker is: creates Pods like ours, sees them end in
 * one shared watch, and deletes them. It asks as our launcher does (the client library's credentials and watch, kept
 * connections), creates as many at once, and knows nothing of Secrets, logs, finalizers, records and restarts.
 *
 * Its parent tells it what to do, one order at a time, and is told what came of it.
 */
import { Watch } from '@kubernetes/client-node';
import PQueue from 'p-queue';
import { clusterSettings } from '../k8s/connect-cluster.ts';
import { KubernetesApi } from '../k8s/kubernetes-api.ts';
import { labels } from '../k8s/names.ts';
import type { Pod } from '../k8s/pod.ts';
import { kubernetesRunOf, podOf, secretObject, secretsOf } from '../k8s/pod-spec.ts';
import { launchKey } from '../launchers/launch-key.ts';
import { loadRegistry, settingsFor } from '../launchers/registry.ts';
import type { BareAnswer, BareOrder } from './bare-pod-orders.ts';

const settings = clusterSettings();
if (settings === undefined) throw new Error('POP_KUBECONFIG names no cluster.');
const api = new KubernetesApi(settings.config);
const handler = settingsFor(loadRegistry(process.env.POP_REGISTRY ?? ''), 'ends');
const pool = 'bare';
const ground = { pool, nodeLostSeconds: settings.nodeLostSeconds };
const creates = new PQueue({ concurrency: settings.createsAtOnce });
/** When the end of a Pod's container was first seen, by the key of its launch. */
const seen = new Map<string, number>();
let onSeen: ((pod: Pod) => void) | undefined;

/** Lists and watches; once a watch ends, for it was silent or too old, all over again. */
async function watch(namespace: string, labelSelector: string): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const take = (pod: Pod): void => {
    const key = pod.metadata.labels?.[labels.key];
    if (key === undefined || seen.has(key)) return;
    if (pod.status?.containerStatuses?.[0]?.state?.terminated === undefined) return;
    seen.set(key, Date.now());
    onSeen?.(pod);
  };
  const { metadata, items } = await api.ask<PodList>({ path, query: { labelSelector } });
  for (const pod of items) take(pod);
  const query = { labelSelector, resourceVersion: metadata.resourceVersion, timeoutSeconds: 290 };
  await new Watch(api.config).watch(
    path,
    query,
    (type: string, pod: Pod) => {
      if (type === 'ADDED' || type === 'MODIFIED') take(pod);
    },
    () => void watch(namespace, labelSelector),
  );
}

interface PodList {
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly Pod[];
}

let made = 0;

function runOf(index: number) {
  if (handler === undefined) throw new Error('The registry has no type "ends".');
  const fence = { agendaId: 'bare', attempt: 1, operation: `o${index}`, operationAttempt: 1, launch: made++ };
  return kubernetesRunOf({
    ...fence,
    key: launchKey(fence),
    type: 'ends',
    cid: 'bare',
    customerId: 'bench',
    operationId: `${made}`,
    progressId: `${made}`,
    payload: JSON.stringify({ name: `o${index}` }),
    report: { url: 'http://127.0.0.1/v1', token: 'x'.repeat(200) },
    settings: handler,
  });
}

/** From the first create to the moment that the last end was seen; deletes go on beside that. */
async function fan(width: number, withSecrets: boolean): Promise<number> {
  const { namespace } = settings ?? {};
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const begun = performance.now();
  let ended = 0;
  let milliseconds = 0;
  const deletes: Promise<unknown>[] = [];
  const allEnded = new Promise<void>((resolve) => {
    onSeen = ({ metadata: { name } }) => {
      deletes.push(api.ask({ method: 'DELETE', path: `${path}/${name}` }));
      ended += 1;
      if (ended < width) return;
      milliseconds = performance.now() - begun;
      resolve();
    };
  });
  const creating = Array.from({ length: width }, (_, index) =>
    creates.add(async () => {
      const run = runOf(index);
      const pod = podOf(run, namespace ?? '', ground) as { metadata: { finalizers?: unknown } };
      const { finalizers, ...metadata } = pod.metadata;
      const created = await api.ask<Pod>({ method: 'POST', path, body: { ...pod, metadata } });
      if (!withSecrets) return;
      for (const [name, texts] of Object.entries(secretsOf(run))) {
        const body = secretObject(name, texts, ground, created.metadata);
        await api.ask({ method: 'POST', path: `/api/v1/namespaces/${namespace}/secrets`, body });
      }
    }),
  );
  await Promise.all(creating);
  await allEnded;
  await Promise.all(deletes);
  onSeen = undefined;
  return milliseconds;
}

async function follow(order: BareOrder): Promise<BareAnswer> {
  switch (order.kind) {
    case 'watch':
      await watch(order.namespace, order.selector);
      return { kind: 'done' };
    case 'fan':
      return { kind: 'fan', milliseconds: await fan(order.width, order.withSecrets) };
    case 'seen':
      return { kind: 'seen', times: Object.fromEntries(seen) };
  }
}

await watch(settings.namespace, `${labels.pool}=${pool}`);
process.on('message', (order: BareOrder) => {
  follow(order).then(
    (answer) => process.send?.(answer),
    (error: unknown) => process.send?.({ kind: 'failed', message: String(error) } satisfies BareAnswer),
  );
});
process.on('disconnect', () => process.exit());
process.send?.({ kind: 'done' } satisfies BareAnswer);
