/**
 * A node on which Pods really run: containerd, runc and a kubelet in namespaces of their own. One process holds the
 * namespaces. When it ends, the kernel ends every process of the node, and mounts, interfaces and addresses go too.
 * Only the empty cgroup is left; the cluster removes it or, where its process was killed, the next one does.
 *
 * The node is joined to this machine by a pair of interfaces. The apiserver listens on the machine's end, and so may
 * servers that Pods are to reach. Pods have addresses behind the node's; a rule brings them to the apiserver by the
 * address of its Service, for there is no kube-proxy. There is no DNS, either.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { CoreV1Api } from '@kubernetes/client-node';
import { busyboxImage, nodeImage, writeBusyboxImage, writeNodeImage } from '../images.ts';
import { makeCgroup } from './cgroup.ts';
import { serviceAddresses } from './control-plane.ts';
import { isHealthy } from './health.ts';
import { isNodeReady, leaseSeconds, nodeKindLabel } from './kwok.ts';
import { cniFolder, nodePath } from './node-needs.ts';
import { childOf, Part } from './part.ts';
import { toolPath } from './tools.ts';

const run = promisify(execFile);
const environment = { ...process.env, PATH: nodePath };
const healthPort = 10248;
const podAddresses = '10.244.0.0/16';
/** The image of the process that holds the namespaces of a Pod; kubelet and containerd never ask a registry for it. */
const sandboxImage = 'pop.test/sandbox:1';

/** Where a node is and how it is joined to this machine. */
export interface NodePlace {
  readonly name: string;
  readonly directory: string;
  readonly cgroup: string;
  /** The machine's end. */
  readonly hostAddress: string;
  /** The node's end. */
  readonly address: string;
}

/** The process that holds the node's namespaces, still to be started. */
export function nodeHolder(directory: string): Part {
  const ready = join(directory, 'holder-ready');
  // What programs keep in fixed places is kept by each node for itself. The loop takes the exit of orphans.
  const script = [
    'set -e',
    'mount --make-rshared /',
    'mount -t tmpfs tmpfs /run',
    'mkdir -p /run/lock /run/containerd /run/netns /var/lib/cni /var/log/pods "$1/var-log"',
    'mount -t tmpfs tmpfs /var/lib/cni',
    'mount --bind "$1/var-log" /var/log',
    'ip link set lo up',
    'echo 1 > /proc/sys/net/ipv4/ip_forward',
    ': > "$2"',
    'while :; do sleep 3600 & wait $!; done',
  ].join('\n');
  return new Part({
    name: 'node',
    command: [
      ...(['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'] as const),
      ...['--propagation', 'private', '/bin/sh', '-c', script, 'sh', directory, ready],
    ],
    logFile: join(directory, 'logs', 'node.log'),
    environment,
    graceSeconds: 0,
    isWrapped: true,
    isReady: async () => existsSync(ready),
  });
}

/** Joins the namespaces of the holder to this machine, with addresses that are still free. */
export async function joinNode(holder: Part, directory: string, nodeName: string): Promise<NodePlace> {
  const pid = insideOf(holder);
  for (let block = process.pid % 200; block < 400; block += 1) {
    const link = `pop-node${block % 200}`;
    try {
      await ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pid));
    } catch (error) {
      if (String((error as { stderr?: string }).stderr).includes('File exists')) continue;
      throw error;
    }
    const [hostAddress, address] = [`10.213.${block % 200}.1`, `10.213.${block % 200}.2`];
    await ip('address', 'add', `${hostAddress}/30`, 'dev', link);
    await ip('link', 'set', link, 'up');
    await inside(holder, 'ip', 'address', 'add', `${address}/30`, 'dev', 'eth0');
    await inside(holder, 'ip', 'link', 'set', 'eth0', 'up');
    await inside(holder, 'ip', 'route', 'add', 'default', 'via', hostAddress);
    return { name: nodeName, directory, cgroup: basename(directory), hostAddress, address };
  }
  throw new Error('All 200 blocks of addresses for real nodes are taken; `ip link` shows by which (pop-node…).');
}

