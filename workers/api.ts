/**
 * The api process: settings, migrations, HTTP. It starts and accepts Agendas without Temporal; it waits for Postgres.
 * On SIGTERM or SIGINT it says "not ready", stops accepting, finishes what runs and closes its pools.
 */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { createAdaptorServer } from '@hono/node-server';
import type { Logger } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { createApp } from '../api/app.ts';
import { authorizeByKey } from '../api/auth/api-keys.ts';
import { isDatabaseAway, openDatabase } from '../db/connect.ts';
import { migrateDatabase } from '../db/migrate.ts';
import { BackgroundWork } from '../process/background-work.ts';
import { positiveNumber, required, SettingError, wholeNumber } from '../process/environment.ts';
import { createLog } from '../process/log.ts';
import { untilShutdown } from '../process/shutdown.ts';
import { tellCancel } from '../temporal/agenda-workflows.ts';
import { lazyTemporalClient, type TemporalClient, temporalSettings, within } from '../temporal/connect.ts';
import { poolWorkerCounter } from '../temporal/count-pool-workers.ts';
import { NamespaceGate } from './namespace-guard.ts';
import { addRecordMetrics } from './record-metrics.ts';
import { waitForSchema } from './wait-for-schema.ts';
import { wakeInsights } from './wake-insights.ts';

/** Longest wait for requests that run when the process is told to go; long polls and slow clients are cut then. */
const graceMilliseconds = 10_000;
/** How long Temporal is tried after an answer went out; what does not get through by then is left to the sweep. */
const temporalMilliseconds = 2_000;

/** Says things to Temporal in the time there is for it, the question of the marker included. @throws as `say` */
const sayingWhereOurs =
  (gate: NamespaceGate, client: TemporalClient) =>
  (say: () => Promise<void>): Promise<void> =>
    within(client, temporalMilliseconds, async () => {
      if (await gate.isOpen()) await say();
    });

async function main(log: Logger): Promise<void> {
  const databaseUrl = required('DATABASE_URL');
  const hostname = process.env.HOST ?? '127.0.0.1';
  // 0 = any free port; the log says which.
  const port = process.env.PORT === '0' ? 0 : positiveNumber('PORT', 8080);
  const basePath = process.env.BASE_PATH ?? '/v1';
  const shutdown = untilShutdown(log);

  await migratePatiently(databaseUrl, log, shutdown.signal);
  if (shutdown.signal.aborted) return;
  await using database = openDatabase(databaseUrl, {
    applicationName: 'pop-api',
    connections: positiveNumber('POP_DATABASE_CONNECTIONS', 20),
  });
  // A newer release may have migrated it further than this one can work with.
  await waitForSchema(database, log, shutdown.signal);
  if (shutdown.signal.aborted) return;
  await using client = lazyTemporalClient(temporalSettings());
  const gate = new NamespaceGate({ database, client, log });
  await within(client, temporalMilliseconds, () => gate.refuseOthers());
  const whereOurs = sayingWhereOurs(gate, client);
  const background = new BackgroundWork();

  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  addRecordMetrics(registry, database, { log, mostCustomers: wholeNumber('POP_METRICS_CUSTOMERS', 20) });

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
    keyEnvironment: process.env.POP_KEY_ENVIRONMENT ?? 'live',
    draining: () => shutdown.signal.aborted,
    log,
    basePath,
  });

  // Longer than the idle time of usual load balancers, so that it is they who close idle connections.
  const server = createAdaptorServer({
    fetch: app.fetch,
    hostname,
    createServer,
    serverOptions: { keepAliveTimeout: 65_000 },
  }) as Server;
  const { port: listening } = await listen(server, port, hostname);
  log.info(
    { url: `http://${hostname.includes(':') ? `[${hostname}]` : hostname}:${listening}${basePath}` },
    'api ready',
  );

  await aborted(shutdown.signal);
  await closeServer(server);
  await background.done();
  log.info('api ended');
}

/** Migrates, waiting for a Postgres that is not there yet; gives up without a word when the process is told to go. */
async function migratePatiently(databaseUrl: string, log: Logger, signal: AbortSignal): Promise<void> {
  for (let tries = 0; !signal.aborted; tries += 1) {
    try {
      await migrateDatabase(databaseUrl);
      return;
    } catch (error) {
      if (!isDatabaseAway(error)) throw error;
      if (tries === 0) log.warn({ err: error }, 'Postgres does not answer yet; trying on');
      await Promise.race([delay(Math.min(200 * 2 ** tries, 5_000), undefined), aborted(signal)]);
    }
  }
}

function listen(server: Server, port: number, hostname: string): Promise<AddressInfo> {
  const { promise, resolve, reject } = Promise.withResolvers<AddressInfo>();
  server.once('error', reject);
  server.listen(port, hostname, () => {
    server.off('error', reject);
    resolve(server.address() as AddressInfo);
  });
  return promise;
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}

async function closeServer(server: Server): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.close((error) => (error === undefined ? resolve() : reject(error)));
  const cut = setTimeout(() => server.closeAllConnections(), graceMilliseconds);
  try {
    await promise;
  } finally {
    clearTimeout(cut);
  }
}

const log = createLog('api');
try {
  await main(log);
} catch (error) {
  if (error instanceof SettingError) log.fatal(error.message);
  else log.fatal({ err: error }, 'the api ended');
  process.exit(1);
}
