import type { Logger } from 'pino';
import type { Ending, KnownRun, Launcher, Launchers, OperationOfRun } from '../../launchers/launcher.ts';
import type { LiveRegistry } from '../../launchers/live-registry.ts';
import type { LaunchKind } from '../../launchers/registry.ts';
import type { PodReapAnswer, PodReapOrder } from '../../messages/pod-reaping.ts';
import type { ResourcePoolClient } from './resource-pool-client.ts';
import type { ActivityBeat, RunningOperations } from './running-operations.ts';

/** What the activities of one pool worker share. */
export interface PoolWorker {
  readonly resourcePoolId: string;
  /** Name of this process in the record. */
  readonly name: string;
  readonly client: Pick<ResourcePoolClient, 'startOperation' | 'reportProgress' | 'finishOperation'>;
  readonly registry: Pick<LiveRegistry, 'current' | 'settingsFor'>;
  /** One for each launch that its registry may name. */
  readonly launchers: Launchers;
  /** Clears away ended Pods; absent: it launches none. */
  readonly reapPods?: (order: PodReapOrder, onBatch: () => void) => Promise<PodReapAnswer>;
  /** The ResourcePool service's URL, for handlers that report by themselves. */
  readonly url: string;
  readonly running: RunningOperations;
  /** Aborts when this process was asked to end. */
  readonly shutdown: AbortSignal;
  readonly log: Logger;
  readonly metrics?: PoolMetrics;
}

/** What a pool worker counts of its own work. */
export interface PoolMetrics {
  /** A launch began here, was found running, or cannot be started now. */
  launch(launcher: LaunchKind, how: 'started' | 'adopted' | 'blocked'): void;
  /** A handler started so long after its activity was scheduled. */
  started(launcher: LaunchKind, milliseconds: number): void;
  ended(launcher: LaunchKind, ending: Ending): void;
}

/** The part of an activity's Context that doing an Operation needs; one that is no activity of Temporal has it, too. */
export interface OperationActivity extends ActivityBeat {
  readonly info: ActivityBeat['info'] & {
    /** From 1. */
    readonly attempt: number;
    readonly scheduledTimestampMs: number;
    /** Of this attempt. */
    readonly currentAttemptScheduledTimestampMs: number;
  };
  /** Why it was cancelled; undefined while it was not. */
  readonly cancellationDetails:
    | {
        readonly [Why in 'cancelRequested' | 'workerShutdown' | 'paused' | 'notFound' | 'timedOut' | 'reset']?: boolean;
      }
    | undefined;
}

/** A run that some launcher of this worker knows. */
export interface ReachableRun {
  readonly launcher: Launcher;
  readonly known: KnownRun;
}

/**
 * All runs in this worker's reach, whichever worker started them. A launcher whose engine is away has none to tell: the
 * others' runs are looked at all the same.
 */
export function reachableRuns(pool: Pick<PoolWorker, 'launchers' | 'log'>): Promise<readonly ReachableRun[]> {
  return ofEach(pool, (launcher) =>
    launcher.list().catch((error: unknown) => {
      pool.log.warn({ err: error, place: launcher.place }, 'the runs of a launcher cannot be looked at just now');
      return [];
    }),
  );
}

/** Those of them that belong to one Operation, whatever launch. */
export function runsOf(
  pool: Pick<PoolWorker, 'launchers'>,
  operation: OperationOfRun,
): Promise<readonly ReachableRun[]> {
  return ofEach(pool, (launcher) => launcher.find(operation));
}

async function ofEach(
  { launchers }: Pick<PoolWorker, 'launchers'>,
  runsAt: (launcher: Launcher) => Promise<readonly KnownRun[]>,
): Promise<readonly ReachableRun[]> {
  const lists = await Promise.all(
    Object.values(launchers).map(async (launcher) => (await runsAt(launcher)).map((known) => ({ launcher, known }))),
  );
  return lists.flat();
}

/** Where this worker launches, as the ask of `startOperation` says it. */
export function placesOf({ launchers }: Pick<PoolWorker, 'launchers'>): {
  place: string;
  places: Record<string, string>;
} {
  const places = Object.entries(launchers).map(([kind, launcher]) => [kind, launcher.place] as const);
  const [first] = Object.values(launchers);
  // What version 0.1.0 launched here lives under the name that the place had then.
  const place = launchers.local?.formerPlace ?? (launchers.local ?? first)?.place ?? '';
  return { place, places: Object.fromEntries(places) };
}

/** The launcher at a place; undefined when the place is not in this worker's reach. */
export function launcherAt({ launchers }: Pick<PoolWorker, 'launchers'>, place: string): Launcher | undefined {
  return Object.values(launchers).find((launcher) => [launcher.place, launcher.formerPlace].includes(place));
}
