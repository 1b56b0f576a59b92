/** The app on a test database, with callers: for tests of routes. */
import { Writable } from 'node:stream';
import pino from 'pino';
import { Registry } from 'prom-client';
import { createApp } from '../../api/app.ts';
import { authorizeByKey } from '../../api/auth/api-keys.ts';
import type { Database } from '../../db/connect.ts';
import type { StoredKey } from '../../db/settings/api-key.ts';
import { createKey } from '../../db/settings/first-key.ts';
import { addRecordMetrics } from '../../workers/record-metrics.ts';

/** The answer to one request. */
export interface TestAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The parsed body, text where it is not JSON; undefined when it is empty. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any;
}

/** Sends one request as one caller. `body` is sent as JSON; a string is sent as it is. */
export type Send = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<TestAnswer>;

/** The app, with callers and what it told. */
export interface TestApp {
  readonly app: ReturnType<typeof createApp>;
  /** Insight ids handed to `wake`, in order. */
  readonly woken: string[];
  /** Lines of the log. */
  readonly lines: Record<string, unknown>[];
  /** Without a credential. */
  readonly anonymous: Send;
  /** A caller with a key of its own; default scopes: read, submit, operate, admin. */
  readonly caller: (key: Partial<StoredKey>) => Promise<Send>;
}

/** Paths are given without the base path `/v1`. */
export function testApp(database: Database): TestApp {
  const woken: string[] = [];
  const lines: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()));
      done();
    },
  });
  const log = pino({}, sink);
  // As the program does.
  const registry = new Registry();
  addRecordMetrics(registry, database, { log });
  const app = createApp({
    database,
    registry,
    authorize: authorizeByKey(database, { cacheSeconds: 0 }),
    wake: (insightIds) => {
      woken.push(...insightIds);
    },
    log,
  });
  const send =
    (key?: string): Send =>
    async (method, path, body, headers = {}) => {
      const response = await app.request(`/v1${path}`, {
        method,
        headers: {
          ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      const isJson = /json/.test(response.headers.get('content-type') ?? '');
      return {
        status: response.status,
        headers: response.headers,
        body: isJson ? JSON.parse(text) : text || undefined,
      };
    };
  return {
    app,
    woken,
    lines,
    anonymous: send(),
    caller: async (key) => {
      const stored = { accounts: [], superUser: false, scopes: ['read', 'submit', 'operate', 'admin'], ...key };
      return send((await createKey(database, 'test', stored)).key);
    },
  };
}
