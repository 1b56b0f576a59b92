/** Which place an engine is, together with the folder of the run directories. */
import { createHash } from 'node:crypto';
import { placeOf } from '../run-directory/place.ts';
import type { EngineFacts } from './engine.ts';

/**
 * The same for workers that use the same engine and the same folder. An engine may serve several pools and
 * installations, whose workers must not take each other's containers for orphans: each has a folder of its own. An
 * engine is told by its own id; where that is another each time, as Podman's, by where it keeps its containers.
 */
export function placeOfEngine({ id, storage }: EngineFacts, root: string): string {
  const parts = JSON.stringify([id ?? storage, placeOf(root).place]);
  return `docker:${createHash('sha256').update(parts).digest('hex').slice(0, 32)}`;
}
