/**
 * As much of the Kubernetes API as a handler asks of it, for faults that no real server makes on demand: watches and
 * logs that break off in the middle, versions that are too old. What a kubelet would do, the test does. The same code
 * runs against a real cluster in test/kubernetes.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A Pod, as it was made and changed since. */
export interface FakePod {
  metadata: {
    name: string;
    uid: string;
    resourceVersion: string;
    deletionTimestamp?: string;
    annotations?: Record<string, string>;
    ownerReferences?: unknown[];
  };
  // biome-ignore lint/suspicious/noExplicitAny: tests look into specs of every shape
  spec: any;
  status: Record<string, unknown>;
}

/** One request that came. */
export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  readonly body: unknown;
}

interface Change {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: FakePod;
}

/** A server on a free port. */
export class FakeKubernetes implements AsyncDisposable {
  readonly requests: FakeRequest[] = [];
  readonly pods = new Map<string, FakePod>();
  /** A status for a request that is to be refused; undefined lets it pass. */
  refuse: (request: FakeRequest) => number | undefined = () => undefined;
  /** Deleted Pods stay until `remove`. */
  holdDeleted = false;
  readonly #changes: Change[] = [];
  readonly #logs = new Map<string, string[]>();
  readonly #watches = new Set<{ response: ServerResponse; name: string }>();
  readonly #followers = new Set<{ response: ServerResponse; name: string; from: number; sent: number }>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  #version = 100;

