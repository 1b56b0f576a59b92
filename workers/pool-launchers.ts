/** The launchers of a pool worker: those that its settings and its host make possible. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { PoolWorker } from '../activities/pool/parts.ts';
import { type ClusterSettings, connectCluster } from '../k8s/connect-cluster.ts';
import { DockerLauncher } from '../launchers/docker/docker-launcher.ts';
import { EngineAway } from '../launchers/docker/engine.ts';
import { InProcessLauncher } from '../launchers/in-process/in-process-launcher.ts';
import type { Launchers } from '../launchers/launcher.ts';
import type { LiveRegistry } from '../launchers/live-registry.ts';
import { LocalLauncher } from '../launchers/local/local-launcher.ts';
import type { LaunchKind } from '../launchers/registry.ts';
import { optional, WrongSettingError } from '../process/environment.ts';
import type { Health } from '../process/health.ts';
import { patiently } from '../process/patiently.ts';
import type { PodReaperSettings } from './pod-reaper-settings.ts';
import type { PoolProcessMetrics } from './pool-metrics.ts';

/** What decides which launchers there are. */
export interface LauncherSettings {
  /** Of processes and containers; absent: it launches neither. */
  readonly runDirectory: string | undefined;
  /** Of a Docker-compatible engine on this host. */
  readonly dockerSocket: string | undefined;
  /** Absent: it launches no Pods. */
  readonly cluster: ClusterSettings | undefined;
  readonly podReaper: PodReaperSettings;
}

/** Where Docker's engine listens when nobody said otherwise. */
const usualSocket = '/var/run/docker.sock';
/** Inside of the run directory, with a name that no run of a process has. */
const containerFolder = '.containers';

/** The socket that the setting names, plain or as Docker writes it; else the usual one, if it is there. */
export function dockerSocket(named: string | undefined): string | undefined {
  if (named === undefined) return existsSync(usualSocket) ? usualSocket : undefined;
  const path = named.replace(/^unix:\/\//, '');
  if (path.startsWith('/')) return path;
  throw new WrongSettingError({
    setting: 'POP_DOCKER_SOCKET',
    problem:
      `must be the path of a socket on this host, such as ${usualSocket}, not "${named}"; an engine on another host ` +
      'cannot be used, for it does not see the run directories',
  });
}

/** What a registry may name as `launch` here. */
export function possibleLaunches({ runDirectory, dockerSocket: socket, cluster }: LauncherSettings): LaunchKind[] {
  return [
    'inProcess',
    ...(runDirectory === undefined ? [] : (['local'] as const)),
    ...(runDirectory === undefined || socket === undefined ? [] : (['docker'] as const)),
    ...(cluster === undefined ? [] : (['kubernetes'] as const)),
  ];
}

/** Whose launchers they are. */
export interface LauncherOwner {
  readonly worker: string;
  readonly installationId: string;
  readonly resourcePoolId: string;
}

/** What they report to while they are made. */
export interface LauncherSurroundings {
  readonly health: Health;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly metrics: Pick<PoolProcessMetrics, 'reachable'>;
}

/** The part of a pool worker that launches; disposed of once nothing is followed any more. */
export interface LaunchingParts extends Disposable {
  readonly parts: Pick<PoolWorker, 'launchers' | 'reapPods'>;
}

/**
 * Makes them, and waits for an engine or a cluster that is away; not for an engine that nobody named or needs.
 * @throws SettingError when the cluster refuses this worker; the signal's reason once it aborts
 */
export async function makeLaunchers(
  settings: LauncherSettings,
  owner: LauncherOwner,
  registry: LiveRegistry,
  { health, log, signal, metrics }: LauncherSurroundings,
): Promise<LaunchingParts> {
  const { runDirectory, dockerSocket: socket, cluster } = settings;
  const base: Launchers = {
    inProcess: new InProcessLauncher({ worker: owner.worker }),
    ...(runDirectory !== undefined && { local: new LocalLauncher({ root: runDirectory }) }),
  };
  const docker =
    runDirectory === undefined || socket === undefined
      ? undefined
      : await health.during(
          `the container engine at ${socket}`,
          connectEngine({ socket, root: join(runDirectory, containerFolder) }, isEngineWanted(registry), log, signal),
        );
  const withEngine = docker === undefined ? base : { ...base, docker };
  if (cluster === undefined) return { parts: { launchers: withEngine }, [Symbol.dispose]: () => undefined };
  const server = cluster.config.getCurrentCluster()?.server ?? '';
  const kubernetes = await health.during(
    `the cluster at ${server}`,
    connectCluster(cluster, owner, registry, {
      ...{ log, signal },
      onReachable: (reachable) => metrics.reachable('kubernetes', reachable),
    }),
  );
  return {
    parts: {
      launchers: { ...withEngine, kubernetes },
      reapPods: (order, onBatch) => kubernetes.reap(order, onBatch),
    },
    [Symbol.dispose]: () => kubernetes[Symbol.dispose](),
  };
}

/** Somebody named it, or some type needs it. */
const isEngineWanted = ({ current }: LiveRegistry): boolean =>
  optional('POP_DOCKER_SOCKET') !== undefined || [...current.types.values()].some(({ launch }) => launch === 'docker');

/** An engine that is away is waited for when it is wanted; otherwise there is none. */
async function connectEngine(
  options: { readonly socket: string; readonly root: string },
  isWanted: boolean,
  log: Logger,
  signal: AbortSignal,
): Promise<DockerLauncher | undefined> {
  const { socket } = options;
  const connecting = patiently(
    () => DockerLauncher.connect(options),
    signal,
    (error, isFirst) => {
      if (!isWanted || !(error instanceof EngineAway)) throw error;
      if (isFirst) log.warn({ err: error, socket }, 'the container engine does not answer yet');
    },
  );
  return connecting.catch((error: unknown) => {
    if (isWanted || !(error instanceof EngineAway)) throw error;
    log.info({ err: error, socket }, 'this pool worker launches no containers: no engine answers');
    return undefined;
  });
}
