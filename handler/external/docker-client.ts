/** A Docker-compatible engine by its socket: the few requests that a tool needs, by Node's own HTTP. */
import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import type { Fields } from '../fields.ts';
import { HandlerFailure } from '../handler-failure.ts';
import { textOf } from '../kubernetes/client.ts';
import type { JsonObject } from '../types.ts';

/** An answer of the engine other than 2xx, or none. */
export class DockerRefusal extends HandlerFailure {
  readonly status: number;
  constructor(message: string, status: number, cause?: unknown) {
    super(message, {
      code: 'docker',
      ...(status > 0 && { statusCode: status }),
      ...(cause !== undefined && { cause }),
    });
    this.name = 'DockerRefusal';
    this.status = status;
  }
}

/** Speaks to one engine. */
export class DockerClient {
  readonly #at: RequestOptions;
  readonly #name: string;

  /** `DOCKER_HOST` (`unix:///…`, `tcp://host:port`), else the usual socket. */
  constructor(fields: Fields) {
    this.#name = fields.get('DOCKER_HOST') ?? 'unix:///var/run/docker.sock';
    if (this.#name.startsWith('unix://')) this.#at = { socketPath: this.#name.slice('unix://'.length) };
    else {
      const { hostname, port } = new URL(this.#name.replace(/^tcp:/, 'http:'));
      this.#at = { host: hostname, port: port || 2375 };
    }
  }

  /** The answer as JSON; empty where there is none. */
  async request(method: string, path: string, body?: JsonObject, signal?: AbortSignal): Promise<JsonObject> {
    const text = await textOf(await this.open(method, path, body, signal));
    return text.trim() === '' ? {} : (JSON.parse(text) as JsonObject);
  }

  /** The answer as a stream. @throws DockerRefusal for an answer other than 2xx or 304 */
  async open(method: string, path: string, body?: JsonObject, signal?: AbortSignal): Promise<IncomingMessage> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers =
        text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
      request({ ...this.#at, method, path, headers, ...(signal !== undefined && { signal }) })
        .on('response', resolve)
        .on('error', reject)
        .end(text);
    }).catch((error: Error) => {
      signal?.throwIfAborted();
      throw new DockerRefusal(`The engine at ${this.#name} cannot be reached: ${error.message}`, 0, error);
    });
    const status = response.statusCode ?? 0;
    if ((status >= 200 && status < 300) || status === 304) return response;
    const said = await textOf(response);
    throw new DockerRefusal(
      `The engine answers ${method} ${path.replace(/\?.*/, '')} with ${status}: ${wordsOf(said)}`,
      status,
    );
  }
}

function wordsOf(body: string): string {
  try {
    return (JSON.parse(body) as { message?: string }).message ?? body.slice(0, 500);
  } catch {
    return body.slice(0, 500);
  }
}
