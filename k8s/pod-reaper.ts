/**
 * Clears away what ended Pods leave behind: those that are kept to be looked at, once they are old or too many; those
 * that a worker marked as done and died before it deleted them; and, when asked to, namespaces of Customers that have
 * been empty for long. What no activity follows is the orphan reaper's, which asks whether it is still wanted.
 */
import type { PodReapAnswer, PodReapOrder } from '../messages/pod-reaping.ts';
import { ApiError, isNotFound } from './api-errors.ts';
import type { KubernetesApi } from './kubernetes-api.ts';
import { listAll } from './list-all.ts';
import { annotations, labels } from './names.ts';
import { handlerContainer, type ObjectMeta, type Pod, timeOf } from './pod.ts';
import { hasRunningContainer } from './pod-state.ts';

/** Where it clears away. */
export interface PodReapingGround {
  readonly api: KubernetesApi;
  readonly pool: string;
  /** `undefined` in the list: all namespaces. */
  readonly namespaces: readonly (string | undefined)[];
  /** Those of them that are where Pods of the pool may be. */
  readonly ours: (ended: readonly Ended[]) => Promise<readonly Ended[]>;
  /** Called after each batch. */
  readonly onBatch: () => void;
}

/** No more of a Pod than what decides: thousands may have ended. */
export interface Ended {
  readonly metadata: Pick<ObjectMeta, 'namespace' | 'name' | 'uid' | 'labels'>;
  readonly endedTime: number;
  readonly isKept: boolean;
}

/** One round. */
export async function reapPods(
  ground: PodReapingGround,
  order: PodReapOrder,
  now = Date.now(),
): Promise<PodReapAnswer> {
  const until = performance.now() + order.mostSeconds * 1_000;
  const ended = (await endedPods(ground)).toSorted((a, b) => a.endedTime - b.endedTime);
  const kept = ended.filter(({ isKept }) => isKept);
  const tooMany = new Set(kept.slice(0, Math.max(0, kept.length - order.mostKept)));
  const isOld = ({ endedTime }: Ended) => now - endedTime >= order.olderThanSeconds * 1_000;
  const goes = ended.filter((each) => !each.isKept || tooMany.has(each) || isOld(each));
  let pods = 0;
  for (let from = 0; from < goes.length && performance.now() < until; from += order.batch) {
    const batch = goes.slice(from, from + order.batch);
    if (!order.logOnly) await Promise.all(batch.map((each) => remove(ground.api, pathOf(each), each.metadata.uid)));
    pods += batch.length;
    ground.onBatch();
  }
  const namespaces = performance.now() < until ? await reapNamespaces(ground, order, now, until) : 0;
  return { pods, namespaces, kept: ended.length - pods, complete: performance.now() < until };
}

/** Those whose end is acknowledged and whose handler has ended; a sidecar may run on, and goes with its Pod. */
async function endedPods({ api, pool, namespaces, ours }: PodReapingGround): Promise<readonly Ended[]> {
  const labelSelector = `${labels.pool}=${pool},${labels.done}`;
  const lists = await Promise.all(
    namespaces.map((namespace) =>
      listAll(api, namespace === undefined ? '/api/v1/pods' : podsPath(namespace), labelSelector, endOf),
    ),
  );
  return ours(lists.flat());
}

function endOf(pod: Pod): Ended[] {
  const { phase, containerStatuses = [] } = pod.status ?? {};
  const { namespace, name, uid, deletionTimestamp, creationTimestamp } = pod.metadata;
  const handler = containerStatuses.find((status) => status.name === handlerContainer)?.state;
  const isGoing = phase === 'Succeeded' || phase === 'Failed' || deletionTimestamp !== undefined;
  if (handler?.running !== undefined || !(isGoing || handler?.terminated !== undefined)) return [];
  const endedTime = timeOf(handler?.terminated?.finishedAt) ?? timeOf(creationTimestamp) ?? 0;
  const isKept = pod.metadata.annotations?.[annotations.keep] !== undefined && !hasRunningContainer(pod);
  const customer = pod.metadata.labels?.[labels.customerId];
  const told = customer === undefined ? {} : { [labels.customerId]: customer };
  return [{ metadata: { namespace, name, uid, labels: told }, endedTime, isKept }];
}

interface Namespace {
  readonly metadata: Pick<ObjectMeta, 'name' | 'uid' | 'creationTimestamp'> & { readonly deletionTimestamp?: string };
}

async function reapNamespaces(
  { api, pool, onBatch }: PodReapingGround,
  order: PodReapOrder,
  now: number,
  until: number,
): Promise<number> {
  const { namespacesOlderThanSeconds: age, logOnly } = order;
  if (age === undefined) return 0;
  const selector = `${labels.customerId},${labels.pool}=${pool},app.kubernetes.io/managed-by=pop`;
  const all = await listAll(api, '/api/v1/namespaces', selector, ({ metadata }: Namespace) => [metadata]);
  let reaped = 0;
  for (const { name, uid, creationTimestamp, deletionTimestamp } of all) {
    if (performance.now() > until) break;
    onBatch();
    if (deletionTimestamp !== undefined || now - (timeOf(creationTimestamp) ?? now) < age * 1_000) continue;
    const { items } = await api.ask<{ items: readonly unknown[] }>({ path: podsPath(name), query: { limit: 1 } });
    if (items.length > 0) continue;
    if (!logOnly) await remove(api, `/api/v1/namespaces/${name}`, uid);
    reaped += 1;
  }
  return reaped;
}

/** Deletes that very object, not one that has taken its name since. */
async function remove(api: KubernetesApi, path: string, uid: string): Promise<void> {
  try {
    await api.ask({ method: 'DELETE', path, body: { preconditions: { uid } } });
  } catch (error) {
    // Gone already, or going.
    if (!isNotFound(error) && !(error instanceof ApiError && error.status === 409)) throw error;
  }
}

const pathOf = ({ metadata: { namespace, name } }: Ended): string => `${podsPath(namespace)}/${name}`;
const podsPath = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;
