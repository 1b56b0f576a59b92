/**
 * The pool worker: runs the Operations of one ResourcePool. It only calls out, to Temporal and to the ResourcePool
 * service, and holds no database credentials. Any number may serve a pool; those on one host with the same run
 * directory adopt each other's runs.
 */
import { randomBytes } from 'node:crypto';
import { availableParallelism, hostname } from 'node:os';
import { resolve } from 'node:path';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { createPoolActivities } from '../activities/pool/activities.ts';
import type { PoolWorker } from '../activities/pool/parts.ts';
import { OrphanReaper } from '../activities/pool/reap-orphans.ts';
import { ResourcePoolClient } from '../activities/pool/resource-pool-client.ts';
import { RunningOperations } from '../activities/pool/running-operations.ts';
import { InProcessLauncher } from '../launchers/in-process/in-process-launcher.ts';
import { LocalLauncher } from '../launchers/local/local-launcher.ts';
import { LiveRegistry } from '../launchers/registry.ts';
import { positiveNumber, required, SettingError } from '../process/environment.ts';
import { createLog } from '../process/log.ts';
import { untilShutdown } from '../process/shutdown.ts';
import { connectPatiently, temporalSettings } from '../temporal/connect.ts';
import { installTemporalRuntime } from '../temporal/runtime.ts';
import { poolTaskQueue } from '../workflows/names.ts';
import { poolWorkerOptions } from './worker-options.ts';

interface PoolSettings {
  readonly resourcePoolId: string;
  readonly url: string;
  readonly apiKey: string;
  readonly registry: string;
  readonly runDirectory: string;
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
    runDirectory: resolve(needed('POP_RUN_DIRECTORY')),
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
  const registry = new LiveRegistry(settings.registry, (error) =>
    log.error(
      { err: error, registry: settings.registry },
      'the registry was edited and is broken now; the last good one stays in use',
    ),
  );
  const client = new ResourcePoolClient({
    url: settings.url,
    apiKey: settings.apiKey,
    onReachable: (reachable, trouble) => {
      if (reachable) log.info('the ResourcePool service answers again');
      else log.warn({ err: trouble }, 'the ResourcePool service does not answer; trying on');
    },
  });
  // Processes may share a host and a pid (containers), hence the random part.
  const name = `${hostname()}:${process.pid}:${randomBytes(3).toString('hex')}`;
  const running = new RunningOperations({ report: (items) => client.reportProgress(items), worker: name, log });
  const pool: PoolWorker = {
    resourcePoolId: settings.resourcePoolId,
    name,
    client,
    registry,
    launchers: { local: new LocalLauncher({ root: settings.runDirectory }), inProcess: new InProcessLauncher() },
    running,
    shutdown: shutdown.signal,
    log,
  };

  const temporal = temporalSettings();
  const connection = await connectPatiently(
    (options) => NativeConnection.connect(options),
    temporal,
    log,
    shutdown.signal,
  ).catch((error: unknown) => {
    if (!shutdown.signal.aborted) throw error;
  });
  // Asked to end before Temporal ever answered: nothing was begun.
  if (connection === undefined) return running.close();
  const worker = await Worker.create({
    connection,
    namespace: temporal.namespace,
    taskQueue: poolTaskQueue(settings.resourcePoolId),
    identity: `pool-${settings.resourcePoolId}@${name}`,
    activities: { ...createPoolActivities(pool) },
    ...poolWorkerOptions(settings.concurrency),
    // No grace: activities hear of the shutdown at once and let go, so that another worker adopts their runs.
    shutdownGraceTime: 0,
    shutdownForceTime: '25 s',
  });
  const reaper = new OrphanReaper(pool, settings.reapSeconds);
  reaper.start();
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
