/** The run directories under a root, and what becomes of one. */
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isMissing } from './system-errors.ts';
import { writeOnce } from './whole-file.ts';

/** Directories of all runs under the root. */
export function runDirectories(root: string): string[] {
  try {
    return readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => join(root, entry.name));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** False when such a record was there already, or the run was forgotten meanwhile. */
export function recordOnce(directory: string, name: string, content: object): boolean {
  try {
    return writeOnce(join(directory, name), JSON.stringify(content));
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/**
 * Puts it out of sight at once, for taking it apart may take a while and may be cut short. Where it is now; undefined
 * when it was not there.
 */
export function bury(directory: string): string | undefined {
  const grave = join(dirname(directory), `.forgotten-${basename(directory)}`);
  rmSync(grave, { recursive: true, force: true });
  try {
    renameSync(directory, grave);
    return grave;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
