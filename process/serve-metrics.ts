/** An HTTP server for the metrics of a process that has no other. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';

/** Whatever can tell its metrics in the text format of Prometheus. */
export interface Metrics {
  metrics(): Promise<string>;
  readonly contentType: string;
}

/** Serves `/metrics` to whoever can connect: to be bound to an address that only the collector reaches. */
export async function serveMetrics(
  registry: Metrics,
  { host, port, log }: { host: string; port: number; log: Pick<Logger, 'info' | 'error'> },
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
      (error: unknown) => {
        log.error({ err: error }, 'metrics could not be told');
        response.writeHead(500).end();
      },
    );
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, host, resolve);
  await promise;
  const { port: listening } = server.address() as AddressInfo;
  log.info({ url: `http://${host}:${listening}/metrics` }, 'metrics ready');
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
