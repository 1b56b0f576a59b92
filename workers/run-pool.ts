/**
 * The pool worker: runs the Operations of one ResourcePool. It only calls out, to Temporal and to the ResourcePool
 * service, and holds no database credentials. Any number may serve a pool; those on one host with the same run
 * directory adopt each other's runs.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { createPoolActivities } from '../activities/pool/activities.ts';
import { joinInstallation, pairingHeadersOf } from '../activities/pool/join-installation.ts';
import type { PoolWorker } from '../activities/pool/parts.ts';
import { OrphanReaper } from '../activities/pool/reap-orphans.ts';
import { ResourcePoolClient } from '../activities/pool/resource-pool-client.ts';
import { RunningOperations } from '../activities/pool/running-operations.ts';
import { InProcessLauncher } from '../launchers/in-process/in-process-launcher.ts';
import { LocalLauncher } from '../launchers/local/local-launcher.ts';
import { LiveRegistry } from '../launchers/registry.ts';
import { SettingError } from '../process/environment.ts';
import { Health } from '../process/health.ts';
import { createLog } from '../process/log.ts';
import { serveStatus } from '../process/serve-metrics.ts';
import { type Shutdown, untilShutdown } from '../process/shutdown.ts';
import { clientOn, connectPatiently, type TemporalClient } from '../temporal/connect.ts';
import { checkMarker, describeNames, watchMarker } from '../temporal/installation-marker.ts';
import { watchPoller } from '../temporal/poller-watch.ts';
import { installTemporalRuntime } from '../temporal/runtime.ts';
import { addPoolMetrics, type PoolProcessMetrics } from './pool-metrics.ts';
import { type PoolSettings, poolSettings } from './pool-settings.ts';
import { runWorker } from './run-worker.ts';
import { poolWorkerOptions } from './worker-options.ts';

/** Resolves after an orderly end. @throws SettingError when a setting is wrong or this worker is not welcome */
export async function runPool(): Promise<void> {
  const settings = poolSettings();
  const log = createLog('pool', settings.logLevel);
  installTemporalRuntime(log);
  const shutdown = untilShutdown(log, settings.drainSeconds);
  const health = new Health();
  shutdown.signal.addEventListener('abort', () => health.draining(shutdown.signal.reason.message));
  const metricsRegistry = new Registry();
  collectDefaultMetrics({ register: metricsRegistry });
  let running: RunningOperations | undefined;
  const metrics = addPoolMetrics(metricsRegistry, { slots: settings.concurrency, running: () => running?.size ?? 0 });
  await using _status = await serveStatus(settings.status, { health, registry: metricsRegistry, log });

  const registry = followRegistry(settings, log);
  const joined = await join(settings, health, log, shutdown.signal).catch((error: unknown) => {
    if (!shutdown.signal.aborted) throw error;
  });
  // Asked to end before all had answered: nothing was begun.
  if (joined === undefined) return;
  const { connection, marked, installationId } = joined;
  const client = serviceClient(settings, installationId, metrics, log);
  // Processes may share a host and a pid (containers), hence the random part.
  const name = `${hostname()}:${process.pid}:${randomBytes(3).toString('hex')}`;
  running = new RunningOperations({
    report: (items) => metrics.progressRequest(items.length, client.reportProgress(items)),
    worker: name,
    log,
  });
  const pool: PoolWorker = {
    resourcePoolId: settings.resourcePoolId,
    name,
    client,
    registry,
    launchers: {
      local: new LocalLauncher({ root: settings.runDirectory }),
      inProcess: new InProcessLauncher({ worker: name }),
    },
    url: settings.url,
    running,
    shutdown: shutdown.signal,
    log,
    metrics,
  };
  // Rejects when it may not go on, which is said once all has ended in order.
  const watching = watchMarker(marked, installationId, shutdown.signal, log);
  watching.catch(() => shutdown.begin('the namespace belongs to another installation'));
  await work(pool, settings, joined, health, shutdown);
  await connection.close();
  await watching;
}

/** Takes Operations until the process is told to go, and has let go of all of them then. */
async function work(
  pool: PoolWorker,
  settings: PoolSettings,
  { connection, marked }: Joined,
  health: Health,
  shutdown: Shutdown,
): Promise<void> {
  const { log, name, registry } = pool;
  const taskQueue = settings.temporal.names.poolQueue(settings.resourcePoolId);
  const identity = `pool-${settings.resourcePoolId}@${name}`;
  const worker = await Worker.create({
    connection,
    namespace: settings.temporal.namespace,
    taskQueue,
    identity,
    activities: { ...createPoolActivities(pool) },
    ...poolWorkerOptions(settings.concurrency),
    // No grace: activities hear of the shutdown at once and let go, so that another worker adopts their runs.
    shutdownGraceTime: 0,
    shutdownForceTime: `${settings.drainSeconds} s`,
  });
  const reaper = new OrphanReaper(pool, settings.reapSeconds);
  reaper.start();
  const ended = runWorker(worker, shutdown, settings.drainSeconds);
  health.stuckWhen(
    watchPoller({
      ...{ client: marked, queue: taskQueue, type: 'activity', identity, signal: shutdown.signal },
      isWanted: () => worker.getStatus().numInFlightActivities < settings.concurrency,
    }),
  );
  health.ready();
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
    pool.running.close();
  }
}

function followRegistry({ registry }: PoolSettings, log: Logger): LiveRegistry {
  return new LiveRegistry(registry, (error) =>
    log.error({ err: error, registry }, 'the registry was edited and is broken now; the last good one stays in use'),
  );
}

function serviceClient(
  settings: PoolSettings,
  installationId: string,
  metrics: PoolProcessMetrics,
  log: Logger,
): ResourcePoolClient {
  metrics.reachable('api', true);
  return new ResourcePoolClient({
    url: settings.url,
    headers: pairingHeadersOf(settings, installationId),
    onReachable: (reachable, trouble) => {
      metrics.reachable('api', reachable);
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
async function join(settings: PoolSettings, health: Health, log: Logger, signal: AbortSignal): Promise<Joined> {
  const { temporal } = settings;
  const connecting = connectPatiently((options) => NativeConnection.connect(options), temporal, log, signal);
  const [connection, installationId] = await Promise.all([
    health.during(`Temporal at ${temporal.address}`, connecting),
    health.during(`the api at ${settings.url}`, joinInstallation(settings, log, signal)),
  ]);
  const marked = clientOn(connection, temporal);
  const checking = patiently(log, signal, async () => {
    if (await checkMarker(marked, installationId)) return;
    log.warn(
      { namespace: temporal.namespace, names: describeNames(temporal.names) },
      'no installation has begun under these names yet; is POP_INSTALLATION that of the control worker?',
    );
  });
  await health.during(`Temporal at ${temporal.address}`, checking);
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
