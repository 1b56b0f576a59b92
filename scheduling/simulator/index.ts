/** The simulator's stable interface: benchmarks and outside tests drive it. No program loads it. */
export { plotShares, shownNotes, shownWorkload } from './plot-shares.ts';

export { models } from './policies.ts';
export type { Cell } from './scenario.ts';
export { scenarios } from './scenarios.ts';
export { simulate } from './simulate.ts';
export type {
  Admission,
  Arrival,
  Change,
  CustomerReport,
  Job,
  Policy,
  SimulationReport,
  Source,
  Workload,
} from './workload.ts';
export { parseJsonWorkload, parseStandardWorkload } from './workload-file.ts';
