/** How our HTTP servers begin. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';

/** Where it listens, and who is told what goes wrong later. */
export interface ListenOptions {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  readonly log: Pick<Logger, 'error'>;
}

/**
 * Resolves with the port once the server listens. What goes wrong with one connection after that, as when the process
 * has no file left for it, is logged and ends nothing. @throws when the address cannot be had
 */
export async function listen(server: Server, { host, port, log }: ListenOptions): Promise<number> {
  server.listen(port, host);
  await once(server, 'listening');
  server.on('error', (error) => log.error({ err: error }, 'a connection could not be taken'));
  return (server.address() as AddressInfo).port;
}

/** Where such a server is, for people and logs. */
export const urlOf = (host: string, port: number): string =>
  `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
