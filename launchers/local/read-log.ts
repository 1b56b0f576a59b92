/** Reads what is kept of a handler's output file. */
import { closeSync, fstatSync } from 'node:fs';
import { cleanText } from '../clean-text.ts';
import type { HandlerLog } from '../launcher.ts';
import { NotReadableError, openRegular } from '../run-directory/regular-file.ts';
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
    // A cut may fall within a character: its rest is left out.
    let start = 0;
    if (from > 0) while (start < 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start += 1;
    return { output: cleanText(bytes.subarray(start).toString('utf8')), totalBytes: size + droppedBytes };
  } finally {
    closeSync(file);
  }
}
