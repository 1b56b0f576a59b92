/** What the Pods of a pool tell of the launches that they are. */
import type { KnownRun } from '../launchers/launcher.ts';
import type { Fence } from '../messages/resource-pool.ts';
import { annotations, labels } from './names.ts';
import type { Pod } from './pod.ts';
import { isOver } from './pod-state.ts';

/** The launch of a Pod; none when it tells of none, for somebody else made or changed it. */
export function knownRunOf(pod: Pod, now: number): KnownRun[] {
  const key = pod.metadata.labels?.[labels.key];
  const fence = readFence(pod);
  return key === undefined || fence === undefined ? [] : [{ key, ...fence, alive: !isOver(pod, now) }];
}

function readFence({ metadata }: Pod): Fence | undefined {
  try {
    const value = JSON.parse(metadata.annotations?.[annotations.fence] ?? 'null') as Partial<Fence> | null;
    if (value === null || typeof value !== 'object') return undefined;
    const { agendaId, attempt, operation, operationAttempt, launch } = value;
    if (typeof agendaId !== 'string' || typeof operation !== 'string') return undefined;
    if (typeof attempt !== 'number' || typeof operationAttempt !== 'number' || typeof launch !== 'number')
      return undefined;
    return { agendaId, attempt, operation, operationAttempt, launch };
  } catch {
    // Nobody's launch any more.
    return undefined;
  }
}
