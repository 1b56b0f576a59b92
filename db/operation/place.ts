/** Where launches live: in the reach of a worker, and at the place where a new one begins. */
import type { StartOperationItem } from '../../messages/resource-pool.ts';
import { storable } from '../storable.ts';
import type { OperationRow } from './fence.ts';

/** Whether the asking worker can follow what runs at a place. */
export function isInReach(place: string | null, asking: Pick<StartOperationItem, 'place' | 'places'>): boolean {
  return place !== null && [asking.place, ...Object.values(asking.places ?? {})].map(storable).includes(place);
}

/**
 * Where a launch begins. `launcher` is null when the worker does not know the type, or is of version 0.1.0 and does not
 * say.
 */
export function beginningOf(
  { type }: Pick<OperationRow, 'type'>,
  asking: Pick<StartOperationItem, 'type' | 'launcher' | 'launchers' | 'place' | 'places'>,
): { readonly launcher: string | null; readonly place: string } {
  // The launcher is that of the type which the worker believes it to be.
  const isFitting = asking.type === undefined || asking.type === type;
  const named = (isFitting ? asking.launcher : undefined) ?? own(asking.launchers, type);
  return {
    launcher: named ?? null,
    place: (named === undefined ? undefined : own(asking.places, named)) ?? asking.place,
  };
}

const own = (map: Readonly<Record<string, string>> | undefined, name: string): string | undefined =>
  map !== undefined && Object.hasOwn(map, name) ? map[name] : undefined;
