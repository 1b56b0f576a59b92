/** Who goes next. This is the stable interface of the room; benchmarks and outside tests import nothing else. */
export { algorithmNames, createAlgorithm, registerAlgorithm } from './algorithms.ts';
export type {
  CustomerShare,
  Decision,
  Explanation,
  ExplanationCode,
  ReadyItem,
  Reason,
  Resources,
  Scheduler,
  SchedulerOptions,
  SchedulerSnapshot,
} from './scheduler.ts';
