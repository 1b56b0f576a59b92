/** The connection to Temporal that the api and the control worker share the making of. */
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import type { Log } from '../workers/log.ts';

export interface TemporalSettings {
  readonly address: string;
  readonly namespace: string;
}

export function temporalSettings(environment: NodeJS.ProcessEnv = process.env): TemporalSettings {
  return {
    address: environment.TEMPORAL_ADDRESS ?? '127.0.0.1:7233',
    namespace: environment.TEMPORAL_NAMESPACE ?? 'default',
  };
}

/** A client that connects when first used and again by itself, so that a process starts without Temporal. */
export function lazyTemporalClient({ address, namespace }: TemporalSettings): Client & AsyncDisposable {
  const connection = Connection.lazy({ address });
  return Object.assign(new Client({ connection, namespace }), {
    [Symbol.asyncDispose]: async () => connection.close(),
  });
}

/** Tries until Temporal answers or the signal aborts; says so once. */
export async function connectPatiently<C>(
  connect: (options: { address: string }) => Promise<C>,
  { address }: TemporalSettings,
  log: Log,
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
