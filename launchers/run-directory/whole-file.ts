/** Writes files that are there as a whole or not at all, and survive a crash of the host. */
import { randomUUID } from 'node:crypto';
import { closeSync, fchmodSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errorCode } from './system-errors.ts';

/** Replaces the file as a whole, durable once this returns. Without a mode it is for the owner only. */
export function writeWhole(path: string, content: string, mode?: number): void {
  const temporary = temporaryOf(path);
  try {
    writeDurably(temporary, content, mode);
    renameSync(temporary, path);
  } catch (error) {
    // A full disk must not fill further with every try.
    rmSync(temporary, { force: true });
    throw error;
  }
  syncDirectory(dirname(path));
}

/**
 * Creates the file with all its content, or leaves the one that is there: of any number of callers exactly one gets
 * true. Without a mode it is for the owner only.
 */
export function writeOnce(path: string, content: string, mode?: number): boolean {
  const temporary = temporaryOf(path);
  try {
    writeDurably(temporary, content, mode);
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Makes sure that the names of its files survive a crash of the host. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Hidden, so that no pattern of a handler, such as that for the parts of its payload, finds what a crash left. */
function temporaryOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
}

function writeDurably(path: string, content: string, mode?: number): void {
  // Payloads and environments may hold secrets: for the owner only.
  const file = openSync(path, 'wx', 0o600);
  try {
    writeFileSync(file, content);
    // The process's umask does not count.
    if (mode !== undefined) fchmodSync(file, mode);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
