/** Reads the result that a handler left in a file. */
import { closeSync, fstatSync, readFileSync } from 'node:fs';
import { maximumPayloadBytes } from '../../agenda/types.ts';
import { parseResult, type Result, resultTooLarge } from '../outcome.ts';
import { NotReadableError, openRegular } from './regular-file.ts';

/** The result in the file at this path. */
export function resultOfFile(path: string): Result {
  let file: number | undefined;
  try {
    file = openRegular(path);
  } catch (error) {
    if (!(error instanceof NotReadableError)) throw error;
    return { kind: 'fault', code: 'resultNotReadable', message: `The result cannot be read: ${error.message}.` };
  }
  if (file === undefined) return { kind: 'none' };
  try {
    const { size } = fstatSync(file);
    return size > maximumPayloadBytes
      ? resultTooLarge('The result', size)
      : parseResult(readFileSync(file, 'utf8'), 'The result');
  } finally {
    closeSync(file);
  }
}
