/** An HTTP server for the metrics and the probes of a process. */
import { createServer, type ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { port as portSetting, readAll } from './environment.ts';
import type { Health, ProbeAnswer } from './health.ts';
import { listen, urlOf } from './listen.ts';

/** Whatever can tell its metrics in the text format of Prometheus. */
export interface Metrics {
  metrics(): Promise<string>;
  readonly contentType: string;
}

/** Where it listens. */
export interface ServeOptions {
  readonly host: string;
  readonly port: number;
  readonly log: Pick<Logger, 'info' | 'error'>;
}

/** A server that listens. */
export type Served = AsyncDisposable & { readonly port: number };

type Answer = (response: ServerResponse) => void;

/**
 * Serves `/metrics`, and the probes too where there is a health, to whoever can connect: to be bound to an address that
 * only the collector reaches.
 */
export function serveMetrics(registry: Metrics, options: ServeOptions & { readonly health?: Health }): Promise<Served> {
  const { health, log } = options;
  const metrics: Answer = (response) =>
    void registry.metrics().then(
      (text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
      (error: unknown) => {
        log.error({ err: error }, 'metrics could not be told');
        response.writeHead(500).end();
      },
    );
  const paths = { '/metrics': metrics, ...(health === undefined ? {} : probesOf(health)) };
  return serve(paths, options, '/metrics', 'metrics ready');
}

/** Serves `/livez` and `/readyz`, which tell nothing of what the process works on. */
export function serveHealth(health: Health, options: ServeOptions): Promise<Served> {
  return serve(probesOf(health), options, '/readyz', 'probes ready');
}

/** Where a process serves its probes and its metrics; undefined where it does not. */
export interface StatusSettings {
  readonly healthHost: string;
  readonly healthPort: number | undefined;
  readonly metricsHost: string;
  readonly metricsPort: number | undefined;
}

/** `POP_HEALTH_PORT` and `POP_METRICS_PORT`, each with its host. Without a port it is not served. */
export function statusSettings(): StatusSettings {
  return readAll<StatusSettings>({
    healthHost: () => process.env.POP_HEALTH_HOST || '127.0.0.1',
    healthPort: () => portSetting('POP_HEALTH_PORT'),
    metricsHost: () => process.env.POP_METRICS_HOST || '127.0.0.1',
    // None unless it is set: whoever connects there sees the names of customers.
    metricsPort: () => portSetting('POP_METRICS_PORT'),
  });
}

/** Serves what is set; without `registry` no metrics. */
export async function serveStatus(
  { healthHost, healthPort, metricsHost, metricsPort }: StatusSettings,
  { health, registry, log }: { health: Health; registry?: Metrics; log: ServeOptions['log'] },
): Promise<AsyncDisposable> {
  const served: Served[] = [];
  const close = async () => void (await Promise.all(served.map((one) => one[Symbol.asyncDispose]())));
  try {
    if (healthPort !== undefined) served.push(await serveHealth(health, { host: healthHost, port: healthPort, log }));
    if (registry !== undefined && metricsPort !== undefined)
      served.push(await serveMetrics(registry, { host: metricsHost, port: metricsPort, log, health }));
  } catch (error) {
    await close();
    throw error;
  }
  return { [Symbol.asyncDispose]: close };
}

function probesOf(health: Health): Readonly<Record<string, Answer>> {
  const tell =
    (ask: () => ProbeAnswer): Answer =>
    (response) => {
      const { status, body } = ask();
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    };
  return { '/livez': tell(() => health.livez()), '/readyz': tell(() => health.readyz()) };
}

async function serve(
  paths: Readonly<Record<string, Answer>>,
  { host, port, log }: ServeOptions,
  path: string,
  ready: string,
): Promise<Served> {
  const server = createServer((request, response) => {
    const asked = request.url?.split('?')[0] ?? '';
    const answer = request.method === 'GET' && Object.hasOwn(paths, asked) ? paths[asked] : undefined;
    if (answer === undefined) response.writeHead(404).end();
    else answer(response);
  });
  const listening = await listen(server, { host, port, log });
  log.info({ url: `${urlOf(host, listening)}${path}` }, ready);
  return {
    port: listening,
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
}
