/**
 * Who goes next: the stable interface of the room. The simulator has its own, simulator/index.ts, which no program
 * loads.
 */
export { algorithmNames, createAlgorithm, registerAlgorithm } from './algorithms.ts';
export {
  type CostInput,
  type CostModel,
  costModels,
  costOf,
  dominantShare,
  type Estimate,
  expectedSeconds,
  learn,
} from './cost-models.ts';
export { FairShare, type FairShareAlgorithm, type FairShareOptions } from './fair-share.ts';
export type { FairShareState } from './fair-share-snapshot.ts';
export { type PeakInput, peakOf } from './peak.ts';
export { RoundRobin } from './round-robin.ts';
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
export { type Division, divideSlots, type InsightDemand, type Remainders, shareCapacity } from './share-capacity.ts';
