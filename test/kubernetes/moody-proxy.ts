/**
 * Stands before an apiserver as an overloaded one behaves: every so many requests it answers 429 with a time to wait,
 * 503, or breaks off without an answer. What it does not refuse it passes on.
 */

import { writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Duplex, pipeline } from 'node:stream';
import { type Authority, certificateAuthority } from '../support/certificates.ts';
import type { ClusterFacts } from './cluster/facts.ts';
import { kubeconfigText } from './cluster/keys.ts';

/** How a request is treated that is not passed on. */
export type Mood = 'throttle' | 'unavailable' | 'breakOff' | 'breakOffAfter';

/** A proxy that listens. */
export interface MoodyProxy extends AsyncDisposable {
  readonly url: string;
  /** Requests by what became of them. */
  readonly counts: Readonly<Record<Mood | 'passed', number>>;
  /** Ends all connections at once, watches too. */
  breakAll(): void;
  /** Writes a kubeconfig of whoever has the token; answers its path. */
  kubeconfigFor(token: string, path: string): Promise<string>;
}

/** What the proxy does. */
export interface MoodyOptions {
  readonly facts: Pick<ClusterFacts, 'url' | 'ca'>;
  /** Decides on the n-th request, from 1; undefined: it is passed on. */
  readonly moodOf?: (n: number, method: string, path: string) => Mood | undefined;
  /** A free one by default. */
  readonly port?: number;
  /** A new one by default. */
  readonly authority?: Authority;
}

/** Listens on this machine's loopback. */
export async function moodyProxy(options: MoodyOptions): Promise<MoodyProxy> {
  const { facts, moodOf = () => undefined, port = 0, authority = certificateAuthority('moody') } = options;
  const counts = { passed: 0, throttle: 0, unavailable: 0, breakOff: 0, breakOffAfter: 0 };
  const sockets = new Set<Duplex>();
  let n = 0;
  const { certificate: cert, key } = authority.issue('apiserver', { addresses: ['127.0.0.1'] });
  const server = createServer({ cert, key }, (incoming, answer) => {
    n += 1;
    const { method = 'GET', url = '/', headers } = incoming;
    const mood = moodOf(n, method, url);
    counts[mood ?? 'passed'] += 1;
    if (mood === 'breakOff') return void incoming.socket.destroy();
    if (mood === 'throttle') return refuse(answer, 429, 'TooManyRequests', { 'retry-after': '1' });
    if (mood === 'unavailable') return refuse(answer, 503, 'ServiceUnavailable');
    const onward = request(new URL(url, facts.url), { method, headers, ca: facts.ca }, (answered) => {
      // The request was done; its answer is lost on the way.
      if (mood === 'breakOffAfter') return void answered.resume().on('end', () => incoming.socket.destroy());
      answer.writeHead(answered.statusCode ?? 502, answered.headers);
      pipeline(answered, answer, () => undefined);
    });
    onward.on('error', () => incoming.socket.destroy());
    answer.on('close', () => onward.destroy());
    incoming.pipe(onward);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const breakAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url,
    counts,
    breakAll,
    async kubeconfigFor(token, path) {
      await writeFile(path, kubeconfigText(url, authority.certificate, token), { mode: 0o600 });
      return path;
    },
    [Symbol.asyncDispose]: () => closed(server, breakAll),
  };
}

function refuse(answer: ServerResponse, code: number, reason: string, headers: Record<string, string> = {}): void {
  const status = {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    message: `The test says ${code}.`,
    reason,
    code,
  };
  answer.writeHead(code, { 'content-type': 'application/json', ...headers });
  answer.end(JSON.stringify(status));
}

async function closed(server: Server, breakAll: () => void): Promise<void> {
  const closing = new Promise<void>((resolve) => server.close(() => resolve()));
  breakAll();
  await closing;
}
