/**
 * A real Kubernetes cluster of child processes: etcd, apiserver, scheduler and controller-manager, nodes on paper (kwok)
 * and, for root on Linux, a real one. Everything listens on addresses of this machine only, keeps its data in a
 * temporary folder, and ends with this process, however it ends.
 */
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CoreV1Api } from '@kubernetes/client-node';
import { freePort } from '../../../machine/free-port.ts';
import * as plane from './control-plane.ts';
import { type ClusterFacts, clientConfig, kubeconfigFor } from './facts.ts';
import { type ClusterUser, kubeconfigText, makeKeys } from './keys.ts';
import { type KwokNode, prepareKwok } from './kwok.ts';
import { Part } from './part.ts';
import { provideTools, type Tool } from './tools.ts';

/** What a cluster has; without any option a control plane and one node on paper. */
export interface ClusterOptions {
  /** Default true; without it Pods must name their node. */
  readonly scheduler?: boolean;
  /** Default true; without it namespaces have no ServiceAccount, and nothing that is owned goes with its owner. */
  readonly controllerManager?: boolean;
  /** Nodes on paper; default one, named `kwok-1`. */
  readonly kwokNodes?: readonly KwokNode[];
  /** Default false. Needs root on Linux. */
  readonly realNode?: boolean;
  /** Whether each request is written down; default false. */
  readonly audit?: boolean;
  /** Who may call beside the administrator; their tokens are in the facts. */
  readonly users?: readonly ClusterUser[];
  /** From a node's last sign of life to NotReady; default 20. Leases are renewed every 10 s. */
  readonly nodeGraceSeconds?: number;
  /** From NotReady to the deletion of the node's Pods; default 5. */
  readonly evictionSeconds?: number;
  /** Whether data and logs stay when the cluster ends; default false. */
  readonly keep?: boolean;
  /** Is told what takes long. */
  readonly say?: (line: string) => void;
}

/** A running cluster. */
export class Cluster implements AsyncDisposable {
  readonly facts: ClusterFacts;
  /** May do everything. */
  readonly api: CoreV1Api;
  #parts: Map<string, Part>;
  #keep: boolean;

  constructor(facts: ClusterFacts, parts: Map<string, Part>, keep: boolean) {
    this.facts = facts;
    this.#parts = parts;
    this.#keep = keep;
    this.api = clientConfig(facts).makeApiClient(CoreV1Api);
  }

  /** `etcd`, `kube-apiserver`, `kube-scheduler`, `kube-controller-manager`, `kwok`, and what was started since. */
  part(name: string): Part {
    const found = this.#parts.get(name);
    if (found === undefined) throw new Error(`The cluster has no ${name}, only ${[...this.#parts.keys()].join(', ')}.`);
    return found;
  }

