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

function podOf(key: string, resourceVersion: number, uid = `uid-${key}`): Pod {
  return {
    metadata: {
      ...{ name: key, namespace: 'pool', uid, resourceVersion: String(resourceVersion) },
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

test('a newer Pod with the key of another hides it not, and the one that was claimed counts alone', async () => {
  using server = await teller();
  const { api, tell } = server;
  using pods = new PodInformer({ api, namespaces: ['pool'], selector: 'x', onReachable: () => undefined });
  const uids = () => pods.get('a').map(({ metadata }) => metadata.uid);
  await pods.synced();
  await tell('ADDED', podOf('a', 2, 'real'));
  await tell('ADDED', podOf('a', 3, 'decoy'));
  await expect.poll(uids).toEqual(['real', 'decoy']);
  pods.claim(podOf('a', 2, 'real'));
  expect(uids()).toEqual(['real']);
  await tell('MODIFIED', podOf('a', 4, 'decoy'));
  await tell('MODIFIED', podOf('a', 5, 'real'));
  await expect.poll(() => pods.get('a')[0]?.metadata.resourceVersion).toBe('5');
  expect([...pods.all].map(({ metadata }) => metadata.uid)).toEqual(['real']);
  await tell('DELETED', podOf('a', 6, 'real'));
  await expect.poll(uids).toEqual(['decoy']);
});

test('that the one before is gone, told late, takes nothing from a new Pod of the same name', async () => {
  using server = await teller();
  const { api, tell } = server;
  using pods = new PodInformer({ api, namespaces: ['pool'], selector: 'x', onReachable: () => undefined });
  await pods.synced();
  await tell('ADDED', podOf('a', 2, 'old'));
  await expect.poll(() => pods.get('a')).toHaveLength(1);
  pods.claim(podOf('a', 2, 'old'));
  // As the answer of a create tells it, before the watch tells of the deletion.
  pods.claim(podOf('a', 5, 'new'));
  const heard: string[] = [];
  pods.listen('a', ({ metadata }, isGone) => heard.push(`${metadata.uid} ${isGone}`));
  await tell('DELETED', podOf('a', 4, 'old'));
  await tell('ADDED', podOf('a', 5, 'new'));
  await tell('MODIFIED', podOf('a', 6, 'new'));
  await expect.poll(() => heard).toEqual(['old true', 'new false']);
  expect(pods.get('a').map(({ metadata }) => metadata.uid)).toEqual(['new']);
});
