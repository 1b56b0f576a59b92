/**
 * Which shim may start the handler of a run. Any number of workers may start shims for one key at the same moment, and
 * a shim may die at any point; still exactly one handler is ever started:
 * - claims are files `claim.1`, `claim.2`, …, each created whole and by one shim only; the highest number counts;
 * - the next number may be claimed only once the holder of the last one is dead and left no `started.json`;
 * - a shim starts the handler behind a gate that opens after `started.json` is there, so a dead holder without it
 *   started nothing.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readRecord } from '../run-directory/regular-file.ts';
import { isMissing } from '../run-directory/system-errors.ts';
import { writeOnce } from '../run-directory/whole-file.ts';
import { isAlive } from './process-identity.ts';
import type { ProcessIdentity } from './run-files.ts';

/** The shim that holds the run, dead or alive; undefined when none claimed it yet. */
export function claimHolder(directory: string): ProcessIdentity | undefined {
  const number = lastClaim(directory);
  return number === 0 ? undefined : readRecord<ProcessIdentity>(directory, `claim.${number}`);
}

/** True when this process is the one to start the handler. */
export function claim(directory: string, self: ProcessIdentity, isStarted: () => boolean): boolean {
  const number = lastClaim(directory);
  if (number > 0) {
    const holder = readRecord<ProcessIdentity>(directory, `claim.${number}`);
    if (holder === undefined || isAlive(holder)) return false;
  }
  // Looked at after the holder was seen dead: what it has not done by now it never will.
  if (isStarted()) return false;
  return writeOnce(join(directory, `claim.${number + 1}`), JSON.stringify(self));
}

function lastClaim(directory: string): number {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
  return names.reduce((most, name) => Math.max(most, Number(/^claim\.(\d+)$/.exec(name)?.[1] ?? 0)), 0);
}
