/**
 * A real Kubernetes cluster of child processes: etcd, apiserver, scheduler and controller-manager, nodes on paper
 * (kwok) and, for root on Linux, a real one. Everything listens on addresses of this machine only, keeps its data in a
 * temporary folder, and ends with this process, however it ends.
 */
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CoreV1Api } from '@kubernetes/client-node';
import { freePort } from '../../../machine/free-port.ts';
import { findCgroups, removeCgroup } from './cgroup.ts';
import * as plane from './control-plane.ts';
import { type ClusterFacts, clientConfig, kubeconfigFor } from './facts.ts';
import { type ClusterUser, kubeconfigText, makeKeys } from './keys.ts';
import { type KwokNode, prepareKwok } from './kwok.ts';
import { missingForNode, provideNodeNeeds } from './node-needs.ts';
import { Part } from './part.ts';
import {
  importSandboxImage,
  joinNode,
  type KubeletOptions,
  type NodePlace,
  nodeContainerd,
  nodeHolder,
  nodeKubelet,
  routeToApiserver,
} from './real-node.ts';
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
  /** From a node's last sign of life to NotReady; default 20. Leases are renewed every 5 s. */
  readonly nodeGraceSeconds?: number;
  /** From NotReady to the deletion of the node's Pods; default 5. */
  readonly evictionSeconds?: number;
  /** Is told what takes long. */
  readonly say?: (line: string) => void;
}

/** A running cluster. */
export class Cluster implements AsyncDisposable {
  readonly facts: ClusterFacts;
  /** May do everything. */
  readonly api: CoreV1Api;
  #parts: Map<string, Part>;
  #keptAt: string | undefined;

