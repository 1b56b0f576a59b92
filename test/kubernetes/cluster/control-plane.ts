/** The command lines of etcd, apiserver, scheduler and controller-manager, and how one sees that they serve. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isHealthy } from './health.ts';
import type { ClusterKeys } from './keys.ts';
import type { PartOptions } from './part.ts';
import { type Tool, toolPath } from './tools.ts';

/** What the parts of a control plane have in common. */
export interface ControlPlane {
  readonly directory: string;
  readonly keys: ClusterKeys;
  /** Where the apiserver listens: of this machine only. */
  readonly address: string;
  readonly ports: Readonly<Record<'etcd' | 'etcdPeer' | 'apiserver' | 'scheduler' | 'controllers', number>>;
  readonly audit: boolean;
  /** From a node's last sign of life to NotReady. */
  readonly nodeGraceSeconds: number;
  /** From NotReady to the deletion of its Pods. */
  readonly evictionSeconds: number;
}

/** Addresses of Services; nothing answers there but, on real nodes, the apiserver at the first. */
export const serviceAddresses = { range: '10.96.0.0/16', apiserver: '10.96.0.1' } as const;

/** The apiserver makes this certificate at its first start; clients trust it. */
export function certificateFile({ directory }: ControlPlane): string {
  return join(directory, 'apiserver', 'apiserver.crt');
}

/** Who did what when, a JSON line for each request. */
export function auditLogFile({ directory }: ControlPlane): string {
  return join(directory, 'audit.log');
}

function flags(values: Readonly<Record<string, string | number | boolean>>): string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}

function part(
  plane: ControlPlane,
  name: Tool,
  values: Parameters<typeof flags>[0],
  isReady: () => Promise<boolean>,
): PartOptions {
  return {
    name,
    command: [toolPath(name), ...flags(values)],
    logFile: join(plane.directory, 'logs', `${name}.log`),
    isReady,
  };
}

/** The store of all objects. */
export function etcd(plane: ControlPlane): PartOptions {
  const { etcd: port, etcdPeer } = plane.ports;
  const [client, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${etcdPeer}`];
  const values = {
    name: 'test',
    'data-dir': join(plane.directory, 'etcd'),
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': `test=${peer}`,
    // Tests lose nothing when the machine loses power.
    'unsafe-no-fsync': true,
    'log-level': 'warn',
  };
  return part(plane, 'etcd', values, () => isHealthy(`${client}/health`));
}

/** The door to all objects. */
export function apiserver(plane: ControlPlane): PartOptions {
  const { keys, address, ports, directory } = plane;
  const values = {
    'etcd-servers': `http://127.0.0.1:${ports.etcd}`,
    'bind-address': address,
    'advertise-address': address,
    'secure-port': ports.apiserver,
    'cert-dir': join(directory, 'apiserver'),
    'token-auth-file': keys.tokens,
    'client-ca-file': keys.kubeletClientCertificate,
    'kubelet-client-certificate': keys.kubeletClientCertificate,
    'kubelet-client-key': keys.kubeletClientKey,
    // Names of nodes mean nothing to a resolver.
    'kubelet-preferred-address-types': 'InternalIP',
    'service-account-issuer': 'https://kubernetes.default.svc',
    'service-account-key-file': keys.accountPublicKey,
    'service-account-signing-key-file': keys.accountKey,
    'service-cluster-ip-range': serviceAddresses.range,
    // Nobody routes Services, so nobody needs to know where the apiserver of one is.
    'endpoint-reconciler-type': 'none',
    'authorization-mode': 'Node,RBAC',
    // A namespace says by annotations on which nodes its Pods run (see `namespaceOn`).
    'enable-admission-plugins': 'NodeRestriction,PodNodeSelector,PodTolerationRestriction',
    'enable-priority-and-fairness': false,
    'default-not-ready-toleration-seconds': plane.evictionSeconds,
    'default-unreachable-toleration-seconds': plane.evictionSeconds,
    'allow-privileged': true,
    ...(plane.audit ? { 'audit-policy-file': auditPolicy(plane), 'audit-log-path': auditLogFile(plane) } : {}),
  };
  const token = keys.tokenOf.get('admin') ?? '';
  return part(plane, 'kube-apiserver', values, async () => {
    const certificate = certificateFile(plane);
    if (!existsSync(certificate)) return false;
    return isHealthy(`https://${address}:${ports.apiserver}/readyz`, { ca: readFileSync(certificate, 'utf8'), token });
  });
}

function auditPolicy({ directory }: ControlPlane): string {
  const file = join(directory, 'audit-policy.json');
  const policy = {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    // One line for each request, when it is answered; for a watch, one when it begins and one when it ends.
    omitStages: ['RequestReceived'],
    rules: [{ level: 'Metadata' }],
  };
  writeFileSync(file, JSON.stringify(policy));
  return file;
}

/** Gives Pods their nodes. Its own limit of 50 calls a second would be that of every test with many Pods. */
export function scheduler(plane: ControlPlane, kubeconfig: string): PartOptions {
  const config = join(plane.directory, 'scheduler.json');
  writeFileSync(
    config,
    JSON.stringify({
      apiVersion: 'kubescheduler.config.k8s.io/v1',
      kind: 'KubeSchedulerConfiguration',
      leaderElection: { leaderElect: false },
      clientConnection: { kubeconfig, qps: 500, burst: 1000 },
    }),
  );
  const port = plane.ports.scheduler;
  const values = { config, 'bind-address': '127.0.0.1', 'secure-port': port };
  return part(plane, 'kube-scheduler', values, () => isHealthy(`https://127.0.0.1:${port}/readyz`));
}

/** Owners, namespaces, ServiceAccounts, quotas, and what becomes of Pods whose node is gone. */
export function controllerManager(plane: ControlPlane, kubeconfig: string): PartOptions {
  const port = plane.ports.controllers;
  const values = {
    kubeconfig,
    'bind-address': '127.0.0.1',
    'secure-port': port,
    'leader-elect': false,
    'service-account-private-key-file': plane.keys.accountKey,
    'root-ca-file': certificateFile(plane),
    'kube-api-qps': 500,
    'kube-api-burst': 1000,
    'node-monitor-period': '1s',
    'node-monitor-grace-period': `${plane.nodeGraceSeconds}s`,
  };
  return part(plane, 'kube-controller-manager', values, () => isHealthy(`https://127.0.0.1:${port}/healthz`));
}
