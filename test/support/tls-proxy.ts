/**
 * Stands before a Temporal server as a cloud's front door does: TLS, a client's certificate where one is wanted, and a
 * key in each request where one is wanted. gRPC is HTTP/2, and passes through.
 */
import { once } from 'node:events';
import {
  connect,
  constants,
  createSecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Certificate } from './certificates.ts';

/** What it asks of clients. */
export interface TlsProxyOptions {
  /** `host:port` of the server behind it, without TLS. */
  readonly target: string;
  readonly certificate: Certificate;
  /** Clients show a certificate of this authority. */
  readonly clientAuthority?: string;
  /** Requests carry it as bearer token. */
  readonly apiKey?: string;
}

/** A proxy that listens. */
export interface TlsProxy extends AsyncDisposable {
  readonly port: number;
  /** Requests that were passed on. */
  readonly passed: number;
  /** The newest name that a client said it connects to. */
  readonly serverName: string | undefined;
}

/** Listens on a free port of this machine. */
export async function tlsProxy({ target, certificate, clientAuthority, apiKey }: TlsProxyOptions): Promise<TlsProxy> {
  const seen: { passed: number; serverName?: string } = { passed: 0 };
  const behind = connect(`http://${target}`);
  // What was under way is broken off with its stream.
  behind.on('error', () => undefined);
  const sessions = new Set<ServerHttp2Session>();
  const server = createSecureServer({
    cert: certificate.certificate,
    key: certificate.key,
    ...(clientAuthority === undefined ? {} : { ca: clientAuthority, requestCert: true, rejectUnauthorized: true }),
  });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
    session.once('close', () => sessions.delete(session));
    const { servername } = session.socket as { servername?: string | false };
    if (typeof servername === 'string') seen.serverName = servername;
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    if (apiKey !== undefined && headers.authorization !== `Bearer ${apiKey}`) return refuse(stream);
    seen.passed += 1;
    pass(stream, headers, behind);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get passed() {
      return seen.passed;
    },
    get serverName() {
      return seen.serverName;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const session of sessions) session.destroy();
      behind.destroy();
      await closed;
    },
  };
}

/** As Temporal Cloud answers a key that it does not know. */
function refuse(stream: ServerHttp2Stream): void {
  const headers = { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '16' };
  stream.respond({ ...headers, 'grpc-message': 'Request unauthorized.' }, { endStream: true });
}

function pass(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, behind: ReturnType<typeof connect>): void {
  const request = behind.request({ ...headers, ':scheme': 'http' });
  let trailers: IncomingHttpHeaders = {};
  request.on('error', () => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
  request.on('trailers', (given) => {
    trailers = given;
  });
  request.on('response', (answer, flags) => {
    if (stream.destroyed) return;
    const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    stream.respond(answer, endStream ? { endStream } : { waitForTrailers: true });
    if (!endStream) request.pipe(stream);
  });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.on('close', () => request.close());
  stream.pipe(request);
}
