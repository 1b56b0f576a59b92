/**
 * Passes on what handlers report by themselves, where their Pods reach the pool worker and not the api: a report with
 * the token of its launch, as it is, and nothing else. The worker's own key is never part of it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { listen } from '../process/listen.ts';

/** Where it listens, and whom it asks. */
export interface RelayOptions {
  readonly host: string;
  readonly port: number;
  /** The api's base with its path, such as `http://127.0.0.1:8080/v1`. */
  readonly url: string;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
}

/** A relay that listens. */
export type Relay = AsyncDisposable & { readonly port: number };

const relayed = /\/resourcepool\/service\/(reportProgress|finishOperation)$/;
const launchToken = /^Bearer popl_[A-Za-z0-9_.-]{1,1000}$/;
/** A report is of one launch: its result, diagnostics and progress. */
const mostBytes = 4 * 1024 * 1024;
const mostConnections = 200;
const requestMilliseconds = 30_000;

/** Serves until it is disposed of. */
export async function serveRelay({ host, port, url, log }: RelayOptions): Promise<Relay> {
  const base = url.replace(/\/+$/, '');
  const server = createServer((request, response) => {
    relay(request, base)
      .then(({ status, text, retryAfter }) => send(response, status, text, retryAfter))
      .catch((error: unknown) => {
        log.warn({ err: error }, 'a report of a handler could not be passed on; it tries again');
        send(response, 503, problem(503, 'apiAway', 'The api does not answer the pool worker; try again.'));
      });
  });
  // Each may bring a body of 4 MiB.
  server.maxConnections = mostConnections;
  const bound = await listen(server, { host, port, log });
  log.info({ host, port: bound, url }, 'relay of reports ready');
  return {
    port: bound,
    async [Symbol.asyncDispose]() {
      server.closeIdleConnections();
      const closed = new Promise((resolve) => server.close(resolve));
      setTimeout(() => server.closeAllConnections(), 2_000).unref();
      await closed;
    },
  };
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter?: string | undefined;
}

async function relay(request: IncomingMessage, base: string): Promise<Answer> {
  const which = relayed.exec(request.url ?? '')?.[1];
  if (request.method !== 'POST' || which === undefined)
    return refusal(404, 'notRelayed', 'Only reportProgress and finishOperation are passed on.');
  const { authorization = '', traceparent } = request.headers;
  if (!launchToken.test(authorization))
    return refusal(403, 'notLaunchToken', 'Only reports with the token of a launch (POP_TOKEN_FILE) are passed on.');
  const body = await read(request);
  if (body === undefined) return refusal(413, 'payloadTooLarge', `A report may have at most ${mostBytes} bytes.`);
  const answer = await fetch(`${base}/resourcepool/service/${which}`, {
    method: 'POST',
    headers: {
      authorization,
      'content-type': 'application/json',
      ...(typeof traceparent === 'string' && { traceparent }),
    },
    body,
    redirect: 'error',
    signal: AbortSignal.timeout(requestMilliseconds),
  });
  const retryAfter = answer.headers.get('retry-after') ?? undefined;
  return { status: answer.status, text: await answer.text(), retryAfter };
}

/** The body; undefined when it is too large. */
async function read(request: IncomingMessage): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > mostBytes) return undefined;
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

const problem = (status: number, code: string, detail: string): string => JSON.stringify({ status, code, detail });
const refusal = (status: number, code: string, detail: string): Answer => ({
  status,
  text: problem(status, code, detail),
});

function send(response: ServerResponse, status: number, text: string, retryAfter?: string): void {
  if (response.headersSent) return;
  const type = status < 400 ? 'application/json' : 'application/problem+json';
  // What is left of a refused body is not read.
  const headers = {
    'Content-Type': type,
    ...(retryAfter !== undefined && { 'Retry-After': retryAfter }),
    ...(status === 413 && { Connection: 'close' }),
  };
  response.writeHead(status, headers).end(text);
}
