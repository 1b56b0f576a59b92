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
import { join } from 'node:path';
import { handlerFileNames, recordNames } from '../run-directory/records.ts';
import type { LocalSettings } from './local-settings.ts';

/** The file names of a run directory; the top of this file says what each holds. */
export const fileNames = {
  ...recordNames,
  ...handlerFileNames,
  launch: 'launch.json',
  exit: 'exit.json',
  exitSpace: 'exit.space',
  log: join('log', 'output.log'),
  shimLog: 'shim.log',
} as const;

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
