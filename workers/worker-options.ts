/** Options of our Workers that decide how they perform; the benchmarks give their baselines the same. */
import type { WorkerOptions } from '@temporalio/worker';

/** The Worker of Agenda workflows. */
export const controlWorkerOptions = {
  maxCachedWorkflows: 500,
  maxConcurrentWorkflowTaskExecutions: 40,
  maxConcurrentLocalActivityExecutions: 100,
} satisfies Partial<WorkerOptions>;

/** The Worker of admission workflows. */
export const admissionWorkerOptions = {
  maxCachedWorkflows: 200,
  maxConcurrentWorkflowTaskExecutions: 20,
  maxConcurrentLocalActivityExecutions: 50,
} satisfies Partial<WorkerOptions>;

/** The Worker of a pool, for so many Operations at once. */
export const poolWorkerOptions = (concurrency: number) =>
  ({
    maxConcurrentActivityTaskExecutions: concurrency,
    // Half of the default heartbeat timeout: one heartbeat may be lost, and more would only cost the server.
    maxHeartbeatThrottleInterval: '30 s',
  }) satisfies Partial<WorkerOptions>;
