/** A Kubernetes launcher on the suite's cluster, and runs for it. */
import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../../agenda/types.ts';
import { CustomerNamespaces, type NamespaceTemplate } from '../../k8s/customer-namespaces.ts';
import { KubernetesApi } from '../../k8s/kubernetes-api.ts';
import { KubernetesLauncher, type KubernetesLauncherOptions } from '../../k8s/kubernetes-launcher.ts';
import { launchKey } from '../../launchers/launch-key.ts';
import type { Ending, FollowEvents, HandlerProgress, HandlerRun } from '../../launchers/launcher.ts';
import { parseRegistry, settingsFor } from '../../launchers/registry.ts';
import { type ClusterFacts, clientConfig } from './cluster/facts.ts';
import { sharedCluster } from './shared-cluster.ts';

/** What differs from the usual launcher of a test. */
export interface TestLauncherOptions extends Partial<KubernetesLauncherOptions> {
  readonly facts?: ClusterFacts;
  readonly token?: string;
  readonly watchesAll?: boolean;
  readonly template?: NamespaceTemplate;
}

/** A launcher whose Pods go to a namespace. Launchers with the same `pool` are workers of one pool. */
export async function podLauncher(namespace: string, options: TestLauncherOptions = {}): Promise<KubernetesLauncher> {
  const { facts = sharedCluster(), token, watchesAll = false, template, ...own } = options;
  const api = new KubernetesApi(clientConfig(facts, token));
  return KubernetesLauncher.connect({
    api,
    namespace,
    pool: namespace,
    nodeLostSeconds: 5,
    createsAtOnce: 20,
    customerNamespaces: new CustomerNamespaces({
      api,
      pool: namespace,
      watchesAll,
      template: template ?? { labels: {}, annotations: {}, objects: [] },
    }),
    onReachable: () => undefined,
    ...own,
  });
}

/** A run of a type with these registry fields, each with a launch of its own. */
export function podRun(podConfig: object, more: Partial<HandlerRun> = {}): HandlerRun {
  const registry = { basePodConfig: { imageName: 'none' }, type: { podConfig } };
  const settings = settingsFor(parseRegistry(JSON.stringify(registry), '/registry.json'), 'type');
  if (settings === undefined) throw new Error('The type is not registered.');
  const fence = { agendaId: randomUUID(), attempt: 1, operation: 'step', operationAttempt: 1, launch: 1 };
  return {
    ...fence,
    key: launchKey({ ...fence, ...more }),
    type: 'type',
    cid: 'cid',
    customerId: 'customer',
    operationId: 'operation-id',
    progressId: 'progress',
    payload: '{"a":1}',
    settings,
    ...more,
  };
}

/** Annotations that tell a Pod on paper what becomes of it, as a registry field (cluster/stages.yaml). */
export function onPaper(
  annotations: Readonly<Record<string, string>>,
  spec: JsonObject = {},
): { podTemplate: JsonObject } {
  const named = Object.fromEntries(Object.entries(annotations).map(([name, value]) => [`pop.test/${name}`, value]));
  return { podTemplate: { metadata: { annotations: named }, spec } };
}

/** Remembers what a follower hears. */
export interface Heard extends FollowEvents {
  readonly progresses: HandlerProgress[];
  readonly starts: number[];
}

/** A follower's ears. */
export function heard(): Heard {
  const progresses: HandlerProgress[] = [];
  const starts: number[] = [];
  return {
    progresses,
    starts,
    progress: (progress) => void progresses.push(progress),
    started: (time) => void starts.push(time),
  };
}

/** Starts and follows a run to its end. */
export async function toEnd(
  launcher: KubernetesLauncher,
  run: HandlerRun,
  events: FollowEvents = heard(),
): Promise<Ending> {
  await launcher.start(run);
  return launcher.follow(run, events, new AbortController().signal);
}
