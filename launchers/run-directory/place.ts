/**
 * Which place a run root is. A host name and a path do not tell: two machines may have the same ones, and a worker that
 * took the other's runs for its own would start them a second time under the same launch. So a root has a random id of
 * its own, kept in it, and counts together with the machine that it is used on, for a root on a shared disk has its
 * processes on one machine only.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { readRecord } from './regular-file.ts';
import { runDirectories } from './run-directories.ts';
import { isMissing } from './system-errors.ts';
import { writeOnce } from './whole-file.ts';

/** Not the name of a run: they begin with a letter or a digit. */
const placeFile = '.place.json';

interface PlaceRecord {
  readonly id: string;
  /** As version 0.1.0 named it, where runs of that version were found. To be read no more after 0.2. */
  readonly formerPlace?: string;
}

/** The place's name; and its name of before, for a root that held runs when it was given its id. */
export interface Place {
  readonly place: string;
  readonly formerPlace?: string;
}

/** Of any number of workers that ask for the first time, all get the same answer. */
export function placeOf(root: string, machine = machineId()): Place {
  const found = readRecord<PlaceRecord>(root, placeFile) ?? give(root);
  const place = `local:${found.id}@${machine}`;
  return found.formerPlace === undefined ? { place } : { place, formerPlace: found.formerPlace };
}

function give(root: string): PlaceRecord {
  const hasRuns = runDirectories(root).length > 0;
  const record: PlaceRecord = {
    id: randomUUID(),
    ...(hasRuns && { formerPlace: `local:${hostname()}:${root}` }),
  };
  writeOnce(join(root, placeFile), JSON.stringify(record));
  const kept = readRecord<PlaceRecord>(root, placeFile);
  if (kept === undefined) throw new Error(`${join(root, placeFile)} does not hold what was written into it.`);
  return kept;
}

/**
 * Not the machine's id itself, which is not for strangers (machine-id(5)), but a digest; the host name where there is
 * none.
 */
function machineId(): string {
  for (const path of ['/etc/machine-id', '/var/lib/dbus/machine-id']) {
    try {
      const id = readFileSync(path, 'utf8').trim();
      if (id !== '') return createHash('sha256').update(`pop place ${id}`).digest('hex').slice(0, 16);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return hostname();
}
