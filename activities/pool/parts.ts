import type { Logger } from 'pino';
import type { InProcessLauncher } from '../../launchers/in-process/in-process-launcher.ts';
import type { KnownRun, Launcher } from '../../launchers/launcher.ts';
import type { HandlerSettings, LiveRegistry } from '../../launchers/registry.ts';
import type { OperationKey } from '../../workflows/activities.ts';
import type { ResourcePoolClient } from './resource-pool-client.ts';
import type { RunningOperations } from './running-operations.ts';

/** What the activities of one pool worker share. */
export interface PoolWorker {
  readonly resourcePoolId: string;
  /** Name of this process in the record. */
  readonly name: string;
  readonly client: Pick<ResourcePoolClient, 'startOperation' | 'reportProgress' | 'finishOperation'>;
  readonly registry: Pick<LiveRegistry, 'current' | 'settingsFor'>;
  readonly launchers: { readonly local: Launcher; readonly inProcess: InProcessLauncher } & Readonly<
    Record<HandlerSettings['launch'], Launcher>
  >;
  readonly running: RunningOperations;
  /** Aborts when this process was asked to end. */
  readonly shutdown: AbortSignal;
  readonly log: Logger;
}

/** A run that some launcher of this worker knows. */
export interface ReachableRun {
  readonly launcher: Launcher;
  readonly known: KnownRun;
}

/** All runs in this worker's reach, whichever worker started them. */
export async function reachableRuns({ launchers }: Pick<PoolWorker, 'launchers'>): Promise<readonly ReachableRun[]> {
  const lists = await Promise.all(
    Object.values(launchers).map(async (launcher: Launcher) =>
      (await launcher.list()).map((known) => ({ launcher, known })),
    ),
  );
  return lists.flat();
}

/** Those of them that belong to one Operation, whatever launch. */
export async function runsOf(
  pool: Pick<PoolWorker, 'launchers'>,
  { agendaId, attempt, operation }: OperationKey,
): Promise<readonly ReachableRun[]> {
  return (await reachableRuns(pool)).filter(
    ({ known }) => known.agendaId === agendaId && known.attempt === attempt && known.operation === operation,
  );
}
