/**
 * The control worker: runs every workflow, the control activities and the sweep. Any number of them may run.
 * Two Workers in one process, so that no backlog of Agenda tasks stands before admission.
 */
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { controlActivities } from '../activities/control/activities.ts';
import type { ControlParts, ControlSettings } from '../activities/control/parts.ts';
import { openDatabase } from '../db/connect.ts';
import { positiveNumber, required, wholeNumber } from '../process/environment.ts';
import { createLog } from '../process/log.ts';
import { serveMetrics } from '../process/serve-metrics.ts';
import { untilShutdown } from '../process/shutdown.ts';
import { connectPatiently, lazyTemporalClient, temporalSettings } from '../temporal/connect.ts';
import { ensureSearchAttributes } from '../temporal/register-search-attributes.ts';
import { installTemporalRuntime } from '../temporal/runtime.ts';
import type { ControlActivities } from '../workflows/activities.ts';
import { addControlMetrics } from './control-metrics.ts';
import { enterNamespace, keepNamespace } from './namespace-guard.ts';
import { addRecordMetrics } from './record-metrics.ts';
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

function readSettings(): ControlSettings {
  return {
    heartbeatSeconds: positiveNumber('POP_HEARTBEAT_SECONDS', 60),
    cancelSeconds: positiveNumber('POP_CANCEL_SECONDS', 120),
    quietSeconds: positiveNumber('POP_QUIET_SECONDS', 60),
    sweepSeconds: positiveNumber('POP_SWEEP_SECONDS', 5),
    admissionsDays: positiveNumber('POP_ADMISSIONS_DAYS', 30, 1),
  };
}

/** Resolves after an orderly end. */
export async function runControl(makers: ControlMakers = {}): Promise<void> {
  const log = createLog('control');
  installTemporalRuntime(log);
  const settings = readSettings();
  const temporal = temporalSettings();
  const shutdown = untilShutdown(log);
  const metricsHost = process.env.POP_METRICS_HOST || '127.0.0.1';
  // None unless it is set: whoever connects there sees the names of customers.
  const metricsPort = (process.env.POP_METRICS_PORT ?? '') === '' ? undefined : wholeNumber('POP_METRICS_PORT', 0);
  const [codePath, connection] = await Promise.all([
    workflowBundle((message) => log.info(message)),
    connectPatiently((options) => NativeConnection.connect(options), temporal, log, shutdown.signal).catch(
      (error: unknown) => {
        if (!shutdown.signal.aborted) throw error;
      },
    ),
  ]);
  // Asked to end before Temporal ever answered: nothing was begun.
  if (connection === undefined) return;
  const connect = makers.openDatabase ?? openDatabase;
  await using database = connect(required('DATABASE_URL'), { applicationName: 'pop-control', connections: 20 });
  await waitForSchema(database, log, shutdown.signal);
  if (shutdown.signal.aborted) return connection.close();
  await using client = (makers.temporalClient ?? lazyTemporalClient)(temporal);
  await enterNamespace({ database, client, log });
  await ensureSearchAttributes(client, temporal.namespace, log);

  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  addRecordMetrics(registry, database, { log, mostCustomers: wholeNumber('POP_METRICS_CUSTOMERS', 20) });
  const metrics = addControlMetrics(registry);
  await using _served =
    metricsPort === undefined ? undefined : await serveMetrics(registry, { host: metricsHost, port: metricsPort, log });

  const wake = (ids: readonly string[]) => {
    metrics.wakes(ids.length);
    void wakeInsights({ database, client, log }, ids);
  };
  const parts: ControlParts = { database, client, log, settings, metrics, wake };
  const activities = { ...(makers.activities ?? controlActivities)(parts) };
  const common = {
    connection,
    namespace: temporal.namespace,
    workflowBundle: { codePath },
    activities,
    shutdownGraceTime: '5 s',
    shutdownForceTime: '20 s',
    ...makers.workerOptions,
  } as const;
  const workers = await Promise.all([
    Worker.create({ ...common, ...controlWorkerOptions, taskQueue: client.names.controlQueue }),
    Worker.create({ ...common, ...admissionWorkerOptions, taskQueue: client.names.admissionQueue }),
  ]);

  const shutDown = () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  shutdown.signal.addEventListener('abort', shutDown);
  const sweeping = runSweeper(parts, shutdown.signal);
  // Rejects when it may not go on; that is said to the caller once all has ended in order.
  const keeping = keepNamespace(parts, shutdown.signal);
  keeping.catch(() => shutdown.begin('the namespace belongs to another installation'));
  const running = Promise.all(workers.map((worker) => worker.run()));
  // Asked to end while they were being made.
  if (shutdown.signal.aborted) shutDown();
  log.info({ queues: [client.names.controlQueue, client.names.admissionQueue] }, 'control worker ready');
  await running.finally(() => shutdown.begin('a worker ended'));
  await sweeping;
  await connection.close();
  await keeping;
}
