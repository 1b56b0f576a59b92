import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import type { Ending } from '../launchers/launcher.ts';
import { addPoolMetrics } from './pool-metrics.ts';

test('launches, ends by category, starts, requests and what answers are told', async () => {
  const registry = new Registry();
  let running = 0;
  const metrics = addPoolMetrics(registry, { slots: 8, running: () => running });
  metrics.launch('local', 'started');
  metrics.launch('local', 'started');
  metrics.launch('local', 'adopted');
  metrics.launch('inProcess', 'blocked');
  const ends: Ending[] = [
    { kind: 'succeeded' },
    { kind: 'failed', code: 'exitCode', diagnosticEvents: [] },
    { kind: 'failed', code: 'unknownFunction', diagnosticEvents: [] },
    { kind: 'timedOut', limit: 'run', diagnosticEvents: [] },
    { kind: 'lost', code: 'placeGone', message: 'gone' },
    { kind: 'cancelled', message: 'stopped' },
  ];
  for (const ending of ends) metrics.ended('local', ending);
  metrics.started('local', 150);
  // Clocks of two machines: never less than nothing.
  metrics.started('local', -20);
  metrics.reachable('api', true);
  metrics.reachable('kubernetes', false);
  expect(await metrics.progressRequest(3, Promise.resolve('answer'))).toBe('answer');
  await expect(metrics.progressRequest(5, Promise.reject(new Error('away')))).rejects.toThrow('away');
  running = 2;

  const lines = (await registry.metrics()).split('\n');
  for (const line of [
    'pop_pool_slots 8',
    'pop_pool_running_operations 2',
    'pop_pool_launches_total{launcher="local",how="started"} 2',
    'pop_pool_launches_total{launcher="local",how="adopted"} 1',
    'pop_pool_launches_total{launcher="inProcess",how="blocked"} 1',
    'pop_pool_start_seconds_count{launcher="local"} 2',
    'pop_pool_start_seconds_sum{launcher="local"} 0.15',
    'pop_pool_reachable{what="api"} 1',
    'pop_pool_reachable{what="kubernetes"} 0',
    'pop_pool_progress_requests_total{result="answered"} 1',
    'pop_pool_progress_requests_total{result="failed"} 1',
    'pop_pool_progress_operations_total 3',
    ...['succeeded', 'handler', 'configuration', 'timeout', 'lost', 'cancelled'].map(
      (category) => `pop_pool_ends_total{launcher="local",category="${category}"} 1`,
    ),
  ])
    expect(lines).toContain(line);
});
