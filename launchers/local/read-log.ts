/** Reads what is kept of a handler's output file. */
import { closeSync, fstatSync } from 'node:fs';
import type { HandlerLog } from '../launcher.ts';
import { NotReadableError, openRegular } from '../run-directory/regular-file.ts';
import { tailText } from '../tail.ts';
import { readRange } from './log-cutter.ts';

/** The last `keepBytes` of the log, as text that any database and JSON parser takes. */
export function readLog(path: string, keepBytes: number, droppedBytes = 0): HandlerLog {
  let file: number | undefined;
  try {
    file = openRegular(path);
  } catch (error) {
    if (!(error instanceof NotReadableError)) throw error;
  }
  // Missing, or the handler put something else in its place.
  if (file === undefined) return { output: '', totalBytes: droppedBytes };
  try {
    const { size } = fstatSync(file);
    const from = Math.max(0, size - keepBytes);
    const bytes = readRange(file, from, size);
    return { output: tailText(bytes, from > 0), totalBytes: size + droppedBytes };
  } finally {
    closeSync(file);
  }
}
