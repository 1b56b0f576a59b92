/**
 * The run directory `<root>/<key>/`, the whole truth about a run: any worker of the host can pick it up from here.
 *   run.json      who it is (for `list`)                 written once, by the launcher
 *   launch.json   what the shim is to start              written once, by the launcher
 *   payload.json, last-progress.json                     written once, by the launcher
 *   token         to report with; replaced as a whole when an adopting worker was given a newer one
 *   claim.<n>     the shim that may start the handler    written once, by that shim; the highest n counts
 *   started.json  the handler's process and when it began   by the shim, before the handler's first instruction
 *   stop.json     why it is being ended                  written once, by whoever ends it, before the first signal
 *   exit.json     how the handler ended                  by the shim, last
 *   exit.space    disk space for it                      by the shim, before the handler starts, for a full disk
 *   refused.json  why it can never be started            by the shim
 *   progress.json, result.json                           by the handler
 *   log/output.log  stdout and stderr                    by the handler; in a folder of its own, so that no line
 *                                                        of output wakes a watcher of the directory
 *   shim.log      what the shim itself had to say
 */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { FailureCode } from '../../agenda/failure.ts';
import type { Fence } from '../../messages/resource-pool.ts';
import type { LocalSettings } from './local-settings.ts';

/** The file names of a run directory; the top of this file says what each holds. */
export const fileNames = {
  run: 'run.json',
  launch: 'launch.json',
  payload: 'payload.json',
  lastProgress: 'last-progress.json',
  token: 'token',
  started: 'started.json',
  stop: 'stop.json',
  exit: 'exit.json',
  exitSpace: 'exit.space',
  refused: 'refused.json',
  progress: 'progress.json',
  result: 'result.json',
  log: join('log', 'output.log'),
  shimLog: 'shim.log',
} as const;

/** `run.json` */
export interface RunRecord extends Fence {
  readonly key: string;
  readonly type: string;
}

/** `launch.json` */
export interface LaunchRecord {
  /** Absolute program, then its arguments. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly folder: string;
  readonly logBytes: LocalSettings['logBytes'];
}

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Boot and start time; compared, never computed with. */
  readonly startTime: string;
}

/** `started.json` */
export interface StartedRecord extends ProcessIdentity {
  /** Epoch milliseconds; limits count from here. */
  readonly startedTime: number;
  readonly shim: ProcessIdentity;
}

/** `exit.json` */
export interface ExitRecord {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly endedTime: number;
  /** Bytes that were cut off the log by truncation, where the file system cannot punch holes. */
  readonly droppedBytes: number;
}

/** `refused.json` */
export interface RefusedRecord {
  readonly code: FailureCode;
  readonly message: string;
}

/** `stop.json`: the first reason stands, whatever the handler does with the signal. */
export type StopRecord = { readonly stoppedTime: number; readonly graceSeconds: number } & (
  | { readonly reason: 'cancelled' }
  /** The place goes down in order: the Operation runs again elsewhere or later. */
  | { readonly reason: 'shutdown' }
  /** `pop1`: it reported COMPLETE and was silent ever after. */
  | { readonly reason: 'complete' }
  | { readonly reason: 'timedOut'; readonly limit: 'scheduled' | 'quiet' | 'run'; readonly seconds: number }
);

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

/** Longest content of a reserved file. */
const reservedBytes = 4_096;

/** Takes up the space of a file that is to be written when the disk may be full. */
export function reserve(path: string): void {
  // Not durable: a host that goes down takes the handler with it, and then there is nothing to write.
  writeFileSync(path, ' '.repeat(reservedBytes), { mode: 0o600 });
}

/** As writeWhole, in the space that was reserved at `reserved` if that is still there. */
export function writeReserved(reserved: string, path: string, content: string): void {
  const bytes = Buffer.byteLength(content);
  if (bytes > reservedBytes) throw new Error(`${path} would have ${bytes} bytes; ${reservedBytes} are reserved`);
  let file: number;
  try {
    file = openSync(reserved, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (error) {
    if (!isMissing(error) && errorCode(error) !== 'ELOOP') throw error;
    // The handler took it away.
    writeWhole(path, content);
    return;
  }
  try {
    // As long as what was there: not one more block is needed.
    writeSync(file, `${content}${' '.repeat(reservedBytes - bytes)}`, 0);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(reserved, path);
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

/** True for the error of a file that is not there. */
export function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR';
}

/** The code of a system error, such as `ENOENT`. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
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

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
