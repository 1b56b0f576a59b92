/**
 * The Kubernetes API with the ServiceAccount of the handler's Pod, by Node's own HTTP: a few endpoints need no client
 * library. The token is read for each request, since the kubelet replaces it.
 */
import { existsSync, readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { waitAfter } from '../backoff.ts';
import type { Fields } from '../fields.ts';
import { HandlerFailure } from '../handler-failure.ts';
import type { JsonObject } from '../types.ts';
import { serviceAccountFolder } from './service-account.ts';

/** Where the API is and how to speak to it. */
export interface KubernetesAccess {
  /** `https://10.0.0.1:443`; by `http` to a proxy such as `kubectl proxy`. */
  readonly url: string;
  readonly namespace: string;
  readonly certificateFile?: string | undefined;
  readonly tokenFile?: string | undefined;
}

/** One request. */
export interface KubernetesRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  readonly body?: JsonObject;
  readonly contentType?: string;
  /** How long it is tried again while the server cannot be reached or is busy; 30 when not given. */
  readonly retrySeconds?: number;
  readonly signal?: AbortSignal | undefined;
}

/** An answer of the API other than 2xx. */
export class KubernetesRefusal extends HandlerFailure {
  readonly status: number;
  readonly waitMilliseconds: number | undefined;
  constructor(asked: string, status: number, said: string, waitMilliseconds?: number) {
    super(`The Kubernetes API answers ${asked} with ${status}: ${said}`, { code: 'kubernetes', statusCode: status });
    this.name = 'KubernetesRefusal';
    this.status = status;
    this.waitMilliseconds = waitMilliseconds;
  }
}

const requestMilliseconds = 20_000;
const backoff = { firstMilliseconds: 250, mostMilliseconds: 5_000 };

/**
 * Access from inside a Pod, or from elsewhere by `-oauthCertPath`, `-oauthTokenPath` (variables `OATH_CERT`,
 * `OATH_TOKEN`) and `POP_KUBERNETES_URL`; undefined when nothing says where the API is.
 */
export function kubernetesAccess(fields: Fields): KubernetesAccess | undefined {
  const host = fields.environment('KUBERNETES_SERVICE_HOST');
  const port = fields.environment('KUBERNETES_SERVICE_PORT') ?? '443';
  const inside = host === undefined ? undefined : `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const url = fields.get('POP_KUBERNETES_URL') ?? inside;
  if (url === undefined) return undefined;
  const folder = fields.environment('POP_SERVICE_ACCOUNT_FOLDER') ?? serviceAccountFolder;
  const mounted = (name: string): string | undefined => {
    const path = join(folder, name);
    return existsSync(path) ? path : undefined;
  };
  const namespaceFile = mounted('namespace');
  return {
    url: url.replace(/\/$/, ''),
    namespace:
      fields.environment('MY_POD_NAMESPACE') ??
      (namespaceFile === undefined ? 'default' : readFileSync(namespaceFile, 'utf8').trim()),
    certificateFile: fields.argument('oauthCertPath') ?? fields.environment('OATH_CERT') ?? mounted('ca.crt'),
    tokenFile: fields.argument('oauthTokenPath') ?? fields.environment('OATH_TOKEN') ?? mounted('token'),
  };
}

/** Speaks to the API of one cluster. */
export class KubernetesClient {
  readonly #access: KubernetesAccess;

  constructor(access: KubernetesAccess) {
    this.#access = access;
  }

  get namespace(): string {
    return this.#access.namespace;
  }

  /** The answer as JSON. @throws KubernetesRefusal for an answer other than 2xx */
  async request(asked: KubernetesRequest): Promise<JsonObject> {
    const lastTime = Date.now() + (asked.retrySeconds ?? 30) * 1_000;
    for (let failures = 1; ; failures += 1) {
      try {
        const limit = AbortSignal.timeout(requestMilliseconds);
        const signal = asked.signal === undefined ? limit : AbortSignal.any([limit, asked.signal]);
        return JSON.parse(await textOf(await this.open({ ...asked, signal }))) as JsonObject;
      } catch (error) {
        asked.signal?.throwIfAborted();
        const isRefused = error instanceof KubernetesRefusal;
        if (isRefused && !(error.status === 429 || error.status >= 500)) throw error;
        const wait = (isRefused ? error.waitMilliseconds : undefined) ?? waitAfter(failures, backoff);
        if (Date.now() + wait > lastTime) throw isRefused ? error : unreachable(this.#access.url, error);
        await delay(wait, undefined, asked.signal === undefined ? {} : { signal: asked.signal }).catch(() => {});
        asked.signal?.throwIfAborted();
      }
    }
  }

  /** The answer as a stream, for watches and logs. @throws KubernetesRefusal for an answer other than 2xx */
  async open({ method, path, body, contentType, signal }: KubernetesRequest): Promise<IncomingMessage> {
    const { url, certificateFile, tokenFile } = this.#access;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const send = url.startsWith('https:') ? httpsRequest : httpRequest;
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = send(`${url}${path}`, {
        method,
        ...(certificateFile !== undefined && { ca: readFileSync(certificateFile) }),
        ...(signal !== undefined && { signal }),
        headers: {
          accept: 'application/json',
          ...(tokenFile !== undefined && { authorization: `Bearer ${readFileSync(tokenFile, 'utf8').trim()}` }),
          ...(text !== undefined && {
            'content-type': contentType ?? 'application/json',
            'content-length': Buffer.byteLength(text),
          }),
        },
      });
      request.on('response', resolve).on('error', reject).end(text);
    });
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    throw refusalOf(
      `${method} ${path.replace(/\?.*/, '')}`,
      status,
      response.headers['retry-after'],
      await textOf(response),
    );
  }
}

/** All of an answer. @throws when it is cut off */
export async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function refusalOf(asked: string, status: number, retryAfter: string | undefined, body: string): KubernetesRefusal {
  let said = body.slice(0, 500);
  try {
    said = (JSON.parse(body) as { message?: string }).message ?? said;
  } catch {
    // Not of the API but of something before it: its text says what.
  }
  const seconds = Number(retryAfter || Number.NaN);
  return new KubernetesRefusal(asked, status, said, Number.isFinite(seconds) ? seconds * 1_000 : undefined);
}

function unreachable(url: string, cause: unknown): HandlerFailure {
  const why = cause instanceof Error ? cause.message || cause.name : String(cause);
  return new HandlerFailure(`The Kubernetes API at ${url} cannot be reached: ${why}`, { code: 'kubernetes', cause });
}
