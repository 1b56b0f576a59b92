/** The suite's cluster, for its test files: `clusterTest` and `realNodeTest` are skipped where there is none. */
import { CoreV1Api, type V1Pod } from '@kubernetes/client-node';
import { inject, test } from 'vitest';
import { isNotFound } from '../../k8s/api-errors.ts';
import { KubernetesApi } from '../../k8s/kubernetes-api.ts';
import type { Pod } from '../../k8s/pod.ts';
import { type ClusterFacts, clientConfig, namespaceOn } from './cluster/facts.ts';

const shared = inject('kubernetes');

/** Whether there is a cluster. */
export const hasCluster = shared.facts !== undefined;

/** A test on the suite's cluster, whose Pods are on paper. */
export const clusterTest = test.skipIf(!hasCluster);

/** Whether Pods can really run. */
export const hasRealNode = shared.facts?.realNode !== undefined;

/** A test whose Pods really run. */
export const realNodeTest = test.skipIf(!hasRealNode);

/**
 * The suite's cluster.
 * @throws where there is none; so it is called inside of `clusterTest` and `realNodeTest`.
 */
export function sharedCluster(): ClusterFacts {
  if (shared.facts === undefined) throw new Error(`There is no cluster: ${shared.missing}.`);
  return shared.facts;
}

/** A namespace of one test; it goes with all that is in it. */
export interface TestNamespace extends AsyncDisposable {
  readonly name: string;
}

/** Makes a namespace whose Pods run on nodes of this kind. */
export async function testNamespace(kind: 'kwok' | 'real', facts = sharedCluster()): Promise<TestNamespace> {
  const api = clientConfig(facts).makeApiClient(CoreV1Api);
  const made = await api.createNamespace({
    body: { metadata: { generateName: 'test-', annotations: namespaceOn(kind) } },
  });
  const name = made.metadata?.name ?? '';
  // The controller-manager makes it a moment later; until then Pods are refused.
  await until(`the ServiceAccount of ${name}`, async () => {
    const { items } = await api.listNamespacedServiceAccount({ namespace: name });
    return items.some(({ metadata }) => metadata?.name === 'default') || undefined;
  });
  return {
    name,
    async [Symbol.asyncDispose]() {
      // Without grace, for nobody waits for these Pods any more.
      await api.deleteCollectionNamespacedPod({ namespace: name, gracePeriodSeconds: 0 });
      await releasePods(name, facts);
      await api.deleteNamespace({ name });
    },
  };
}

/** Takes the finalizers off whatever is left, which nobody acknowledges any more; the cluster would try for ever. */
async function releasePods(namespace: string, facts: ClusterFacts): Promise<void> {
  const api = new KubernetesApi(clientConfig(facts));
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const { items } = await api.ask<{ items: readonly Pod[] }>({ path });
  const release = ({ metadata: { name } }: Pod) =>
    api.ask({ method: 'PATCH', path: `${path}/${name}`, body: { metadata: { finalizers: null } } }).catch(ignoreGone);
  await Promise.all(items.map(release));
}

function ignoreGone(error: unknown): void {
  if (!isNotFound(error)) throw error;
}

/** Asks until there is an answer. */
export async function until<T>(what: string, ask: () => Promise<T | undefined>, seconds = 60): Promise<T> {
  const giveUp = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > giveUp) throw new Error(`No ${what} within ${seconds} s.`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The Pod as soon as the condition holds for it. */
export async function untilPod(
  api: CoreV1Api,
  pod: { readonly namespace: string; readonly name: string },
  condition: (pod: V1Pod) => boolean,
): Promise<V1Pod> {
  let seen: V1Pod | undefined;
  try {
    return await until(`Pod ${pod.name} as expected`, async () => {
      seen = await api.readNamespacedPod(pod);
      return condition(seen) ? seen : undefined;
    });
  } catch (cause) {
    throw new Error(`${(cause as Error).message} It is: ${JSON.stringify(seen?.status)}`, { cause });
  }
}

/** Whether the Pod has come to its end. */
export function hasEnded({ status }: V1Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}
