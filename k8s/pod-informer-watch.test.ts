/** How the informer goes on when a watch ends, a version is too old, or the server refuses. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { expect, test, vi } from 'vitest';
import { KubernetesApi } from './kubernetes-api.ts';
import { labels } from './names.ts';
import type { Pod } from './pod.ts';
import { PodInformer } from './pod-informer.ts';

const pod = (key: string, resourceVersion: number, more: Partial<Pod> = {}): Pod => ({
  metadata: {
    ...{ name: key, namespace: 'n', uid: `uid-${key}`, resourceVersion: String(resourceVersion) },
    ...{ creationTimestamp: '2026-07-01T00:00:00Z', labels: { [labels.key]: key } },
  },
  ...more,
});
const gone = { kind: 'Status', status: 'Failure', code: 410, reason: 'Expired', message: 'too old resource version' };

/** A server whose answers the test gives one by one: `lists` and `watches` are asked in turn, the last one stays. */
async function server(parts: {
  lists: readonly { version: number; items: readonly Pod[] }[];
  watches: readonly ((answer: ServerResponse) => void)[];
  /** Called when the n-th list was read and is not answered yet, from 1. */
  whileListing?: (n: number) => void;
}) {
  const asked: string[] = [];
  const counts = { list: 0, watch: 0 };
  const answer = ({ url = '/' }: IncomingMessage, response: ServerResponse) => {
    const query = new URL(url, 'http://localhost').searchParams;
    const isWatch = query.get('watch') === 'true';
    asked.push(isWatch ? `watch from ${query.get('resourceVersion')}` : 'list');
    if (isWatch) {
      const watch = parts.watches[Math.min(counts.watch++, parts.watches.length - 1)];
      return watch?.(response);
    }
    const list = parts.lists[Math.min(counts.list++, parts.lists.length - 1)];
    parts.whileListing?.(counts.list);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ metadata: { resourceVersion: String(list?.version) }, items: list?.items }));
  };
  const http = createServer(answer);
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [{ name: 'c', server: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, skipTLSVerify: true }],
    users: [{ name: 'u' }],
    contexts: [{ name: 'x', cluster: 'c', user: 'u' }],
    currentContext: 'x',
  });
  const reached: boolean[] = [];
  const informer = new PodInformer({
    api: new KubernetesApi(config),
    namespaces: ['n'],
    selector: 'a=b',
    onReachable: (reachable) => void reached.push(reachable),
  });
  return {
    asked,
    reached,
    informer,
    async [Symbol.asyncDispose]() {
      informer[Symbol.dispose]();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

/** A watch that tells these events and then stays open, or ends. */
const telling =
  (events: readonly (readonly [string, unknown])[], { ends = false } = {}) =>
  (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    for (const [type, object] of events) response.write(`${JSON.stringify({ type, object })}\n`);
    if (ends) response.end();
  };

test.each([
  ['as an event of the watch', telling([['ERROR', gone]], { ends: true })],
  [
    'as the status of the answer',
    (response: ServerResponse) => {
      response.writeHead(410, { 'content-type': 'application/json' });
      response.end(JSON.stringify(gone));
    },
  ],
])('a version that the server has no more (410), told %s, is begun anew with a list', async (_how, refusing) => {
  await using it = await server({
    lists: [
      { version: 10, items: [pod('stays', 5), pod('goes', 6)] },
      { version: 90, items: [pod('stays', 80, { status: { phase: 'Succeeded' } }), pod('new', 85)] },
    ],
    watches: [refusing, telling([['MODIFIED', pod('new', 91, { status: { phase: 'Running' } })]])],
  });
  await it.informer.synced();
  const heard: [string, boolean][] = [];
  for (const key of ['stays', 'goes', 'new'])
    it.informer.listen(key, ({ metadata, status }, isGone) =>
      heard.push([`${metadata.name} ${status?.phase ?? ''}`, isGone]),
    );
  await vi.waitFor(() => expect(it.informer.get('new')[0]?.status?.phase).toBe('Running'), { timeout: 10_000 });
  expect(it.asked).toEqual(['list', 'watch from 10', 'list', 'watch from 90']);
  expect(heard).toEqual([
    ['stays Succeeded', false],
    ['new ', false],
    ['goes ', true],
    ['new Running', false],
  ]);
  expect([...it.informer.all].map(({ metadata }) => metadata.name).toSorted()).toEqual(['new', 'stays']);
  // It answered all the time.
  expect(it.reached).toEqual([]);
});

test('what was made while a list was under way is not gone because the list is older', async () => {
  const made = pod('made', 95);
  await using it = await server({
    lists: [
      { version: 10, items: [] },
      { version: 90, items: [] },
    ],
    watches: [telling([['ERROR', gone]], { ends: true }), telling([['MODIFIED', pod('made', 96)]])],
    whileListing: (n) => n === 2 && it.informer.learn(made),
  });
  const heard: boolean[] = [];
  it.informer.listen('made', (_pod, isGone) => heard.push(isGone));
  await vi.waitFor(() => expect(it.asked).toContain('watch from 90'), { timeout: 10_000 });
  await vi.waitFor(() => expect(heard).toHaveLength(2), { timeout: 10_000 });
  expect(heard).toEqual([false, false]);
  expect(it.informer.get('made')).toHaveLength(1);
});

test('a watch that ends goes on where it was, by its last event or bookmark', async () => {
  const bookmark = { metadata: { resourceVersion: '50' } };
  await using it = await server({
    lists: [{ version: 10, items: [] }],
    watches: [
      telling([['ADDED', pod('a', 11)]], { ends: true }),
      telling([['BOOKMARK', bookmark]], { ends: true }),
      telling([['DELETED', pod('a', 51)]]),
    ],
  });
  await vi.waitFor(() => expect(it.asked).toHaveLength(4), { timeout: 10_000 });
  await vi.waitFor(() => expect([...it.informer.all]).toEqual([]), { timeout: 10_000 });
  expect(it.asked).toEqual(['list', 'watch from 10', 'watch from 11', 'watch from 50']);
});

test('a server that refuses is told of once, and asked again until it answers', async () => {
  const refuse = (response: ServerResponse) => {
    response.writeHead(503);
    response.end();
  };
  await using it = await server({
    lists: [{ version: 10, items: [] }],
    watches: [refuse, refuse, telling([['ADDED', pod('a', 11)]], { ends: true }), telling([])],
  });
  await vi.waitFor(() => expect(it.reached).toEqual([false, true]), { timeout: 10_000 });
  expect(it.asked.slice(0, 4)).toEqual(['list', 'watch from 10', 'watch from 10', 'watch from 10']);
  expect(it.informer.get('a')).toHaveLength(1);
});

test('what a request answered counts until the watch tells something newer, and what is gone stays gone', async () => {
  await using it = await server({ lists: [{ version: 10, items: [] }], watches: [telling([])] });
  await it.informer.synced();
  it.informer.learn(pod('a', 12, { status: { phase: 'Running' } }));
  it.informer.learn(pod('a', 11, { status: { phase: 'Pending' } }));
  expect(it.informer.get('a')[0]?.status?.phase).toBe('Running');
  it.informer.forget(pod('a', 12));
  it.informer.learn(pod('a', 13));
  expect(it.informer.get('a')).toEqual([]);
});
