/** Which place an engine is: the same for all workers that use it, and for no others. */
import { createHash } from 'node:crypto';
import { machineId } from '../local/place.ts';
import type { EngineFacts } from './engine.ts';

/**
 * By the engine's own id; where that is another each time, as Podman's, by the machine and the folder in which the
 * engine keeps its containers.
 */
export function placeOfEngine({ id, storage }: EngineFacts, machine = machineId()): string {
  if (id !== undefined) return `docker:${id}`;
  return `docker:${createHash('sha256').update(`${machine} ${storage}`).digest('hex').slice(0, 32)}`;
}
