/** What a control worker counts of its own work, as metrics of its process. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { ControlMetrics } from '../activities/control/parts.ts';

/** Adds them, and returns who is to be told. */
export function addControlMetrics(registry: Registry): ControlMetrics {
  const registers = [registry];
  const admissions = new Counter({
    name: 'pop_admissions_total',
    help: 'Agendas admitted by this process, by why they were chosen.',
    labelNames: ['insight', 'reason'],
    registers,
  });
  const ticks = new Counter({
    name: 'pop_admission_ticks_total',
    help: 'Looks at an Insight by this process.',
    labelNames: ['insight'],
    registers,
  });
  const wakes = new Counter({ name: 'pop_wakes_total', help: 'Insights that this process woke.', registers });
  const seconds = new Histogram({
    name: 'pop_admission_batch_seconds',
    help: 'How long the transaction of a batch took, the wait for its pool included.',
    buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
    registers,
  });
  const size = new Histogram({
    name: 'pop_admission_batch_size',
    help: 'Agendas that a batch admitted.',
    buckets: [0, 1, 2, 5, 10, 20, 50, 100, 200, 500],
    registers,
  });
  return {
    batch(insight, batch) {
      ticks.inc({ insight });
      seconds.observe(batch.seconds);
      size.observe(batch.admitted);
      for (const [reason, count] of Object.entries(batch.reasons)) admissions.inc({ insight, reason }, count);
    },
    wakes: (count) => wakes.inc(count),
  };
}
