import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { describe, expect, test } from 'vitest';
import { KubernetesApi } from './kubernetes-api.ts';
import type { Pod } from './pod.ts';
import { lastLineTime, readPodLog } from './pod-log.ts';

const stamps = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
const pod: Pod = { metadata: { name: 'op-1', namespace: 'media', ...stamps } };
const never = () => new AbortController().signal;

/** A server that answers so whatever it is asked. */
async function serving(answer: RequestListener) {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [
      { name: 'c', server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, skipTLSVerify: true },
    ],
    users: [{ name: 'u' }],
    contexts: [{ name: 'x', cluster: 'c', user: 'u' }],
    currentContext: 'x',
  });
  return {
    api: new KubernetesApi(config),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const reading = (patienceMilliseconds: number) => ({ keepBytes: 1_000, patienceMilliseconds, signal: never() });

describe('the log of a Pod', () => {
  test('of a node that does not answer is given up when patience is over, and said to be unread', async () => {
    await using at = await serving(() => undefined);
    const begun = performance.now();
    expect(await readPodLog(at.api, pod, reading(200))).toEqual({
      output: '[The log could not be read: Its node was silent for 0.2 s.]\n',
      totalBytes: 0,
    });
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  test('that comes slowly is read to its end, however long that takes', async () => {
    let left = 6;
    await using at = await serving((_, response) => {
      const more = setInterval(() => {
        response.write('line\n');
        left -= 1;
        if (left > 0) return;
        clearInterval(more);
        response.end();
      }, 200);
    });
    expect(await readPodLog(at.api, pod, reading(900))).toEqual({ output: 'line\n'.repeat(6), totalBytes: 30 });
  });

  test('that the kubelet removed is not the kubelet’s own words', async () => {
    const words = 'unable to retrieve container logs for containerd://7c49f19d9cc05ad4';
    await using at = await serving((_, response) => void response.end(words));
    expect(await readPodLog(at.api, pod, reading(1_000))).toEqual({
      output: `[The log could not be read: ${words}]\n`,
      totalBytes: 0,
    });
  });

  test('is the handler’s where that prints the same words among others', async () => {
    const words = 'unable to retrieve container logs for containerd://7c49f19d9cc05ad4\n';
    await using at = await serving((_, response) => void response.end(words));
    expect(await readPodLog(at.api, pod, reading(1_000))).toEqual({ output: words, totalBytes: words.length });
  });
});

describe('the last sign of life in a log', () => {
  const at = (status: number, body: string) => serving((_, response) => void response.writeHead(status).end(body));

  test('is the time of its last line', async () => {
    await using server = await at(200, '2026-01-01T00:00:07.5Z hello\n');
    expect(await lastLineTime(server.api, pod, never())).toBe(Date.parse('2026-01-01T00:00:07.5Z'));
  });

  test('is none where nothing was printed, or where there is no Pod', async () => {
    await using silent = await at(200, '');
    expect(await lastLineTime(silent.api, pod, never())).toBe(0);
    await using gone = await at(404, '{"message":"pods \\"op-1\\" not found"}');
    expect(await lastLineTime(gone.api, pod, never())).toBe(0);
  });

  test('is now while nobody can tell', async () => {
    await using away = await at(502, 'no kubelet');
    const before = Date.now();
    expect(await lastLineTime(away.api, pod, never())).toBeGreaterThanOrEqual(before);
  });
});