  get parts(): readonly Part[] {
    return [...this.#parts.values()];
  }

  /** Writes a kubeconfig of whoever has the token, or of a user of the options; answers its path. */
  async kubeconfigFor(tokenOrUser: string): Promise<string> {
    return kubeconfigFor(this.facts, this.facts.tokens[tokenOrUser] ?? tokenOrUser);
  }

  /** Adds nodes on paper that can be lost alone: freeze or kill the part. */
  async addKwokNodes(name: string, nodes: readonly KwokNode[]): Promise<Part> {
    const { directory, url, ca, adminToken } = this.facts;
    const place = { directory, api: this.api, kubeconfig: kubeconfigText(url, ca, adminToken) };
    const part = await prepareKwok(place, name, nodes);
    this.#parts.set(name, part);
    await part.start();
    return part;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Data is thrown away, so nobody needs an orderly end; those who would complain of others end first.
    for (const part of this.parts.toReversed()) await part.kill();
    if (!this.#keep) await this.removeData();
  }

  /** Of a cluster that was to keep them, when nobody wants to look at them after all. */
  async removeData(): Promise<void> {
    await removeFolder(this.facts.directory);
  }
}

const admin: ClusterUser = { name: 'admin', groups: ['system:masters'] };
const parts: readonly ClusterUser[] = [
  { name: 'system:kube-scheduler', groups: [] },
  { name: 'controllers', groups: ['system:masters'] },
];

/**
 * Builds what is missing, starts all parts and resolves when they serve.
 * @throws when one does not start; the message shows the end of its log, and nothing is left running.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  await provideTools(toolsOf(options), options.say ?? (() => undefined));
  await removeLeftovers();
  const directory = await mkdtemp(join(tmpdir(), `${folderPrefix}${process.pid}-`));
  await mkdir(join(directory, 'logs'));
  const started = new Map<string, Part>();
  try {
    return await startParts(directory, options, started);
  } catch (error) {
    for (const part of [...started.values()].toReversed()) await part.kill();
    if (options.keep !== true) await removeFolder(directory);
    throw error;
  }
}

function toolsOf({ scheduler, controllerManager, kwokNodes, realNode }: ClusterOptions): Tool[] {
  return [
    'etcd',
    'kube-apiserver',
    ...(scheduler === false ? [] : (['kube-scheduler'] as const)),
    ...(controllerManager === false ? [] : (['kube-controller-manager'] as const)),
    ...(kwokNodes?.length === 0 ? [] : (['kwok'] as const)),
    ...(realNode === true ? (['kubelet'] as const) : []),
  ];
}

async function startParts(directory: string, options: ClusterOptions, started: Map<string, Part>): Promise<Cluster> {
  const start = async (part: Part): Promise<void> => {
    started.set(part.name, part);
    await part.start();
  };
  const users = [admin, ...parts, ...(options.users ?? [])];
  const controlPlane: plane.ControlPlane = {
    directory,
    keys: await makeKeys(join(directory, 'keys'), users),
    address: '127.0.0.1',
    ports: await freePorts(),
    audit: options.audit ?? false,
    nodeGraceSeconds: options.nodeGraceSeconds ?? 20,
    evictionSeconds: options.evictionSeconds ?? 5,
  };
  await start(new Part(plane.etcd(controlPlane)));
  await start(new Part(plane.apiserver(controlPlane)));
  const ca = readFileSync(plane.certificateFile(controlPlane), 'utf8');
  const url = `https://${controlPlane.address}:${controlPlane.ports.apiserver}`;
  const tokenOf = (name: string) => controlPlane.keys.tokenOf.get(name) ?? '';
  const kubeconfig = async (name: string): Promise<string> => {
    const file = join(directory, `${name.replaceAll(':', '-')}.kubeconfig`);
    await writeFile(file, kubeconfigText(url, ca, tokenOf(name)), { mode: 0o600 });
    return file;
  };
  const facts: ClusterFacts = {
    url,
    ca,
    adminToken: tokenOf(admin.name),
    kubeconfig: await kubeconfig(admin.name),
    directory,
    tokens: Object.fromEntries((options.users ?? []).map(({ name }) => [name, tokenOf(name)])),
    logs: {},
    ...(options.audit === true ? { auditLog: plane.auditLogFile(controlPlane) } : {}),
  };
  const cluster = new Cluster(facts, started, options.keep ?? false);
  const others: Promise<unknown>[] = [];
  if (options.scheduler !== false) {
    others.push(start(new Part(plane.scheduler(controlPlane, await kubeconfig('system:kube-scheduler')))));
  }
  if (options.controllerManager !== false) {
    others.push(start(new Part(plane.controllerManager(controlPlane, await kubeconfig('controllers')))));
    others.push(untilAccounts(cluster.api));
  }
  const kwokNodes = options.kwokNodes ?? [{ name: 'kwok-1' }];
  if (kwokNodes.length > 0) others.push(cluster.addKwokNodes('kwok', kwokNodes));
  // All of them, so that none starts after the others were ended.
  for (const outcome of await Promise.allSettled(others)) if (outcome.status === 'rejected') throw outcome.reason;
  return cluster;
}

async function freePorts(): Promise<plane.ControlPlane['ports']> {
  const taken = new Set<number>();
  const next = async (): Promise<number> => {
    const port = await freePort(0, taken);
    taken.add(port);
    return port;
  };
  return {
    etcd: await next(),
    etcdPeer: await next(),
    apiserver: await next(),
    scheduler: await next(),
    controllers: await next(),
  };
}

/** Pods of a namespace without its ServiceAccount are refused; the controller-manager makes it when it works. */
async function untilAccounts(api: CoreV1Api): Promise<void> {
  const giveUp = Date.now() + 120_000;
  for (;;) {
    const { items } = await api.listNamespacedServiceAccount({ namespace: 'default' });
    if (items.some(({ metadata }) => metadata?.name === 'default')) return;
    if (Date.now() > giveUp) throw new Error('The controller-manager made no ServiceAccount within 120 s.');
    await delay(50);
  }
}

const folderPrefix = 'pop-cluster-';

async function removeFolder(folder: string): Promise<void> {
  // Parts that were killed a moment ago may still have written.
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

/** Folders of clusters whose process was killed: the parts are gone with it, and their data is of no use. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = new RegExp(`^${folderPrefix}(\\d+)-`).exec(name)?.[1];
    if (owner === undefined || isRunning(Number(owner))) continue;
    await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
