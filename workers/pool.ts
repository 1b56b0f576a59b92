/**
 * The pool worker: runs the Operations of one ResourcePool. It only calls out, to Temporal and to the ResourcePool
 * service, and holds no database credentials. Any number may serve a pool; those on one host with the same run
 * directory adopt each other's runs.
 */
import { randomBytes } from 'node:crypto';
import { availableParallelism, hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { createPoolActivities } from '../activities/pool/activities.ts';
import { joinInstallation, type PoolCredentials, pairingHeadersOf } from '../activities/pool/join-installation.ts';
import type { PoolWorker } from '../activities/pool/parts.ts';
import { OrphanReaper } from '../activities/pool/reap-orphans.ts';
import { ResourcePoolClient } from '../activities/pool/resource-pool-client.ts';
import { RunningOperations } from '../activities/pool/running-operations.ts';
import { type LaunchKind, LiveRegistry } from '../launchers/registry.ts';
import { positiveNumber, required, SettingError } from '../process/environment.ts';
import { createLog } from '../process/log.ts';
import { untilShutdown } from '../process/shutdown.ts';
import {
  clientOn,
  connectPatiently,
  type TemporalClient,
  type TemporalSettings,
  temporalSettings,
} from '../temporal/connect.ts';
import { checkMarker, describeNames, watchMarker } from '../temporal/installation-marker.ts';
import { installTemporalRuntime } from '../temporal/runtime.ts';
import { kindsOf, poolLaunchers } from './pool-launchers.ts';
import { poolWorkerOptions } from './worker-options.ts';

interface PoolSettings extends PoolCredentials {
  readonly registry: string;
  readonly concurrency: number;
  /** Between two looks at runs that nobody follows. */
  readonly reapSeconds: number;
}

function readSettings(): PoolSettings {
  const missing: string[] = [];
  const needed = (name: string): string => {
    try {
      return required(name);
    } catch (error) {
      missing.push((error as Error).message);
      return '';
    }
  };
  const settings: PoolSettings = {
    resourcePoolId: needed('POP_POOL_ID'),
    url: needed('POP_URL'),
    apiKey: needed('POP_API_KEY'),
    registry: needed('POP_REGISTRY'),
    concurrency: Math.ceil(positiveNumber('POP_CONCURRENCY', Math.max(4, 2 * availableParallelism()))),
    reapSeconds: positiveNumber('POP_REAP_SECONDS', 60),
  };
  if (missing.length > 0) throw new SettingError(missing.join('; '));
  if (!URL.canParse(settings.url))
    throw new SettingError(`the setting POP_URL must be a URL such as http://127.0.0.1:8080/v1, not "${settings.url}"`);
  return settings;
}

async function main(log: Logger): Promise<void> {
  installTemporalRuntime(log);
  const settings = readSettings();
  const shutdown = untilShutdown(log);
  // Processes may share a host and a pid (containers), hence the random part.
  const name = `${hostname()}:${process.pid}:${randomBytes(3).toString('hex')}`;
  const launchers = await poolLaunchers({ worker: name, environment: process.env, log });
  const registry = followRegistry(settings, kindsOf(launchers), log);
  const temporal = temporalSettings();
  const joined = await join(settings, temporal, log, shutdown.signal).catch((error: unknown) => {
    if (!shutdown.signal.aborted) throw error;
  });
  // Asked to end before all had answered: nothing was begun.
  if (joined === undefined) return;
  const { connection, marked, installationId } = joined;
  const client = serviceClient(settings, installationId, log);
  const running = new RunningOperations({ report: (items) => client.reportProgress(items), worker: name, log });
  const pool: PoolWorker = {
    resourcePoolId: settings.resourcePoolId,
    name,
    client,
    registry,
    launchers,
    url: settings.url,
    running,
    shutdown: shutdown.signal,
    log,
  };

  const worker = await Worker.create({
    connection,
    namespace: temporal.namespace,
    taskQueue: temporal.names.poolQueue(settings.resourcePoolId),
    identity: `pool-${settings.resourcePoolId}@${name}`,
    activities: { ...createPoolActivities(pool) },
    ...poolWorkerOptions(settings.concurrency),
    // No grace: activities hear of the shutdown at once and let go, so that another worker adopts their runs.
    shutdownGraceTime: 0,
    shutdownForceTime: '25 s',
  });
  const reaper = new OrphanReaper(pool, settings.reapSeconds);
  reaper.start();
  // Rejects when it may not go on, which is said once all has ended in order.
  const watching = watchMarker(marked, installationId, shutdown.signal, log);
  watching.catch(() => shutdown.begin('the namespace belongs to another installation'));
  const shutDown = () => worker.getState() === 'RUNNING' && worker.shutdown();
  shutdown.signal.addEventListener('abort', shutDown);
  const ended = worker.run();
  // Asked to end while it was being made.
  if (shutdown.signal.aborted) shutDown();
  log.info(
    {
      resourcePoolId: settings.resourcePoolId,
      worker: name,
      concurrency: settings.concurrency,
      types: [...registry.current.types.keys()],
    },
    'pool worker ready',
  );
  try {
    await ended;
  } finally {
    shutdown.begin('the worker ended');
    reaper.close();
    running.close();
  }
  await connection.close();
  await watching;
}

function followRegistry({ registry }: PoolSettings, launches: readonly LaunchKind[], log: Logger): LiveRegistry {
  const report = (error: Error) =>
    log.error({ err: error, registry }, 'the registry was edited and is broken now; the last good one stays in use');
  return new LiveRegistry(registry, report, launches);
}

function serviceClient(settings: PoolSettings, installationId: string, log: Logger): ResourcePoolClient {
  return new ResourcePoolClient({
    url: settings.url,
    headers: pairingHeadersOf(settings, installationId),
    onReachable: (reachable, trouble) => {
      if (reachable) log.info('the ResourcePool service answers again');
      else log.warn({ err: trouble }, 'the ResourcePool service does not answer; trying on');
    },
    onUnwelcome: onceAMinute((refusal) =>
      log.error(
        { code: refusal.code, resourcePoolId: settings.resourcePoolId, installationId },
        `the ResourcePool service refuses this pool worker; its Operations wait: ${refusal.message}`,
      ),
    ),
  });
}

interface Joined {
  readonly connection: NativeConnection;
  readonly marked: TemporalClient;
  readonly installationId: string;
}

/**
 * Waits for Temporal and the api, and sees that both are of one installation, before any work is taken. @throws
 * SettingError when they are not
 */
async function join(
  settings: PoolSettings,
  temporal: TemporalSettings,
  log: Logger,
  signal: AbortSignal,
): Promise<Joined> {
  const [connection, installationId] = await Promise.all([
    connectPatiently((options) => NativeConnection.connect(options), temporal, log, signal),
    joinInstallation(settings, log, signal),
  ]);
  const marked = clientOn(connection, temporal);
  await patiently(log, signal, async () => {
    if (await checkMarker(marked, installationId)) return;
    log.warn(
      { namespace: temporal.namespace, names: describeNames(temporal.names) },
      'no installation has begun under these names yet; is POP_INSTALLATION that of the control worker?',
    );
  });
  return { connection, marked, installationId };
}

/** Does `work` until it is done or there is a wrong setting: Temporal may be away. */
async function patiently(log: Logger, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof SettingError) throw error;
      if (tries === 0) log.warn({ err: error }, 'Temporal does not answer yet; trying on');
      await delay(Math.min(200 * 2 ** tries, 5_000), undefined, { signal });
    }
  }
}

/** Passes on the first of a minute. */
function onceAMinute<T>(tell: (value: T) => void): (value: T) => void {
  let quietUntil = 0;
  return (value) => {
    if (performance.now() < quietUntil) return;
    quietUntil = performance.now() + 60_000;
    tell(value);
  };
}

const log = createLog('pool');
try {
  await main(log);
  // Functions of in-process types may still be at work; they are repeated elsewhere, and no process waits for them.
  process.exit(0);
} catch (error) {
  if (error instanceof SettingError) log.fatal(error.message);
  else log.fatal({ err: error }, 'the pool worker ended');
  process.exit(1);
}
