/** Connections to Temporal, as every process of ours makes them. */
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection, defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import type { Logger } from 'pino';
import { installationName, readAll, SettingError } from '../process/environment.ts';
import { patiently } from '../process/patiently.ts';
import { type Names, namesOf } from '../workflows/names.ts';
import { type ConnectionSecurity, connectionSecurity } from './connection-security.ts';

/**
 * The Temporal client of one of our processes, and the names it goes by. Only this room calls it; others hand it on.
 */
export type TemporalClient = Client & { readonly names: Names };

/** Where Temporal is, how it is spoken to, and what is ours there. */
export interface TemporalSettings extends ConnectionSecurity {
  readonly address: string;
  readonly namespace: string;
  readonly names: Names;
}

/** `POP_INSTALLATION` and what begins with `TEMPORAL_`. @throws WrongSettingError */
export function temporalSettings(environment: NodeJS.ProcessEnv = process.env): TemporalSettings {
  const address = environment.TEMPORAL_ADDRESS || '127.0.0.1:7233';
  const { names, security } = readAll({
    names: () => namesOf(installationName(environment.POP_INSTALLATION)),
    security: () => connectionSecurity(environment, address),
  });
  return { address, namespace: environment.TEMPORAL_NAMESPACE || 'default', names, ...security };
}

/** What the libraries connect with. */
const connectionOf = ({ address, tls, apiKey }: TemporalSettings) => ({
  address,
  // Said in any case: a library may turn it on by itself where there is a key.
  tls: tls ?? false,
  ...(apiKey === undefined ? {} : { apiKey }),
});

/** What `connectPatiently` hands to whoever connects. */
export type ConnectionOptions = ReturnType<typeof connectionOf>;

/** Temporal does not take this program: its key, or its certificate. */
export class RefusedByTemporalError extends SettingError {
  constructor(address: string, said: string) {
    super(`Temporal at ${address} refuses this program (TEMPORAL_API_KEY, TEMPORAL_TLS_CERT): ${said}`);
    this.name = 'RefusedByTemporalError';
  }
}

/** A client that connects when first used and again by itself, so that a process starts without Temporal. */
export function lazyTemporalClient(settings: TemporalSettings): TemporalClient & AsyncDisposable {
  const { namespace, names } = settings;
  const { interceptor, settled } = endingRetries();
  const connection = Connection.lazy({ ...connectionOf(settings), interceptors: [interceptor] });
  return Object.assign(new Client({ connection, namespace }), {
    names,
    [Symbol.asyncDispose]: async () => {
      await settled();
      await connection.close();
    },
  });
}

/**
 * The library's retries, which end before their connection does: one that comes due on a closed connection throws where
 * nobody catches it, and takes the process with it.
 */
function endingRetries() {
  const usual = defaultGrpcRetryOptions();
  let isEnding = false;
  let dueTime = 0;
  return {
    interceptor: makeGrpcRetryInterceptor({
      delayFunction: (attempt, status) => {
        const milliseconds = usual.delayFunction(attempt, status);
        dueTime = Math.max(dueTime, performance.now() + milliseconds);
        return milliseconds;
      },
      retryableDecider: (attempt, status) => !isEnding && usual.retryableDecider(attempt, status),
    }),
    /** Resolves when none is to come any more; the longest wait of the library is some 5 s. */
    settled: async () => {
      isEnding = true;
      const left = dueTime - performance.now();
      if (left > 0) await delay(left + 10);
    },
  };
}

/** A client on a connection that a Worker has, too. */
export function clientOn(connection: NativeConnection, { namespace, names }: TemporalSettings): TemporalClient {
  return Object.assign(new Client({ connection, namespace }), { names });
}

/** Does `work` with this client; its requests to Temporal fail when they take longer in all. */
export function within(client: TemporalClient, milliseconds: number, work: () => Promise<void>): Promise<void> {
  return client.withDeadline(Date.now() + milliseconds, work);
}

/** Tries until Temporal answers or the signal aborts; says so once. @throws RefusedByTemporalError */
export async function connectPatiently<C>(
  connect: (options: ConnectionOptions) => Promise<C>,
  settings: TemporalSettings,
  log: Logger,
  signal: AbortSignal,
): Promise<C> {
  const { address } = settings;
  return patiently(
    () => connect(connectionOf(settings)),
    signal,
    (error, isFirst) => {
      const refusal = refusalIn(error);
      if (refusal !== undefined) throw new RefusedByTemporalError(address, refusal);
      if (isFirst) log.warn({ err: error, address }, 'Temporal does not answer yet; trying on');
    },
  );
}

/** As the native library tells the two statuses of gRPC, UNAUTHENTICATED and PERMISSION_DENIED. */
const refusals =
  /code: 'The (?:request does not have valid authentication|caller does not have permission)[^']*', (.*)/s;

/** What Temporal said, when it knows who asks and will not have it; a wait does not change that. */
function refusalIn(error: unknown): string | undefined {
  const said = error instanceof Error ? refusals.exec(error.message)?.[1] : undefined;
  return said?.replace(/^message: "(.*)"$/s, '$1');
}