function insideOf(holder: Part): number {
  const pid = holder.pid === undefined ? undefined : childOf(holder.pid);
  if (pid === undefined) throw new Error(`The real node has ended; see ${holder.logFile}.`);
  return pid;
}

function entering(holder: Part): [string, ...string[]] {
  return ['nsenter', '--target', String(insideOf(holder)), '--net', '--mount', '--pid', '--'];
}

async function inside(holder: Part, ...command: string[]): Promise<void> {
  const [program, ...flags] = entering(holder);
  await run(program, [...flags, ...command], { env: environment });
}

async function ip(...flags: string[]): Promise<void> {
  await run('ip', flags, { env: environment });
}

/** Brings what is sent to the apiserver's Service to the apiserver. */
export async function routeToApiserver(holder: Part, address: string, port: number): Promise<void> {
  const rule = ['-d', serviceAddresses.apiserver, '-p', 'tcp', '--dport', '443', '-j', 'DNAT'];
  await inside(holder, 'iptables', '-t', 'nat', '-A', 'PREROUTING', ...rule, '--to-destination', `${address}:${port}`);
}

/** Socket of the node's containerd. */
export function containerdSocket(directory: string): string {
  return join(directory, 'containerd', 'containerd.sock');
}

/** The engine of containers, still to be started; its images and containers are its own. */
export async function nodeContainerd(holder: Part, place: NodePlace): Promise<Part> {
  const folder = join(place.directory, 'containerd');
  const socket = containerdSocket(place.directory);
  await mkdir(join(folder, 'cni'), { recursive: true });
  await writeFile(join(folder, 'cni', '10-pods.conflist'), JSON.stringify(network));
  const config = join(folder, 'config.toml');
  await writeFile(config, containerdConfig(folder, await snapshotterOf(folder)));
  return new Part({
    name: 'containerd',
    command: [...entering(holder), 'containerd', '--config', config],
    logFile: join(place.directory, 'logs', 'containerd.log'),
    environment,
    isWrapped: true,
    isReady: async () => existsSync(socket) && isServing(socket),
  });
}

async function isServing(socket: string): Promise<boolean> {
  return run('ctr', ['--address', socket, 'version'], { env: environment }).then(
    () => true,
    () => false,
  );
}

