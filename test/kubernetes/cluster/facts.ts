/** What tests are told of a running cluster: plain data, so that it may be handed to other processes. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { kubeconfigText } from './keys.ts';
import { nodeKindLabel } from './kwok.ts';

/** A running cluster, for whoever wants to work with it. */
export interface ClusterFacts {
  /** The apiserver. */
  readonly url: string;
  /** Its authority, as PEM. */
  readonly ca: string;
  /** May do everything. */
  readonly adminToken: string;
  /** File with the administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** Data, kubeconfigs and, as `logs/<part>.log`, logs; gone with the cluster. */
  readonly directory: string;
  /** Tokens of the users that were asked for, by name. */
  readonly tokens: Readonly<Record<string, string>>;
  /** When it was asked for: a JSON line for each request (audit.k8s.io/v1 Event). */
  readonly auditLog?: string;
  /** When there is one: a node with a kubelet, on which Pods really run. */
  readonly realNode?: RealNodeFacts;
}

/** A node on which Pods really run. */
export interface RealNodeFacts {
  readonly name: string;
  /** By this address Pods of the node reach servers of this machine, which must listen on it. */
  readonly hostAddress: string;
}

let written = 0;

/** Writes a kubeconfig of whoever has the token; answers its path. */
export async function kubeconfigFor(facts: ClusterFacts, token: string): Promise<string> {
  written += 1;
  const file = join(facts.directory, `user-${process.pid}-${written}.kubeconfig`);
  await writeFile(file, kubeconfigText(facts.url, facts.ca, token), { mode: 0o600 });
  return file;
}

/** Settings of a client of whoever has the token; without one of the administrator. */
export function clientConfig(facts: Pick<ClusterFacts, 'url' | 'ca' | 'adminToken'>, token?: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromString(kubeconfigText(facts.url, facts.ca, token ?? facts.adminToken));
  return config;
}

/**
 * Annotations of a namespace whose Pods run on the real node or on paper. A namespace without any has its Pods on
 * paper: the real node takes only Pods that tolerate its taint.
 */
export function namespaceOn(kind: 'kwok' | 'real'): Record<string, string> {
  const selector = { 'scheduler.alpha.kubernetes.io/node-selector': `${nodeKindLabel}=${kind}` };
  if (kind === 'kwok') return selector;
  const tolerations = [{ key: nodeKindLabel, operator: 'Equal', value: 'real', effect: 'NoSchedule' }];
  return { ...selector, 'scheduler.alpha.kubernetes.io/defaultTolerations': JSON.stringify(tolerations) };
}
