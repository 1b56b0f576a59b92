/**
 * An API server that keeps objects by their paths and knows nothing of them: enough to make, read, list, watch, patch
 * and delete them with labels, finalizers and owners. For rules of ours that need no cluster to be seen; the same code
 * runs against a real one in test/kubernetes.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { type Refusal, refusal, respond, selects } from './fake-api-answers.ts';

/** An object as it is kept. */
export interface KeptObject {
  metadata: {
    name: string;
    namespace?: string;
    uid: string;
    resourceVersion: string;
    creationTimestamp: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    finalizers?: string[];
    ownerReferences?: { uid: string }[];
  };
  [field: string]: unknown;
}

/** A request that came. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  readonly body: any;
}

/** A server on a free port of this machine. */
export class FakeApiServer implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  /** By its path, such as `/api/v1/namespaces/media/pods/op-1`. */
  readonly objects = new Map<string, KeptObject>();
  /** Answers in place of the server; undefined lets the request pass. */
  refuse: (request: SeenRequest) => Refusal | undefined = () => undefined;
  /** What the right of a SelfSubjectAccessReview is granted. */
  grants: (right: Readonly<Record<string, string>>) => boolean = () => true;
  readonly #watches = new Set<{ response: ServerResponse; path: string; selector: string }>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  #version = 1;

  /** Opens it with the namespaces that it has. */
  static async open(...namespaces: readonly string[]): Promise<FakeApiServer> {
    const fake = new FakeApiServer();
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve));
    for (const name of namespaces) fake.put(`/api/v1/namespaces/${name}`, { metadata: { name } });
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** For a client of it. */
  get config(): KubeConfig {
    const config = new KubeConfig();
    config.loadFromClusterAndUser({ name: 'fake', server: this.url, skipTLSVerify: true }, { name: 'test' });
    return config;
  }

  /** Keeps an object and tells who watches. */
  put(path: string, given: { metadata: Partial<KeptObject['metadata']> } & Record<string, unknown>): KeptObject {
    const known = this.objects.get(path);
    this.#version += 1;
    const object: KeptObject = {
      ...given,
      metadata: {
        uid: randomUUID(),
        creationTimestamp: new Date(Math.floor(Date.now() / 1_000) * 1_000).toISOString(),
        name: path.slice(path.lastIndexOf('/') + 1),
        ...known?.metadata,
        ...given.metadata,
        resourceVersion: String(this.#version),
      },
    };
    this.objects.set(path, object);
    this.#tell(known === undefined ? 'ADDED' : 'MODIFIED', path, object);
    return object;
  }

  /** As a kubelet tells it. */
  setStatus(path: string, status: unknown): void {
    const object = this.objects.get(path);
    if (object === undefined) throw new Error(`no ${path}`);
    this.put(path, { ...object, status });
  }

  /** Names of what is kept below a path, such as `/api/v1/namespaces/media/pods`. */
  names(path: string): string[] {
    return [...this.objects].filter(([at]) => isBelow(at, path)).map(([, { metadata }]) => metadata.name);
  }

  sent(method: string, ending = ''): readonly SeenRequest[] {
    return this.requests.filter((request) => request.method === method && request.path.endsWith(ending));
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const { pathname: path, searchParams: query } = new URL(incoming.url ?? '', 'http://fake');
    const text = Buffer.concat(chunks).toString();
    const body = text === '' ? undefined : JSON.parse(text);
    const request = { method: incoming.method ?? '', path, query, body };
    this.requests.push(request);
    const refused = this.refuse(request);
    if (refused !== undefined) return respond(response, refused.status, refusal(refused), refused.headers);
    if (path.endsWith('/selfsubjectaccessreviews'))
      return respond(response, 201, { status: { allowed: this.grants(body.spec.resourceAttributes) } });
    if (request.method === 'POST') return this.#create(`${path}/${body.metadata.name}`, body, response);
    const object = this.objects.get(path);
    if (object === undefined && /\/(pods|namespaces|secrets)$/.test(path)) return this.#list(request, response);
    if (object === undefined) return respond(response, 404, refusal({ status: 404, message: `no ${path}` }));
    if (request.method === 'PATCH') return respond(response, 200, this.#patch(path, object, body));
    if (request.method === 'DELETE') this.#delete(path, object);
    respond(response, 200, object);
  }

  #create(path: string, body: KeptObject, response: ServerResponse): void {
    if (this.objects.has(path))
      respond(response, 409, refusal({ status: 409, reason: 'AlreadyExists', message: `${path} already exists` }));
    else respond(response, 201, this.put(path, body));
  }

  #list({ path, query }: SeenRequest, response: ServerResponse): void {
    const selector = query.get('labelSelector') ?? '';
    if (query.get('watch') === 'true') {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
      const from = Number(query.get('resourceVersion'));
      for (const [at, object] of this.objects)
        if (isBelow(at, path) && selects(selector, object) && Number(object.metadata.resourceVersion) > from)
          response.write(`${JSON.stringify({ type: 'ADDED', object })}\n`);
      const watch = { response, path, selector };
      this.#watches.add(watch);
      response.on('close', () => this.#watches.delete(watch));
      return;
    }
    const items = [...this.objects].filter(([at, object]) => isBelow(at, path) && selects(selector, object));
    const metadata = { resourceVersion: String(this.#version) };
    respond(response, 200, { metadata, items: items.map(([, object]) => object) });
  }

  #patch(path: string, object: KeptObject, body: KeptObject & { data?: object }): KeptObject {
    const { labels, annotations, ...more } = body.metadata ?? {};
    const gone = (more as Record<string, unknown>)['$deleteFromPrimitiveList/finalizers'] as string[] | undefined;
    const finalizers = object.metadata.finalizers?.filter((one) => gone?.includes(one) !== true) ?? [];
    const patched = this.put(path, {
      ...object,
      ...(body.data !== undefined && { data: { ...(object.data as object), ...body.data } }),
      metadata: {
        ...object.metadata,
        labels: { ...object.metadata.labels, ...labels },
        annotations: { ...object.metadata.annotations, ...annotations },
        finalizers,
      },
    });
    if (patched.metadata.deletionTimestamp !== undefined && finalizers.length === 0) this.#remove(path, patched);
    return patched;
  }

  #delete(path: string, object: KeptObject): void {
    const metadata = { ...object.metadata, deletionTimestamp: new Date().toISOString() };
    const deleted = this.put(path, { ...object, metadata });
    if ((deleted.metadata.finalizers ?? []).length === 0) this.#remove(path, deleted);
  }

  /** With what it owns. */
  #remove(path: string, object: KeptObject): void {
    this.objects.delete(path);
    this.#tell('DELETED', path, object);
    for (const [at, { metadata }] of this.objects)
      if (metadata.ownerReferences?.some(({ uid }) => uid === object.metadata.uid)) this.objects.delete(at);
  }

  #tell(type: string, path: string, object: KeptObject): void {
    for (const watch of this.#watches)
      if (isBelow(path, watch.path) && selects(watch.selector, object))
        watch.response.write(`${JSON.stringify({ type, object })}\n`);
      // One that is not selected any more is gone for who watches.
      else if (isBelow(path, watch.path) && type === 'MODIFIED')
        watch.response.write(`${JSON.stringify({ type: 'DELETED', object })}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** `/api/v1/pods` stands for those of all namespaces. */
function isBelow(path: string, list: string): boolean {
  const folder = path.slice(0, path.lastIndexOf('/'));
  return folder === list || folder.replace(/\/namespaces\/[^/]+\//, '/') === list;
}
