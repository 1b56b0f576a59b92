/**
 * The first thing a pool worker does: ask the api which installation it is, and whether its key is for the pool it is
 * to serve. A worker that polled for work and only then learned that it is in the wrong place would have taken that
 * work.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { installationHeader, poolHeader, resourcePoolProtocol } from '../../messages/resource-pool.ts';
import { SettingError } from '../../process/environment.ts';
import { errorOf, ServiceRefused } from './service-errors.ts';

/** What a pool worker is set to. */
export interface PoolCredentials {
  /** The api's base with its path, such as `http://127.0.0.1:8080/v1`. */
  readonly url: string;
  /** A key with the scope `pool:<id>`. */
  readonly apiKey: string;
  readonly resourcePoolId: string;
}

/** The api refuses the key, or the key is for another pool. */
export class RefusedPoolError extends SettingError {
  constructor({ url, resourcePoolId }: PoolCredentials, refusal: ServiceRefused) {
    super(
      `The api at ${url} refuses this pool worker of "${resourcePoolId}" (POP_URL, POP_API_KEY, POP_POOL_ID): ` +
        `${refusal.message} (${refusal.code})` +
        (refusal.code === 'notFound' ? '; POP_URL ends in the base path of the api, as in https://pop.example/v1' : ''),
    );
    this.name = 'RefusedPoolError';
  }
}

const requestMilliseconds = 30_000;
const longestWaitMilliseconds = 5_000;

/** What every request of a pool worker carries. */
export const pairingHeadersOf = (
  { apiKey, resourcePoolId }: PoolCredentials,
  installationId: string,
): Readonly<Record<string, string>> => ({
  authorization: `Bearer ${apiKey}`,
  // Headers hold ASCII only.
  [poolHeader]: encodeURIComponent(resourcePoolId),
  [installationHeader]: installationId,
});

/**
 * Resolves with the installation's id once the api has taken this worker; waits for an api that is away or too old, and
 * says so. @throws RefusedPoolError; the signal's reason once it aborts
 */
export async function joinInstallation(
  credentials: PoolCredentials,
  log: Pick<Logger, 'warn' | 'info'>,
  signal: AbortSignal,
): Promise<string> {
  let told = '';
  for (let tries = 0; ; tries++) {
    signal.throwIfAborted();
    const answer = await ask(credentials, signal);
    if ('installationId' in answer) {
      if (told !== '') log.info({ url: credentials.url }, 'the api takes this pool worker');
      return answer.installationId;
    }
    if (answer.wait !== told) log.warn({ url: credentials.url }, answer.wait);
    told = answer.wait;
    await delay(Math.min(100 * 2 ** Math.min(tries, 10), longestWaitMilliseconds), undefined, { signal });
  }
}

type Joined = { readonly installationId: string } | { readonly wait: string };

async function ask(credentials: PoolCredentials, signal: AbortSignal): Promise<Joined> {
  const base = credentials.url.replace(/\/+$/, '');
  try {
    const { resourcePoolProtocol: spoken = 0, installationId } = (await get(`${base}/version`, {}, signal)) as Version;
    if (spoken < resourcePoolProtocol)
      return {
        wait:
          'the api is too old for this pool worker: upgrade the api first ' +
          `(it speaks version ${spoken} of the ResourcePool service, this worker needs ${resourcePoolProtocol})`,
      };
    if (installationId === undefined) return { wait: 'the api cannot reach its database yet; trying on' };
    await get(`${base}/resourcepool/service/pool`, pairingHeadersOf(credentials, installationId), signal);
    return { installationId };
  } catch (error) {
    if (error instanceof ServiceRefused) throw new RefusedPoolError(credentials, error);
    if (signal.aborted) throw error;
    return { wait: `the api does not answer yet; trying on (${messageOf(error)})` };
  }
}

/** Of `/version`; what an older api does not tell is absent. */
interface Version {
  readonly resourcePoolProtocol?: number;
  readonly installationId?: string;
}

/** @throws ServiceUnavailable | ServiceRefused, or what fetch throws */
async function get(url: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<unknown> {
  const response = await fetch(url, {
    headers,
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(requestMilliseconds)]),
  });
  const body = await response.text();
  if (!response.ok) throw errorOf(response, body);
  return JSON.parse(body);
}

/** `fetch failed` says nothing; its cause does. */
function messageOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}
