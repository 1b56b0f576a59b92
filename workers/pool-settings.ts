/** What a pool worker is set to, by its environment. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { PoolCredentials } from '../activities/pool/join-installation.ts';
import { clusterSettings, isClusterNamed } from '../k8s/connect-cluster.ts';
import {
  logLevel,
  optional,
  port,
  positiveNumber,
  readAll,
  required,
  requiredSecret,
  WrongSettingError,
} from '../process/environment.ts';
import { type StatusSettings, statusSettings } from '../process/serve-metrics.ts';
import { drainSeconds } from '../process/shutdown.ts';
import { type TemporalSettings, temporalSettings } from '../temporal/connect.ts';
import { podReaperSettings } from './pod-reaper-settings.ts';
import { dockerSocket, type LauncherSettings } from './pool-launchers.ts';

/** Settings of a pool worker. */
export interface PoolSettings extends PoolCredentials, LauncherSettings {
  readonly registry: string;
  /** Where handlers reach the api that report by themselves. */
  readonly handlerUrl: string;
  /** Passes their reports on; absent: they reach the api. */
  readonly relay: { readonly host: string; readonly port: number } | undefined;
  readonly concurrency: number;
  /** Between two looks at runs that nobody follows. */
  readonly reapSeconds: number;
  /** From the signal to the forced end. */
  readonly drainSeconds: number;
  readonly logLevel: string;
  readonly status: StatusSettings;
  readonly temporal: TemporalSettings;
}

/** Reads them. @throws WrongSettingError with all that is missing or wrong */
export function poolSettings(): PoolSettings {
  return readAll<PoolSettings>({
    resourcePoolId: () => required('POP_POOL_ID'),
    url: serviceUrl,
    apiKey: () => requiredSecret('POP_API_KEY'),
    registry: () => required('POP_REGISTRY'),
    handlerUrl: () => (optional('POP_HANDLER_URL') === undefined ? serviceUrl() : urlOf('POP_HANDLER_URL')),
    relay,
    runDirectory,
    dockerSocket: () => dockerSocket(optional('POP_DOCKER_SOCKET')),
    cluster: clusterSettings,
    podReaper: podReaperSettings,
    concurrency: () => Math.ceil(positiveNumber('POP_CONCURRENCY', Math.max(4, 2 * availableParallelism()))),
    reapSeconds: () => positiveNumber('POP_REAP_SECONDS', 60),
    drainSeconds,
    logLevel,
    status: statusSettings,
    temporal: temporalSettings,
  });
}

/** `POP_RELAY_PORT`, on all addresses unless `POP_RELAY_HOST` names one. */
function relay(): PoolSettings['relay'] {
  const listensOn = port('POP_RELAY_PORT');
  if (listensOn === undefined) return undefined;
  if (optional('POP_HANDLER_URL') === undefined)
    throw new WrongSettingError({
      setting: 'POP_HANDLER_URL',
      problem: 'is missing: POP_RELAY_PORT is of use only to handlers that are told where it is',
    });
  return { host: optional('POP_RELAY_HOST') ?? '0.0.0.0', port: listensOn };
}

/** A pool whose handlers are all Pods needs none. */
function runDirectory(): string | undefined {
  const named = optional('POP_RUN_DIRECTORY');
  if (named !== undefined) return resolve(named);
  if (isClusterNamed()) return undefined;
  throw new WrongSettingError({
    setting: 'POP_RUN_DIRECTORY',
    problem: 'is missing; a worker that launches Pods alone has a cluster in its place: POP_KUBECONFIG, or it is a Pod',
  });
}

const serviceUrl = (): string => urlOf('POP_URL');

function urlOf(setting: string): string {
  const url = required(setting);
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new WrongSettingError({
      setting,
      problem: `must be a URL such as http://127.0.0.1:8080/v1, not "${url}"`,
    });
  return url;
}
