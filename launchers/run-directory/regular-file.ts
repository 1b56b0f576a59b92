/** Reads what may be a regular file, and may be whatever a handler put in its place. */
import { closeSync, constants, fstatSync, fsyncSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode, isMissing } from './system-errors.ts';

/**
 * The parsed content; undefined when there is no such file. The launcher's own files are only ever whole, so what is no
 * file or no object there was put by a handler: it counts as missing, and the true record replaces it or takes its
 * place.
 */
export function readRecord<T extends object>(directory: string, name: string): T | undefined {
  try {
    const value: unknown = JSON.parse(readRegular(join(directory, name), mostRecordBytes) ?? 'null');
    return typeof value === 'object' && value !== null ? (value as T) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof NotReadableError) return undefined;
    throw error;
  }
}

/** A launch record holds a payload at most twice, as argument and in the environment. */
const mostRecordBytes = 64 * 1024 * 1024;

/** Something stands where a file should, that cannot be read as one; `message` says what. */
export class NotReadableError extends Error {}

/**
 * Opens what a handler may have put there: a pipe would block the whole process, a link or a device lead elsewhere.
 * Undefined when nothing is there. @throws NotReadableError
 */
export function openRegular(path: string): number | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    if (isMissing(error)) return undefined;
    const code = errorCode(error);
    if (code === 'ELOOP' || code === 'EMLINK') throw new NotReadableError('it is a symbolic link');
    if (code === 'EACCES' || code === 'EPERM' || code === 'ENXIO' || code === 'ENODEV')
      throw new NotReadableError(`it cannot be opened (${code})`);
    throw error;
  }
  if (fstatSync(file).isFile()) return file;
  closeSync(file);
  throw new NotReadableError('it is not a regular file');
}

/**
 * The text of a regular file, undefined when there is none. @throws NotReadableError also when it has more than
 * `mostBytes`
 */
export function readRegular(path: string, mostBytes: number): string | undefined {
  const file = openRegular(path);
  if (file === undefined) return undefined;
  try {
    const { size } = fstatSync(file);
    if (size > mostBytes) throw new NotReadableError(`it has ${size} bytes; the limit is ${mostBytes}`);
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

/**
 * Makes sure that a file of others survives a crash of the host. A file that is missing, or no regular file, is left
 * alone.
 */
export function syncFile(path: string): void {
  let file: number | undefined;
  try {
    file = openRegular(path);
  } catch (error) {
    if (!(error instanceof NotReadableError)) throw error;
  }
  if (file === undefined) return;
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
