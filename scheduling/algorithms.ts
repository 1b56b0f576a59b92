import { FairShare } from './fair-share.ts';
import { FirstInFirstOut } from './first-in-first-out.ts';
import { RoundRobin } from './round-robin.ts';
import type { Scheduler, SchedulerOptions, SchedulerSnapshot } from './scheduler.ts';

/** Makes a new scheduler, or restores one from `snapshot`. */
export type AlgorithmFactory = (options: SchedulerOptions, snapshot?: SchedulerSnapshot) => Scheduler;

const factories = new Map<string, AlgorithmFactory>([
  ['FirstInFirstOut', (options, snapshot) => new FirstInFirstOut(options, snapshot)],
  ['RoundRobin', (options, snapshot) => new RoundRobin(options, snapshot)],
  ['Fairness', (options, snapshot) => new FairShare({ ...options, algorithm: 'Fairness' }, snapshot)],
  ['Priority', (options, snapshot) => new FairShare({ ...options, algorithm: 'Priority' }, snapshot)],
]);

/**
 * Adds an algorithm under the name that Insights give as `schedulingAlgorithm`. @throws Error when the name is taken or
 * blank.
 */
export function registerAlgorithm(name: string, factory: AlgorithmFactory): void {
  if (name.trim() === '') throw new Error('an algorithm needs a name');
  if (factories.has(name)) throw new Error(`the algorithm ${name} is registered already`);
  factories.set(name, factory);
}

/** The names `createAlgorithm` accepts, in the order they were registered. */
export function algorithmNames(): string[] {
  return [...factories.keys()];
}

/**
 * Makes the scheduler of the algorithm `name`. Without `options` it takes those of the snapshot.
 * @throws Error when there is no such algorithm; the message names the registered ones.
 */
export function createAlgorithm(name: string, options?: SchedulerOptions, snapshot?: SchedulerSnapshot): Scheduler {
  const factory = factories.get(name);
  if (factory === undefined)
    throw new Error(
      `there is no scheduling algorithm ${JSON.stringify(name)}; registered: ${algorithmNames().join(', ')}`,
    );
  return factory(options ?? snapshot?.options ?? {}, snapshot);
}
