/** What the informer makes of what an API server tells, in an order that a real one gives only now and then. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { KubernetesApi } from './kubernetes-api.ts';
import { labels } from './names.ts';
import type { Pod } from './pod.ts';
import { PodInformer } from './pod-informer.ts';

function podOf(key: string, resourceVersion: number): Pod {
  return {
    metadata: {
      ...{ name: key, namespace: 'pool', uid: `uid-${key}`, resourceVersion: String(resourceVersion) },
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { [labels.key]: key },
    },
  };
}

/** An API server that has no Pods at first, and tells what it is told to tell. */
async function teller() {
  let watching: (response: ServerResponse) => void = () => undefined;
  const watched = new Promise<ServerResponse>((resolve) => {
    watching = resolve;
  });
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    if (!request.url?.includes('watch=true'))
      response.end(JSON.stringify({ metadata: { resourceVersion: '1' }, items: [] }));
    else {
      response.flushHeaders();
      watching(response);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const config = new KubeConfig();
  const { port } = server.address() as AddressInfo;
  config.loadFromClusterAndUser({ name: 'c', server: `http://127.0.0.1:${port}`, skipTLSVerify: true }, { name: 'u' });
  return {
    api: new KubernetesApi(config),
    async tell(type: string, object: Pod) {
      (await watched).write(`${JSON.stringify({ type, object })}\n`);
    },
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

test('a Pod that was forgotten stays so, whatever the watch still tells of it', async () => {
  using server = await teller();
  const { api, tell } = server;
  using pods = new PodInformer({ api, namespaces: ['pool'], selector: 'x', onReachable: () => undefined });
  await pods.synced();
  await tell('ADDED', podOf('a', 2));
  await expect.poll(() => pods.get('a')).toHaveLength(1);
  pods.forget(podOf('a', 2));
  // What happened before it was forgotten, then its end, then another one, so that all of it was heard.
  await tell('MODIFIED', podOf('a', 3));
  await tell('DELETED', podOf('a', 4));
  await tell('ADDED', podOf('b', 5));
  await expect.poll(() => pods.get('b')).toHaveLength(1);
  expect([...pods.all].map(({ metadata }) => metadata.name)).toEqual(['b']);
});