  constructor(facts: ClusterFacts, parts: Map<string, Part>) {
    this.facts = facts;
    this.#parts = parts;
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
    await endParts(this.facts.directory, this.parts);
    if (this.#keptAt === undefined) await removeFolder(this.facts.directory);
    else await rename(this.facts.directory, this.#keptAt);
  }

  /** Data and logs stay when the cluster ends, until somebody removes them; answers where they will be. */
  keepData(): string {
    this.#keptAt = join(tmpdir(), `pop-kept-${basename(this.facts.directory)}`);
    return this.#keptAt;
  }
}

const admin: ClusterUser = { name: 'admin', groups: ['system:masters'] };
const schedulerUser: ClusterUser = { name: 'system:kube-scheduler', groups: [] };
const controllers: ClusterUser = { name: 'controllers', groups: ['system:masters'] };
const realNodeName = 'real-1';
const nodeUser: ClusterUser = { name: `system:node:${realNodeName}`, groups: ['system:nodes'] };

/**
 * Builds what is missing, starts all parts and resolves when they serve.
 * @throws when one does not start; the message shows the end of its log, and nothing is left running.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  await provideTools(toolsOf(options), options.say ?? (() => undefined));
  if (options.realNode === true) await provideNodeNeeds(options.say ?? (() => undefined));
  await removeLeftovers();
  const directory = await mkdtemp(join(tmpdir(), `${folderPrefix}${process.pid}-`));
  await mkdir(join(directory, 'logs'));
  const started = new Map<string, Part>();
  try {
    return await startParts(directory, options, started);
  } catch (error) {
    await endParts(directory, [...started.values()]);
    await removeFolder(directory);
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

/** What is at hand while a cluster starts. */
interface Start {
  readonly directory: string;
  readonly options: ClusterOptions;
  /** Notes the part, so that it is ended when another does not start, and starts it. */
  readonly start: (part: Part) => Promise<void>;
}

async function startParts(directory: string, options: ClusterOptions, started: Map<string, Part>): Promise<Cluster> {
  const start = async (part: Part): Promise<void> => {
    started.set(part.name, part);
    await part.start();
  };
  const context: Start = { directory, options, start };
  const node = options.realNode === true ? await startHolder(context) : undefined;
  const controlPlane = await startControlPlane(context, node?.place.hostAddress ?? '127.0.0.1');
  const facts = factsOf(controlPlane, options, node?.place);
  const cluster = new Cluster(facts, started);
  const kubeconfig = async (name: string): Promise<string> => {
    const file = join(directory, `${name.replaceAll(':', '-')}.kubeconfig`);
    await writeFile(file, kubeconfigText(facts.url, facts.ca, tokenOf(controlPlane, name)), { mode: 0o600 });
    return file;
  };
  await kubeconfig(admin.name);
  const others: Promise<unknown>[] = [];
  if (options.scheduler !== false) {
    others.push(start(new Part(plane.scheduler(controlPlane, await kubeconfig(schedulerUser.name)))));
  }
  if (options.controllerManager !== false) {
    others.push(start(new Part(plane.controllerManager(controlPlane, await kubeconfig(controllers.name)))));
    others.push(untilAccount(cluster.api, 'default'));
  }
  const kwokNodes = options.kwokNodes ?? [{ name: 'kwok-1' }];
  if (kwokNodes.length > 0) others.push(cluster.addKwokNodes('kwok', kwokNodes));
  if (node !== undefined) {
    await routeToApiserver(node.holder, controlPlane.address, controlPlane.ports.apiserver);
    const settings = {
      kubeconfig: await kubeconfig(nodeUser.name),
      clientAuthority: controlPlane.keys.kubeletClientCertificate,
      api: cluster.api,
    };
    others.push(startNode(context, node, settings));
  }
  // All of them, so that none starts after the others were ended.
  for (const outcome of await Promise.allSettled(others)) if (outcome.status === 'rejected') throw outcome.reason;
  return cluster;
}

interface HeldNode {
  readonly holder: Part;
  readonly place: NodePlace;
}

async function startHolder({ directory, start }: Start): Promise<HeldNode> {
  const holder = nodeHolder(directory);
  await start(holder);
  return { holder, place: await joinNode(holder, directory, realNodeName) };
}

async function startNode({ start }: Start, { holder, place }: HeldNode, settings: KubeletOptions): Promise<void> {
  await start(await nodeContainerd(holder, place));
  await importSandboxImage(place.directory);
  await start(await nodeKubelet(holder, place, settings));
}

async function startControlPlane({ directory, options, start }: Start, address: string): Promise<plane.ControlPlane> {
  const users = [admin, schedulerUser, controllers, nodeUser, ...(options.users ?? [])];
  const controlPlane: plane.ControlPlane = {
    directory,
    keys: await makeKeys(join(directory, 'keys'), users),
    address,
    ports: await freePorts(),
    audit: options.audit ?? false,
    nodeGraceSeconds: options.nodeGraceSeconds ?? 20,
    evictionSeconds: options.evictionSeconds ?? 5,
  };
  await start(new Part(plane.etcd(controlPlane)));
  await start(new Part(plane.apiserver(controlPlane)));
  return controlPlane;
}

function tokenOf({ keys }: plane.ControlPlane, name: string): string {
  const token = keys.tokenOf.get(name);
  if (token === undefined) throw new Error(`No user of the cluster is called ${name}.`);
  return token;
}

function factsOf(controlPlane: plane.ControlPlane, options: ClusterOptions, node?: NodePlace): ClusterFacts {
  const { address, ports, directory } = controlPlane;
  return {
    url: `https://${address}:${ports.apiserver}`,
    ca: readFileSync(plane.certificateFile(controlPlane), 'utf8'),
    adminToken: tokenOf(controlPlane, admin.name),
    kubeconfig: join(directory, `${admin.name}.kubeconfig`),
    directory,
    tokens: Object.fromEntries((options.users ?? []).map(({ name }) => [name, tokenOf(controlPlane, name)])),
    ...(options.audit === true ? { auditLog: plane.auditLogFile(controlPlane) } : {}),
    ...(node === undefined ? {} : { realNode: { name: node.name, hostAddress: node.hostAddress } }),
  };
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
export async function untilAccount(api: CoreV1Api, namespace: string): Promise<void> {
  const giveUp = Date.now() + 120_000;
  for (;;) {
    const { items } = await api.listNamespacedServiceAccount({ namespace });
    if (items.some(({ metadata }) => metadata?.name === 'default')) return;
    if (Date.now() > giveUp)
      throw new Error(`The controller-manager made no ServiceAccount in ${namespace} within 120 s.`);
    await delay(50);
  }
}

const folderPrefix = 'pop-cluster-';

async function removeFolder(folder: string): Promise<void> {
  // Parts that were killed a moment ago may still have written.
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

async function endParts(directory: string, parts: readonly Part[]): Promise<void> {
  for (const part of parts.toReversed()) await part.kill();
  if (parts.some(({ name }) => name === 'kubelet')) await removeCgroup(basename(directory));
}

/** What clusters left whose process was killed: their parts are gone with it, and their data is of no use. */
async function removeLeftovers(): Promise<void> {
  const isLeft = (name: string): boolean => {
    const owner = new RegExp(`^${folderPrefix}(\\d+)-`).exec(name)?.[1];
    return owner !== undefined && !isRunning(Number(owner));
  };
  for (const name of (await readdir(tmpdir())).filter(isLeft)) {
    const folder = join(tmpdir(), name);
    const found = await stat(folder).catch(() => undefined);
    // Another run may be faster, and those of others are theirs.
    if (found?.uid === process.getuid?.()) await removeFolder(folder);
  }
  if (missingForNode() !== undefined) return;
  for (const name of (await findCgroups(folderPrefix)).filter(isLeft)) await removeCgroup(name);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
