import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { addControlMetrics } from './control-metrics.ts';

test('batches are counted by Insight and admissions by reason, wakes by their number', async () => {
  const registry = new Registry();
  const metrics = addControlMetrics(registry);
  metrics.batch('encode', { seconds: 0.003, admitted: 3, reasons: { share: 2, floor: 1 } });
  metrics.wakes(4);
  const lines = (await registry.metrics()).split('\n');
  expect(lines).toContain('pop_admissions_total{insight="encode",reason="share"} 2');
  expect(lines).toContain('pop_admissions_total{insight="encode",reason="floor"} 1');
  expect(lines).toContain('pop_admission_ticks_total{insight="encode"} 1');
  expect(lines).toContain('pop_admission_batch_seconds_bucket{le="0.005"} 1');
  expect(lines).toContain('pop_admission_batch_size_sum 3');
  expect(lines).toContain('pop_wakes_total 4');
});
