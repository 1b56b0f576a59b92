/**
 * Nodes that exist on paper only: kwok says of their Pods what stages.yaml makes of their annotations. Asked for a log,
 * as a kubelet is, it answers an empty one at once.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ApiException, type CoreV1Api, type V1Node } from '@kubernetes/client-node';
import { freePort } from '../../../machine/free-port.ts';
import { isHealthy } from './health.ts';
import { Part } from './part.ts';
import { toolPath } from './tools.ts';

const stages = fileURLToPath(new URL('stages.yaml', import.meta.url));

/** By this label namespaces choose their nodes, as `namespaceOn` says. */
export const nodeKindLabel = 'pop.test/nodes';

/** Of every kwok; the apiserver reaches it there, wherever it listens itself. */
const address = '127.0.0.1';

/** Leases of nodes; each is renewed four times as often. */
export const leaseSeconds = 20;

/** A node on paper. */
export interface KwokNode {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Default: room for everything that a test can think of. */
  readonly capacity?: Readonly<Record<'cpu' | 'memory' | 'pods', string>>;
}

/** What kwok needs to know of its cluster. */
export interface KwokPlace {
  readonly kubeconfig: string;
  readonly directory: string;
  readonly api: CoreV1Api;
}

/**
 * Makes the nodes, and a kwok of their own that is to be started; it serves when all of them are ready. Freeze or end
 * it, and they are lost as nodes are whose machine is gone.
 */
export async function prepareKwok(place: KwokPlace, name: string, nodes: readonly KwokNode[]): Promise<Part> {
  const port = await freePort(0);
  const kubeconfig = join(place.directory, `${name}.kubeconfig`);
  await writeFile(kubeconfig, place.kubeconfig, { mode: 0o600 });
  const logs = await writeLogs(place.directory, name);
  for (const node of nodes) await makeNode(place.api, { owner: name, port }, node);
  return new Part({
    name,
    command: [
      toolPath('kwok'),
      ...['--kubeconfig', kubeconfig, '--config', stages, '--config', logs],
      // Over TLS it serves with a certificate that it makes; the apiserver asks none for its authority.
      ...['--server-address', `${address}:${port}`, '--node-ip', address],
      ...['--manage-all-nodes=false', `--manage-nodes-with-label-selector=pop.test/kwok=${name}`],
      `--node-lease-duration-seconds=${leaseSeconds}`,
    ],
    logFile: join(place.directory, 'logs', `${name}.log`),
    // kwok reads a configuration of the user's home as well.
    environment: { ...process.env, HOME: place.directory },
    async isReady() {
      if (!(await isHealthy(`http://${address}:${port}/healthz`))) return false;
      const states = await Promise.all(nodes.map((node) => isNodeReady(place.api, node.name)));
      return states.every((ready) => ready);
    },
  });
}

/** The configuration by which the log of each container is an empty file. */
async function writeLogs(directory: string, name: string): Promise<string> {
  const file = (ending: string) => join(directory, `${name}-pods.${ending}`);
  await writeFile(file('log'), '');
  const config = {
    apiVersion: 'kwok.x-k8s.io/v1alpha1',
    kind: 'ClusterLogs',
    metadata: { name: 'pods' },
    spec: { logs: [{ logsFile: file('log') }] },
  };
  // JSON is YAML.
  await writeFile(file('yaml'), JSON.stringify(config));
  return file('yaml');
}

/** The kwok of a node, and where it listens. */
interface NodeOwner {
  readonly owner: string;
  readonly port: number;
}

async function makeNode(api: CoreV1Api, { owner, port }: NodeOwner, node: KwokNode): Promise<void> {
  const capacity = node.capacity ?? { cpu: '100k', memory: '1Pi', pods: '100k' };
  const body: V1Node = {
    metadata: {
      name: node.name,
      labels: {
        'kubernetes.io/hostname': node.name,
        'kubernetes.io/os': 'linux',
        [nodeKindLabel]: 'kwok',
        'pop.test/kwok': owner,
        ...node.labels,
      },
    },
    status: { capacity, allocatable: capacity, daemonEndpoints: { kubeletEndpoint: { Port: port } } },
  };
  try {
    await api.createNode({ body });
  } catch (error) {
    if (!(error instanceof ApiException && error.code === 409)) throw error;
    // Of an earlier kwok of this name, which listened elsewhere.
    const known = await api.readNodeStatus({ name: node.name });
    const status = { ...known.status, ...body.status };
    await api.replaceNodeStatus({ name: node.name, body: { ...known, status } });
  }
}

/** Whether the node is there and says that it is ready. */
export async function isNodeReady(api: CoreV1Api, name: string): Promise<boolean> {
  const { items } = await api.listNode({ fieldSelector: `metadata.name=${name}` });
  const ready = items[0]?.status?.conditions?.find(({ type }) => type === 'Ready');
  return ready?.status === 'True';
}
