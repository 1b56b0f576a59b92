import { expect, test } from 'vitest';
import { Health } from './health.ts';
import { serveHealth, serveMetrics, serveStatus } from './serve-metrics.ts';

const quiet = { info: () => undefined, error: () => undefined } as never;
const contentType = 'text/plain; version=0.0.4';

test('metrics are served at their path only', async () => {
  const metrics = { metrics: async () => 'pop_wakes_total 4\n', contentType };
  await using server = await serveMetrics(metrics, { host: '127.0.0.1', port: 0, log: quiet });
  const answer = await fetch(`http://127.0.0.1:${server.port}/metrics`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe(contentType);
  expect(await answer.text()).toBe('pop_wakes_total 4\n');
  expect((await fetch(`http://127.0.0.1:${server.port}/other`)).status).toBe(404);
  expect((await fetch(`http://127.0.0.1:${server.port}/metrics`, { method: 'POST' })).status).toBe(404);
});

test('metrics that cannot be told are a fault of the server, and the next ones are told', async () => {
  let away = true;
  const metrics = { metrics: async () => (away ? Promise.reject(new Error('away')) : 'here 1\n'), contentType };
  await using server = await serveMetrics(metrics, { host: '127.0.0.1', port: 0, log: quiet });
  const ask = () => fetch(`http://127.0.0.1:${server.port}/metrics`);
  expect((await ask()).status).toBe(500);
  away = false;
  expect(await (await ask()).text()).toBe('here 1\n');
});

test('probes are served beside metrics, and alone they tell nothing else', async () => {
  const health = new Health();
  const metrics = { metrics: async () => 'pop_wakes_total 4\n', contentType };
  await using both = await serveMetrics(metrics, { host: '127.0.0.1', port: 0, log: quiet, health });
  await using alone = await serveHealth(health, { host: '127.0.0.1', port: 0, log: quiet });
  for (const { port } of [both, alone]) {
    const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
    expect((await ask('/livez')).status).toBe(200);
    const starting = await ask('/readyz');
    expect([starting.status, starting.headers.get('content-type')]).toEqual([503, 'application/json']);
    expect(await starting.json()).toEqual({ status: 'starting', reason: 'starting' });
  }
  health.ready();
  expect((await fetch(`http://127.0.0.1:${alone.port}/readyz`)).status).toBe(200);
  expect((await fetch(`http://127.0.0.1:${alone.port}/metrics`)).status).toBe(404);
  expect((await fetch(`http://127.0.0.1:${both.port}/metrics`)).status).toBe(200);
});

test('what is set is served; a port that is taken is a fault, and nothing stays open', async () => {
  const health = new Health();
  await using taken = await serveHealth(health, { host: '127.0.0.1', port: 0, log: quiet });
  const registry = { metrics: async () => '', contentType };
  const lines: string[] = [];
  const log = { info: ({ url }: { url: string }) => void lines.push(url), error: () => undefined } as never;
  const host = { healthHost: '127.0.0.1', metricsHost: '127.0.0.1' };
  const wanted = { ...host, healthPort: 0, metricsPort: taken.port };
  await expect(serveStatus(wanted, { health, registry, log })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await expect(fetch(String(lines[0]))).rejects.toThrow('fetch failed');
  await using _none = await serveStatus({ ...host, healthPort: undefined, metricsPort: undefined }, { health, log });
  expect(lines).toHaveLength(1);
});
