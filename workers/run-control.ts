/**
 * The control worker: runs every workflow, the control activities and the sweep. Any number of them may run.
 * Two Workers in one process, so that no backlog of Agenda tasks stands before admission.
 */
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { controlActivities } from '../activities/control/activities.ts';
import type { ControlParts, ControlSettings } from '../activities/control/parts.ts';
import { openDatabase } from '../db/connect.ts';
import { databaseUrl, logLevel, positiveNumber, readAll, wholeNumber } from '../process/environment.ts';
import { Health } from '../process/health.ts';
import { createLog } from '../process/log.ts';
import { type StatusSettings, serveStatus, statusSettings } from '../process/serve-metrics.ts';
import { drainSeconds, untilShutdown } from '../process/shutdown.ts';
import {
  connectPatiently,
  lazyTemporalClient,
  type TemporalClient,
  type TemporalSettings,
  temporalSettings,
} from '../temporal/connect.ts';
import { watchPoller } from '../temporal/poller-watch.ts';
import { ensureSearchAttributes } from '../temporal/register-search-attributes.ts';
import { installTemporalRuntime } from '../temporal/runtime.ts';
import type { ControlActivities } from '../workflows/activities.ts';
import { addControlMetrics } from './control-metrics.ts';
import { enterNamespace, keepNamespace } from './namespace-guard.ts';
import { addRecordMetrics } from './record-metrics.ts';
import { runWorker } from './run-worker.ts';
import { runSweeper } from './sweeper.ts';
import { waitForSchema } from './wait-for-schema.ts';
import { wakeInsights } from './wake-insights.ts';
import { admissionWorkerOptions, controlWorkerOptions } from './worker-options.ts';
import { workflowBundle } from './workflow-bundle.ts';

/** What a control worker is made of; tests put in parts of their own, nobody else does. */
export interface ControlMakers {
  readonly openDatabase?: typeof openDatabase;
  readonly temporalClient?: typeof lazyTemporalClient;
  readonly activities?: (parts: ControlParts) => ControlActivities;
  readonly workerOptions?: Partial<WorkerOptions>;
}

interface ControlProcessSettings {
  readonly work: ControlSettings;
  readonly databaseUrl: string;
  readonly mostCustomers: number;
  readonly drainSeconds: number;
  readonly logLevel: string;
  readonly status: StatusSettings;
  readonly temporal: TemporalSettings;
}

const readSettings = (): ControlProcessSettings =>
  readAll<ControlProcessSettings>({
    work: () =>
      readAll<ControlSettings>({
        heartbeatSeconds: () => positiveNumber('POP_HEARTBEAT_SECONDS', 60),
        cancelSeconds: () => positiveNumber('POP_CANCEL_SECONDS', 120),
        quietSeconds: () => positiveNumber('POP_QUIET_SECONDS', 60),
        sweepSeconds: () => positiveNumber('POP_SWEEP_SECONDS', 5),
        admissionsDays: () => positiveNumber('POP_ADMISSIONS_DAYS', 30, 1),
      }),
    databaseUrl,
    mostCustomers: () => wholeNumber('POP_METRICS_CUSTOMERS', 20),
    drainSeconds,
    logLevel,
    status: statusSettings,
    temporal: temporalSettings,
  });

/** Resolves after an orderly end. @throws SettingError */
export async function runControl(makers: ControlMakers = {}): Promise<void> {
  const settings = readSettings();
  const { temporal } = settings;
  const log = createLog('control', settings.logLevel);
  installTemporalRuntime(log);
  const shutdown = untilShutdown(log, settings.drainSeconds);
  const health = new Health();
  shutdown.signal.addEventListener('abort', () => health.draining(shutdown.signal.reason.message));
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  await using _status = await serveStatus(settings.status, { health, registry, log });
  const connecting = connectPatiently((options) => NativeConnection.connect(options), temporal, log, shutdown.signal);
  const [codePath, connection] = await Promise.all([
    health.during(
      'the bundle of workflows',
      workflowBundle((message) => log.info(message)),
    ),
    health.during(`Temporal at ${temporal.address}`, connecting).catch((error: unknown) => {
      if (!shutdown.signal.aborted) throw error;
    }),
  ]);
  // Asked to end before Temporal ever answered: nothing was begun.
  if (connection === undefined) return;
  const connect = makers.openDatabase ?? openDatabase;
  await using database = connect(settings.databaseUrl, { applicationName: 'pop-control', connections: 20 });
  await health.during('the schema of the database', waitForSchema(database, log, shutdown.signal));
  if (shutdown.signal.aborted) return connection.close();
  await using client = (makers.temporalClient ?? lazyTemporalClient)(temporal);
  await enterNamespace({ database, client, log });
  await ensureSearchAttributes(client, temporal.namespace, log);

  addRecordMetrics(registry, database, { log, mostCustomers: settings.mostCustomers });
  const metrics = addControlMetrics(registry);

  const wake = (ids: readonly string[]) => {
    metrics.wakes(ids.length);
    void wakeInsights({ database, client, log }, ids);
  };
  const parts: ControlParts = { database, client, log, settings: settings.work, metrics, wake };
  const activities = { ...(makers.activities ?? controlActivities)(parts) };
  const common = {
    connection,
    namespace: temporal.namespace,
    workflowBundle: { codePath },
    activities,
    // Activities of the record are short; what is not done then is told to stop, and begun again elsewhere.
    shutdownGraceTime: `${Math.min(5, settings.drainSeconds / 2)} s`,
    shutdownForceTime: `${settings.drainSeconds} s`,
    ...makers.workerOptions,
  } as const;
  const workers = await Promise.all([
    Worker.create({ ...common, ...controlWorkerOptions, taskQueue: client.names.controlQueue }),
    Worker.create({ ...common, ...admissionWorkerOptions, taskQueue: client.names.admissionQueue }),
  ]);

  const sweeping = runSweeper(parts, shutdown.signal);
  // Rejects when it may not go on; that is said to the caller once all has ended in order.
  const keeping = keepNamespace(parts, shutdown.signal);
  keeping.catch(() => shutdown.begin('the namespace belongs to another installation'));
  const running = Promise.all(workers.map((worker) => runWorker(worker, shutdown, settings.drainSeconds)));
  for (const worker of workers) health.stuckWhen(watchPollerOf(worker, client, shutdown.signal));
  health.ready();
  log.info({ queues: [client.names.controlQueue, client.names.admissionQueue] }, 'control worker ready');
  await running.finally(() => shutdown.begin('a worker ended'));
  await sweeping;
  await connection.close();
  await keeping;
}

function watchPollerOf(worker: Worker, client: TemporalClient, signal: AbortSignal): () => string | undefined {
  const { taskQueue: queue, identity } = worker.options;
  return watchPoller({ client, queue, type: 'workflow', identity, isWanted: () => true, signal });
}
