/**
 * The api: settings, migrations, HTTP. It starts and accepts Agendas without Temporal; it waits for Postgres.
 * On SIGTERM or SIGINT it says "not ready", stops accepting, answers those who wait for an Agenda at once, finishes
 * what else runs, for `POP_DRAIN_SECONDS` at most, and closes its pools.
 */
import { createServer, type Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import type { Logger } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { createApp } from '../api/app.ts';
import { authorizeByKey } from '../api/auth/api-keys.ts';
import { isDatabaseAway, openDatabase } from '../db/connect.ts';
import { migrateDatabase } from '../db/migrate.ts';
import { aborted } from '../process/aborted.ts';
import { BackgroundWork } from '../process/background-work.ts';
import { databaseUrl, logLevel, optional, port, positiveNumber, readAll, wholeNumber } from '../process/environment.ts';
import { Health } from '../process/health.ts';
import { listen, urlOf } from '../process/listen.ts';
import { createLog } from '../process/log.ts';
import { patiently } from '../process/patiently.ts';
import { type StatusSettings, serveStatus, statusSettings } from '../process/serve-metrics.ts';
import { drainSeconds, untilShutdown } from '../process/shutdown.ts';
import { tellCancel } from '../temporal/agenda-workflows.ts';
import {
  lazyTemporalClient,
  type TemporalClient,
  type TemporalSettings,
  temporalSettings,
  within,
} from '../temporal/connect.ts';
import { poolWorkerCounter } from '../temporal/count-pool-workers.ts';
import { NamespaceGate } from './namespace-guard.ts';
import { addRecordMetrics } from './record-metrics.ts';
import { waitForSchema } from './wait-for-schema.ts';
import { wakeInsights } from './wake-insights.ts';

/** How long Temporal is tried after an answer went out; what does not get through by then is left to the sweep. */
const temporalMilliseconds = 2_000;

/** Says things to Temporal in the time there is for it, the question of the marker included. @throws as `say` */
const sayingWhereOurs =
  (gate: NamespaceGate, client: TemporalClient) =>
  (say: () => Promise<void>): Promise<void> =>
    within(client, temporalMilliseconds, async () => {
      if (await gate.isOpen()) await say();
    });

interface ApiSettings {
  readonly databaseUrl: string;
  readonly hostname: string;
  /** 0 = any free port; the log says which. */
  readonly port: number;
  readonly basePath: string;
  readonly connections: number;
  readonly mostCustomers: number;
  readonly keyEnvironment: string;
  readonly drainSeconds: number;
  readonly logLevel: string;
  readonly status: StatusSettings;
  readonly temporal: TemporalSettings;
}

const readSettings = (): ApiSettings =>
  readAll<ApiSettings>({
    databaseUrl,
    hostname: () => process.env.HOST ?? '127.0.0.1',
    port: () => port('PORT') ?? 8080,
    basePath: () => process.env.BASE_PATH ?? '/v1',
    connections: () => positiveNumber('POP_DATABASE_CONNECTIONS', 20),
    mostCustomers: () => wholeNumber('POP_METRICS_CUSTOMERS', 20),
    keyEnvironment: () => optional('POP_KEY_ENVIRONMENT') ?? 'live',
    drainSeconds,
    logLevel,
    status: statusSettings,
    temporal: temporalSettings,
  });

/** Resolves after an orderly end. @throws SettingError */
export async function runApi(): Promise<void> {
  const settings = readSettings();
  const log = createLog('api', settings.logLevel);
  const shutdown = untilShutdown(log, settings.drainSeconds);
  const health = new Health();
  shutdown.signal.addEventListener('abort', () => health.draining(shutdown.signal.reason.message));
  // Its metrics are behind a key at its own port.
  await using _status = await serveStatus(settings.status, { health, log });

  await health.during('Postgres', migratePatiently(settings.databaseUrl, log, shutdown.signal));
  if (shutdown.signal.aborted) return;
  await using database = openDatabase(settings.databaseUrl, {
    applicationName: 'pop-api',
    connections: settings.connections,
  });
  // A newer release may have migrated it further than this one can work with.
  await health.during('the schema of the database', waitForSchema(database, log, shutdown.signal));
  if (shutdown.signal.aborted) return;
  await using client = lazyTemporalClient(settings.temporal);
  const gate = new NamespaceGate({ database, client, log });
  await within(client, temporalMilliseconds, () => gate.refuseOthers());
  const whereOurs = sayingWhereOurs(gate, client);
  const background = new BackgroundWork();

  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  addRecordMetrics(registry, database, { log, mostCustomers: settings.mostCustomers });

  const app = createApp({
    database,
    registry,
    authorize: authorizeByKey(database),
    wake: (insightIds) => background.add(whereOurs(() => wakeInsights({ database, client, log }, insightIds))),
    tellCancel: (agendaId) =>
      background.add(
        whereOurs(() => tellCancel(client, agendaId)).catch((error: unknown) =>
          log.warn({ err: error, agendaId }, 'cancel was not delivered; the sweep will repeat it'),
        ),
      ),
    countPoolWorkers: poolWorkerCounter(client, log),
    keyEnvironment: settings.keyEnvironment,
    drain: shutdown.signal,
    log,
    basePath: settings.basePath,
  });

  const { hostname, basePath } = settings;
  // Longer than the idle time of usual load balancers, so that it is they who close idle connections.
  const server = createAdaptorServer({
    fetch: app.fetch,
    hostname,
    createServer,
    serverOptions: { keepAliveTimeout: 65_000 },
  }) as Server;
  const listening = await listen(server, { host: hostname, port: settings.port, log });
  health.ready();
  log.info({ url: `${urlOf(hostname, listening)}${basePath}` }, 'api ready');

  await aborted(shutdown.signal);
  await closeServer(server, settings.drainSeconds * 1_000);
  await background.done();
  log.info('api ended');
}

/** Migrates, waiting for a Postgres that is not there yet; gives up without a word when the process is told to go. */
async function migratePatiently(databaseUrl: string, log: Logger, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const migrating = patiently(
    () => migrateDatabase(databaseUrl),
    signal,
    (error, isFirst) => {
      if (!isDatabaseAway(error)) throw error;
      if (isFirst) log.warn({ err: error }, 'Postgres does not answer yet; trying on');
    },
  );
  await migrating.catch((error: unknown) => {
    if (error !== signal.reason) throw error;
  });
}

/** Requests that run have so long; slow clients are cut then. */
async function closeServer(server: Server, graceMilliseconds: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.close((error) => (error === undefined ? resolve() : reject(error)));
  const cut = setTimeout(() => server.closeAllConnections(), graceMilliseconds);
  try {
    await promise;
  } finally {
    clearTimeout(cut);
  }
}