const network = {
  cniVersion: '0.4.0',
  name: 'pods',
  plugins: [
    {
      type: 'bridge',
      bridge: 'pods0',
      isGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: { type: 'host-local', ranges: [[{ subnet: podAddresses }]], routes: [{ dst: '0.0.0.0/0' }] },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
};

/** A file system in layers is not to be had everywhere: not over another one, as in many containers. */
async function snapshotterOf(folder: string): Promise<'overlayfs' | 'native'> {
  const probe = join(folder, 'probe');
  for (const name of ['lower', 'upper', 'work', 'merged']) await mkdir(join(probe, name), { recursive: true });
  const options = `lowerdir=${probe}/lower,upperdir=${probe}/upper,workdir=${probe}/work`;
  const mount = ['mount', '-t', 'overlay', 'overlay', '-o', options, `${probe}/merged`];
  return run('unshare', ['--mount', '--propagation', 'private', ...mount]).then(
    () => 'overlayfs',
    () => 'native',
  );
}

function containerdConfig(folder: string, snapshotter: string): string {
  const text = (value: string) => JSON.stringify(value);
  return `version = 2
root = ${text(join(folder, 'root'))}
state = ${text(join(folder, 'state'))}
oom_score = 0
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing"]
[grpc]
address = ${text(join(folder, 'containerd.sock'))}
[ttrpc]
address = ${text(join(folder, 'ttrpc.sock'))}
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = ${text(sandboxImage)}
# Not everybody who is root may make a process less likely to be killed.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = ${text(join(folder, 'registries'))}
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = ${text(cniFolder() ?? '')}
conf_dir = ${text(join(folder, 'cni'))}
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = ${text(snapshotter)}
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
`;
}

/** Makes an image known to the node under its name; Pods want it with `imagePullPolicy` IfNotPresent or Never. */
export async function importImage({ directory }: { readonly directory: string }, file: string): Promise<void> {
  const config = readFileSync(join(directory, 'containerd', 'config.toml'), 'utf8');
  const snapshotter = /^snapshotter = "(\w+)"$/m.exec(config)?.[1] ?? 'overlayfs';
  const flags = ['--address', containerdSocket(directory), '--namespace', 'k8s.io', 'images', 'import'];
  await run('ctr', [...flags, '--snapshotter', snapshotter, file], { env: environment });
}

/** Lets the node pull from a registry of this machine, which speaks plain HTTP; `host` has its port. */
export async function allowRegistry({ directory }: { readonly directory: string }, host: string): Promise<void> {
  const folder = join(directory, 'containerd', 'registries', host);
  await mkdir(folder, { recursive: true });
  const url = JSON.stringify(`http://${host}`);
  await writeFile(join(folder, 'hosts.toml'), `server = ${url}\n[host.${url}]\ncapabilities = ["pull", "resolve"]\n`);
}

/** Makes `busyboxImage` and `nodeImage` known to the node. */
export async function importUsualImages({ directory }: { readonly directory: string }): Promise<void> {
  const file = (name: string) => join(directory, `${name}.tar`);
  await writeBusyboxImage({ name: busyboxImage }, file('busybox'));
  await importImage({ directory }, file('busybox'));
  await writeNodeImage({ name: nodeImage }, file('node'));
  await importImage({ directory }, file('node'));
}

/** Without it no Pod gets its namespaces. */
export async function importSandboxImage(directory: string): Promise<void> {
  const file = join(directory, 'sandbox.tar');
  await writeBusyboxImage({ name: sandboxImage, command: ['/bin/sleep', 'infinity'] }, file);
  await importImage({ directory }, file);
}

/** What a kubelet is told beside its place. */
export interface KubeletOptions {
  readonly kubeconfig: string;
  readonly clientAuthority: string;
  readonly api: CoreV1Api;
}

/** The kubelet, still to be started; it serves when the node is ready for Pods. */
export async function nodeKubelet(holder: Part, place: NodePlace, options: KubeletOptions): Promise<Part> {
  await makeCgroup(place.cgroup);
  const folder = join(place.directory, 'kubelet');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'resolv.conf'), 'nameserver 127.0.0.1\n');
  const config = join(folder, 'config.json');
  await writeFile(config, JSON.stringify(kubeletConfig(place, folder, options.clientAuthority)));
  return new Part({
    name: 'kubelet',
    command: [
      ...entering(holder),
      ...[toolPath('kubelet'), '--config', config, '--kubeconfig', options.kubeconfig],
      ...['--hostname-override', place.name, '--node-ip', place.address, '--node-labels', `${nodeKindLabel}=real`],
      ...['--root-dir', join(folder, 'root'), '--cert-dir', join(folder, 'pki')],
    ],
    logFile: join(place.directory, 'logs', 'kubelet.log'),
    environment,
    isWrapped: true,
    // After a restart the node is still said to be ready, by the kubelet before.
    isReady: async () =>
      (await isHealthy(`http://${place.address}:${healthPort}/healthz`)) && isNodeReady(options.api, place.name),
  });
}

function kubeletConfig(place: NodePlace, folder: string, clientAuthority: string): unknown {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: place.address,
    healthzBindAddress: place.address,
    healthzPort: healthPort,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: clientAuthority },
    },
    authorization: { mode: 'Webhook' },
    containerRuntimeEndpoint: `unix://${containerdSocket(place.directory)}`,
    registerWithTaints: [{ key: nodeKindLabel, value: 'real', effect: 'NoSchedule' }],
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${place.cgroup}`,
    nodeLeaseDurationSeconds: leaseSeconds,
    // Version 1 is still what some machines have.
    failCgroupV1: false,
    oomScoreAdj: 0,
    makeIPTablesUtilChains: false,
    serializeImagePulls: false,
    failSwapOn: false,
    resolvConf: join(folder, 'resolv.conf'),
    volumePluginDir: join(folder, 'plugins'),
    // The disk is the machine's, not the test's. An image that is dropped cannot be pulled again.
    evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
  };
}