  static async open(): Promise<FakeKubernetes> {
    const fake = new FakeKubernetes();
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  sent(method: string, ending = ''): readonly FakeRequest[] {
    return this.requests.filter((request) => request.method === method && request.path.endsWith(ending));
  }

  add(name: string, spec: unknown = {}): FakePod {
    return this.#store({ metadata: { name, uid: randomUUID(), resourceVersion: '' }, spec, status: {} }, 'ADDED');
  }

  /** As a kubelet reports it. */
  setStatus(name: string, status: Record<string, unknown>): void {
    const pod = this.pods.get(name);
    if (pod === undefined) throw new Error(`no Pod ${name}`);
    this.#store({ ...pod, status }, 'MODIFIED');
  }

  /** Of the container `tool`. */
  setState(name: string, state: Record<string, unknown>, phase = 'Running'): void {
    this.setStatus(name, { phase, containerStatuses: [{ name: 'tool', state }] });
  }

  remove(name: string): void {
    const pod = this.pods.get(name);
    this.pods.delete(name);
    if (pod !== undefined) this.#store(pod, 'DELETED');
  }

  /** Lines with their times, as the container wrote them. */
  write(name: string, ...lines: readonly string[]): void {
    this.#logs.set(name, [...(this.#logs.get(name) ?? []), ...lines]);
    for (const follower of this.#followers) if (follower.name === name) this.#sendLog(follower);
  }

  /** A rotated log begins anew. */
  rotate(name: string): void {
    this.#logs.set(name, []);
  }

  /** Ends all connections that follow a log, in the middle of this text. */
  cutLogs(half = ''): void {
    for (const { response } of this.#followers) response.write(half, () => response.destroy());
    this.#followers.clear();
  }

  /** The kubelet ends the streams of a container that has ended. */
  endLogs(): void {
    for (const { response } of this.#followers) response.end();
    this.#followers.clear();
  }

  get follows(): number {
    return this.#followers.size;
  }

  get watches(): number {
    return this.#watches.size;
  }

  cutWatches(): void {
    for (const { response } of this.#watches) response.destroy();
    this.#watches.clear();
  }

  /** What happened before is forgotten: a watch from then on is answered 410. */
  compact(): void {
    this.#changes.length = 0;
    this.#version += 1_000;
  }

  #store(pod: FakePod, type: Change['type']): FakePod {
    this.#version += 1;
    const object = { ...pod, metadata: { ...pod.metadata, resourceVersion: String(this.#version) } };
    if (type !== 'DELETED') this.pods.set(object.metadata.name, object);
    const change: Change = { version: this.#version, type, object };
    this.#changes.push(change);
    for (const { response, name } of this.#watches)
      if (name === object.metadata.name) response.write(`${JSON.stringify({ type, object })}\n`);
    return object;
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const { pathname, searchParams } = new URL(incoming.url ?? '', 'http://fake');
    const text = Buffer.concat(chunks).toString();
    const request: FakeRequest = {
      method: incoming.method ?? '',
      path: pathname,
      query: searchParams,
      authorization: incoming.headers.authorization,
      contentType: incoming.headers['content-type'],
      body: text === '' ? undefined : (JSON.parse(text) as unknown),
    };
    this.requests.push(request);
    const refused = this.refuse(request);
    if (refused !== undefined) return status(response, refused, `refused ${refused}`);
    const [, , , , , kind, name = '', sub] = pathname.split('/');
    if (kind !== 'pods') return status(response, 404, 'no such path');
    if (request.method === 'GET' && sub === 'log') return this.#log(name, searchParams, response);
    if (request.method === 'GET' && name === '') return this.#watch(searchParams, response);
    if (request.method === 'POST') return this.#create(request.body as FakePod, response);
    const pod = this.pods.get(name);
    if (pod === undefined) return status(response, 404, `pods "${name}" not found`);
    if (request.method === 'PATCH') return json(response, this.#patch(pod, request.body as FakePod));
    if (request.method === 'DELETE') {
      const deletionTimestamp = new Date().toISOString();
      const deleted = this.#store({ ...pod, metadata: { ...pod.metadata, deletionTimestamp } }, 'MODIFIED');
      if (!this.holdDeleted) this.remove(name);
      return json(response, deleted);
    }
    json(response, pod);
  }

  #create(pod: FakePod, response: ServerResponse): void {
    const { name } = pod.metadata;
    if (this.pods.has(name)) status(response, 409, `pods "${name}" already exists`);
    else {
      const metadata = { ...pod.metadata, uid: randomUUID() };
      json(response, this.#store({ ...pod, metadata, status: { phase: 'Pending' } }, 'ADDED'), 201);
    }
  }

  #patch(pod: FakePod, body: FakePod): FakePod {
    const annotations = { ...pod.metadata.annotations, ...body.metadata.annotations };
    return this.#store({ ...pod, metadata: { ...pod.metadata, annotations } }, 'MODIFIED');
  }

  #watch(query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion'));
    const oldest = this.#changes[0]?.version ?? this.#version + 1;
    const name = (query.get('fieldSelector') ?? '').replace('metadata.name=', '');
    if (from + 1 < oldest && from < this.#version) {
      status(response, 410, 'too old resource version');
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const { version, type, object } of this.#changes)
      if (version > from && object.metadata.name === name) response.write(`${JSON.stringify({ type, object })}\n`);
    const watch = { response, name };
    this.#watches.add(watch);
    response.on('close', () => this.#watches.delete(watch));
  }

  #log(name: string, query: URLSearchParams, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.flushHeaders();
    const since = query.get('sinceTime');
    // The API server hands whole seconds on.
    const from = since === null ? 0 : Math.floor(Date.parse(since) / 1_000) * 1_000;
    const follower = { response, name, from, sent: 0 };
    this.#sendLog(follower);
    if (query.get('follow') !== 'true') response.end();
    else {
      this.#followers.add(follower);
      response.on('close', () => this.#followers.delete(follower));
    }
  }

  #sendLog(follower: { response: ServerResponse; name: string; from: number; sent: number }): void {
    const lines = this.#logs.get(follower.name) ?? [];
    for (const line of lines.slice(follower.sent))
      if (Date.parse(line.split(' ', 1)[0] ?? '') >= follower.from) follower.response.write(`${line}\n`);
    follower.sent = lines.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function json(response: ServerResponse, body: unknown, code = 200): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function status(response: ServerResponse, code: number, message: string): void {
  json(response, { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code }, code);
}
