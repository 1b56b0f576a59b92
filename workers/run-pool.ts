/**
 * The pool worker: runs the Operations of one ResourcePool. It only calls out, to Temporal and to the ResourcePool
 * service, and holds no database credentials. Any number may serve a pool; those on one host with the same run
 * directory adopt each other's runs.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { createPoolActivities } from '../activities/pool/activities.ts';
import { joinInstallation, pairingHeadersOf } from '../activities/pool/join-installation.ts';
import { openRegistry } from '../activities/pool/open-registry.ts';
import type { PoolWorker } from '../activities/pool/parts.ts';
import { OrphanReaper } from '../activities/pool/reap-orphans.ts';
import { ResourcePoolClient } from '../activities/pool/resource-pool-client.ts';
import { RunningOperations } from '../activities/pool/running-operations.ts';
import { ServiceUnavailable } from '../activities/pool/service-errors.ts';
import { WorkerTeller } from '../activities/pool/tell-worker.ts';
import { SettingError } from '../process/environment.ts';
import { Health } from '../process/health.ts';
import { createLog } from '../process/log.ts';
import { patiently } from '../process/patiently.ts';
import { serveStatus } from '../process/serve-metrics.ts';
import { type Shutdown, untilShutdown } from '../process/shutdown.ts';
import { clientOn, connectPatiently, type TemporalClient } from '../temporal/connect.ts';
import { checkMarker, describeNames, watchMarker } from '../temporal/installation-marker.ts';
import { keepPodReaperSchedule } from '../temporal/pod-reaper-schedule.ts';
import { watchPoller } from '../temporal/poller-watch.ts';
import { installTemporalRuntime } from '../temporal/runtime.ts';
import { makeLaunchers, possibleLaunches } from './pool-launchers.ts';
import { addPoolMetrics, type PoolProcessMetrics } from './pool-metrics.ts';
import { type PoolSettings, poolSettings } from './pool-settings.ts';
import { serveRelay } from './relay.ts';
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

  const registry = openRegistry(settings.registry, log, possibleLaunches(settings));
  const joined = await unlessEnding(join(settings, health, log, shutdown.signal), shutdown.signal);
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
  const owner = { worker: name, installationId, resourcePoolId: settings.resourcePoolId };
  const around = { health, log, signal: shutdown.signal, metrics };
  using launching = await unlessEnding(makeLaunchers(settings, owner, registry, around), shutdown.signal);
  if (launching === undefined) return;
  const pool: PoolWorker = {
    resourcePoolId: settings.resourcePoolId,
    name,
    client,
    registry,
    ...launching.parts,
    url: settings.handlerUrl,
    running,
    shutdown: shutdown.signal,
    log,
    metrics,
  };
  await using _relay =
    settings.relay === undefined ? undefined : await serveRelay({ ...settings.relay, url: settings.url, log });
  const report = noticing(metrics, client.reportWorker.bind(client));
  // Before any work is taken: what this worker serves is known from its first question on.
  const teller = new WorkerTeller({ report, worker: name, slots: settings.concurrency, registry, log });
  if (!(await teller.hasTold(shutdown.signal))) return;
  // Rejects when it may not go on, which is said once all has ended in order.
  const watching = watchMarker(marked, installationId, shutdown.signal, log);
  watching.catch(() => shutdown.begin('the namespace belongs to another installation'));
  await work(pool, settings, joined, health, shutdown).finally(() => teller.close());
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
  if (pool.reapPods !== undefined) {
    const { everySeconds, ...order } = settings.podReaper;
    const schedule = { everySeconds, input: { ...order, poolQueue: taskQueue } };
    await keepPodReaperSchedule(marked, settings.resourcePoolId, schedule);
  }
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

/** What the work comes to; undefined when this process was asked to end meanwhile. */
async function unlessEnding<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (!signal.aborted) throw error;
    return undefined;
  }
}

/** A worker without work hears of an api that is away by its signs of life alone. */
function noticing<Report>(
  metrics: PoolProcessMetrics,
  report: (report: Report) => Promise<void>,
): (report: Report) => Promise<void> {
  return async (told) => {
    try {
      await report(told);
      metrics.reachable('api', true);
    } catch (error) {
      if (error instanceof ServiceUnavailable) metrics.reachable('api', false);
      throw error;
    }
  };
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
  const check = async () => {
    if (await checkMarker(marked, installationId)) return;
    log.warn(
      { namespace: temporal.namespace, names: describeNames(temporal.names) },
      'no installation has begun under these names yet; is POP_INSTALLATION that of the control worker?',
    );
  };
  const checking = patiently(check, signal, (error, isFirst) => {
    if (error instanceof SettingError) throw error;
    if (isFirst) log.warn({ err: error }, 'Temporal does not answer yet; trying on');
  });
  await health.during(`Temporal at ${temporal.address}`, checking);
  return { connection, marked, installationId };
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
