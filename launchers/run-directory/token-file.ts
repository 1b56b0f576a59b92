/** The token that a handler reports with, where it found it at its start. */
import { existsSync } from 'node:fs';
import type { HandlerRun } from '../launcher.ts';
import { NotReadableError, readRegular } from './regular-file.ts';
import { writeWhole } from './whole-file.ts';

/** The key of its token may have been replaced since: the handler finds the newest one where it found the first. */
export function renewToken(path: string, { report }: Pick<HandlerRun, 'report'>, mode?: number): void {
  // A run that was started without one has no variable that names the file.
  if (report === undefined || !existsSync(path)) return;
  if (readGiven(path) !== report.token) writeWhole(path, report.token, mode);
}

/** What a handler may have put in its place counts as nothing. */
function readGiven(path: string): string | undefined {
  try {
    return readRegular(path, 4_096);
  } catch (error) {
    if (error instanceof NotReadableError) return undefined;
    throw error;
  }
}
