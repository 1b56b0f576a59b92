/** What a pool worker counts of its own work, as metrics of its process. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { PoolMetrics } from '../activities/pool/parts.ts';
import { failureOf } from '../agenda/failure.ts';
import type { Ending } from '../launchers/launcher.ts';

/** What is asked for when metrics are told, or told by the program itself. */
export interface PoolProcessMetrics extends PoolMetrics {
  /** Whether something that the worker needs answers, such as `api`. */
  reachable(what: string, isReachable: boolean): void;
  /** Passes on a request that reports progress of so many Operations, and counts how it went. */
  progressRequest<T>(operations: number, request: Promise<T>): Promise<T>;
}

/** Looks at the worker when metrics are told. */
export interface PoolGauges {
  readonly slots: number;
  /** Operations that have a slot now. */
  running(): number;
}

/** Adds them, and returns who is to be told. */
export function addPoolMetrics(registry: Registry, { slots, running }: PoolGauges): PoolProcessMetrics {
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter({ name, help, labelNames, registers });
  new Gauge({ name: 'pop_pool_slots', help: 'Operations at once.', registers }).set(slots);
  new Gauge({
    name: 'pop_pool_running_operations',
    help: 'Operations that hold a slot.',
    registers,
    collect() {
      this.set(running());
    },
  });
  const reachable = new Gauge({
    name: 'pop_pool_reachable',
    help: '1 while what the worker needs answers.',
    labelNames: ['what'],
    registers,
  });
  const launches = counter('pop_pool_launches_total', 'Launches by launcher: started, adopted, blocked.', [
    'launcher',
    'how',
  ]);
  const ends = counter('pop_pool_ends_total', 'Launches that came to an end here, by launcher and category.', [
    'launcher',
    'category',
  ]);
  const seconds = new Histogram({
    name: 'pop_pool_start_seconds',
    help: 'From the moment an Operation was scheduled to the start of its handler.',
    labelNames: ['launcher'],
    buckets: [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300],
    registers,
  });
  const requests = counter('pop_pool_progress_requests_total', 'Requests that report progress.', ['result']);
  const reported = counter('pop_pool_progress_operations_total', 'Operations in requests that report progress.');
  return {
    launch: (launcher, how) => launches.inc({ launcher, how }),
    started: (launcher, milliseconds) => seconds.observe({ launcher }, Math.max(0, milliseconds) / 1000),
    ended: (launcher, ending) => ends.inc({ launcher, category: categoryOf(ending) }),
    reachable: (what, isReachable) => reachable.set({ what }, isReachable ? 1 : 0),
    async progressRequest(operations, request) {
      try {
        const answer = await request;
        requests.inc({ result: 'answered' });
        reported.inc(operations);
        return answer;
      } catch (error) {
        requests.inc({ result: 'failed' });
        throw error;
      }
    },
  };
}

/** `succeeded`, or the category of the failure; `lost` for what is launched again. */
function categoryOf(ending: Ending): string {
  switch (ending.kind) {
    case 'failed':
      return failureOf(ending.code).category;
    case 'timedOut':
      return 'timeout';
    case 'succeeded':
    case 'lost':
    case 'cancelled':
      return ending.kind;
  }
}
