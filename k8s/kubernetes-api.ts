/**
 * Asks an API server. The client library knows kubeconfigs, credentials and their renewal; requests are plain JSON, for
 * its generated methods turn times into Dates where its watches do not, and keep headers and streams to themselves.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type HttpMethod, type KubeConfig, RequestContext } from '@kubernetes/client-node';
import { type Dispatcher, fetch, type RequestInit, type Response } from 'undici';
import { ApiError, apiErrorOf } from './api-errors.ts';

/** One request. */
export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Such as `/api/v1/namespaces/default/pods`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  /** Of a PATCH; a merge patch when it is not said. */
  readonly patch?: 'merge' | 'strategic-merge';
  readonly signal?: AbortSignal;
}

const mostTries = 4;
const firstRestMilliseconds = 200;
const longestRestMilliseconds = 5_000;
const requestMilliseconds = 30_000;
const streamMilliseconds = 120_000;
/** The library makes a new pool of connections for each request, which would mean a new one of TLS each time. */
const dispatcherMilliseconds = 300_000;

/** An API server, with the credentials of a kubeconfig. */
export class KubernetesApi {
  readonly config: KubeConfig;
  /** Where the server is, for messages. */
  readonly server: string;
  #aheadMilliseconds = 0;
  #dispatcher: { readonly kept: Dispatcher; readonly untilTime: number } | undefined;

  /** @throws when the kubeconfig names no cluster */
  constructor(config: KubeConfig) {
    const cluster = config.getCurrentCluster();
    if (cluster === null) throw new Error('The kubeconfig names no current cluster.');
    this.config = config;
    this.server = cluster.server.replace(/\/+$/, '');
  }

  /**
   * The server's time in epoch milliseconds, within a second of its last answer's: stamps of Pods are compared with it,
   * for the clock of this host may be another.
   */
  now(): number {
    return Date.now() + this.#aheadMilliseconds;
  }

  /**
   * Resolves with the answer's JSON. What the server could not take just now (throttled, overloaded, away) is asked
   * again a few times, after as long as it says.
   * @throws ApiError; the signal's reason once it aborts
   */
  async ask<T>(request: ApiRequest): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        const response = await this.#once(request);
        return (await response.json()) as T;
      } catch (error) {
        request.signal?.throwIfAborted();
        const failure = apiErrorOf(error, this.server);
        // A request that was not answered may have been done: its caller copes with "exists already" and "not found".
        if (!failure.isPassing || tries === mostTries) throw failure;
        await rest(failure, tries, request.signal);
      }
    }
  }

  /** The answer as a stream of bytes, asked for once. @throws ApiError */
  async *stream(request: ApiRequest): AsyncGenerator<Uint8Array> {
    try {
      const { body } = await this.#once(request, streamMilliseconds);
      if (body !== null) for await (const chunk of body) yield chunk as Uint8Array;
    } catch (error) {
      request.signal?.throwIfAborted();
      throw apiErrorOf(error, this.server);
    }
  }

  async #once(request: ApiRequest, milliseconds = requestMilliseconds): Promise<Response> {
    const { method = 'GET', path, query = {}, body, patch = 'merge', signal } = request;
    const url = new URL(this.server + path);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, `${value}`);
    const context = new RequestContext(url.toString(), method as HttpMethod);
    await this.config.applySecurityAuthentication(context);
    const dispatcher = this.#keptDispatcher(context.getDispatcher());
    const limit = AbortSignal.timeout(milliseconds);
    const init: RequestInit = {
      method,
      headers: {
        ...context.getHeaders(),
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': typeOf(method, patch) }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(dispatcher !== undefined && { dispatcher }),
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    };
    const response = await fetch(url, init);
    this.#setClock(response.headers.get('date'));
    if (!response.ok) throw await ApiError.of(response);
    return response;
  }

  /** It tells whole seconds, so a difference within one is none. */
  #setClock(date: string | null): void {
    const ahead = Date.parse(date ?? '') + 500 - Date.now();
    if (!Number.isNaN(ahead)) this.#aheadMilliseconds = Math.abs(ahead) <= 1_000 ? 0 : ahead;
  }

  /** The pool of connections in use, replaced now and then by a new one, whose certificates may be renewed ones. */
  #keptDispatcher(made: Dispatcher | undefined): Dispatcher | undefined {
    const now = performance.now();
    if (this.#dispatcher !== undefined && now < this.#dispatcher.untilTime) return this.#dispatcher.kept;
    // It closes once what it carries is answered.
    void this.#dispatcher?.kept.close();
    this.#dispatcher = made === undefined ? undefined : { kept: made, untilTime: now + dispatcherMilliseconds };
    return made;
  }
}

const typeOf = (method: string, patch: string): string =>
  method === 'PATCH' ? `application/${patch}-patch+json` : 'application/json';

async function rest({ retryAfterSeconds }: ApiError, tries: number, signal: AbortSignal | undefined): Promise<void> {
  const own = Math.min(longestRestMilliseconds, firstRestMilliseconds * 4 ** (tries - 1)) * (0.5 + Math.random());
  const asked = Math.min((retryAfterSeconds ?? 0) * 1_000, longestRestMilliseconds);
  await delay(Math.max(own, asked), undefined, signal === undefined ? {} : { signal });
}
