/** Connections to Temporal, as every process of ours makes them. */
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import type { Logger } from 'pino';
import { installationName } from '../process/environment.ts';
import { type Names, namesOf } from '../workflows/names.ts';

/**
 * The Temporal client of one of our processes, and the names it goes by. Only this room calls it; others hand it on.
 */
export type TemporalClient = Client & { readonly names: Names };

/** Where Temporal is, and what is ours there. */
export interface TemporalSettings {
  readonly address: string;
  readonly namespace: string;
  readonly names: Names;
}

/** `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE` and `POP_INSTALLATION`. */
export function temporalSettings(environment: NodeJS.ProcessEnv = process.env): TemporalSettings {
  return {
    address: environment.TEMPORAL_ADDRESS ?? '127.0.0.1:7233',
    namespace: environment.TEMPORAL_NAMESPACE ?? 'default',
    names: namesOf(installationName(environment.POP_INSTALLATION)),
  };
}

/** A client that connects when first used and again by itself, so that a process starts without Temporal. */
export function lazyTemporalClient({ address, namespace, names }: TemporalSettings): TemporalClient & AsyncDisposable {
  const connection = Connection.lazy({ address });
  return Object.assign(new Client({ connection, namespace }), {
    names,
    [Symbol.asyncDispose]: async () => connection.close(),
  });
}

/** A client on a connection that a Worker has, too. */
export function clientOn(connection: NativeConnection, { namespace, names }: TemporalSettings): TemporalClient {
  return Object.assign(new Client({ connection, namespace }), { names });
}

/** Does `work` with this client; its requests to Temporal fail when they take longer in all. */
export function within(client: TemporalClient, milliseconds: number, work: () => Promise<void>): Promise<void> {
  return client.withDeadline(Date.now() + milliseconds, work);
}

/** Tries until Temporal answers or the signal aborts; says so once. */
export async function connectPatiently<C>(
  connect: (options: { address: string }) => Promise<C>,
  { address }: TemporalSettings,
  log: Logger,
  signal: AbortSignal,
): Promise<C> {
  for (let tries = 0; ; tries++) {
    try {
      return await connect({ address });
    } catch (error) {
      if (tries === 0) log.warn({ err: error, address }, 'Temporal does not answer yet; trying on');
      await delay(Math.min(200 * 2 ** tries, 5_000), undefined, { signal });
    }
  }
}
