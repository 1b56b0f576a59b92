import { expect, test } from 'vitest';
import { serveMetrics } from './serve-metrics.ts';

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
