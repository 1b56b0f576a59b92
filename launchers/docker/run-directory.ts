/**
 * The run directory `<root>/<key>/` of a container. The engine knows whether it runs; what the engine cannot know is
 * here, where any worker of the host finds it:
 *   run.json      who it is, and since when it is wanted   written once, by the launcher, first of all
 *   started.json  which container was started              written once, after the start
 *   stop.json     why it is being ended                    written once, by whoever ends it, before the first signal
 *   refused.json  why it can never be started              written once
 *   box/          what the container sees, as /pop: payload.json, last-progress.json and token by the launcher,
 *                 progress.json and result.json by the handler
 * Nobody but the worker's user passes the directory itself, so all may write in the box: which user a container has is
 * its image's matter.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { FailureCode } from '../../agenda/failure.ts';
import { fenceOf } from '../../messages/resource-pool.ts';
import {
  errorCode,
  isMissing,
  fileNames as local,
  NotReadableError,
  type RunRecord,
  readRecord,
  readRegular,
  type StopRecord,
  writeOnce,
  writeWhole,
} from '../local/run-files.ts';
import type { DockerRun } from './docker-run.ts';

/** The launcher's own files of a run directory. */
export const fileNames = {
  run: 'run.json',
  started: 'started.json',
  stop: 'stop.json',
  refused: 'refused.json',
} as const;

/** Files of the box, by the names that a process of the Local launcher finds, too. */
export const boxNames = {
  payload: local.payload,
  lastProgress: local.lastProgress,
  token: local.token,
  progress: local.progress,
  result: local.result,
} as const;

/** `run.json` */
export interface WantedRecord extends RunRecord {
  /** Epoch milliseconds; `scheduledSeconds` counts from here. */
  readonly wantedTime: number;
  /** Its container stays when it is forgotten, to be looked at. */
  readonly keeps: boolean;
}

/** `started.json` */
export interface StartedRecord {
  readonly container: string;
  /** The boot of the host in which it was started. */
  readonly boot: string;
}

/** `refused.json` */
export interface RefusedRecord {
  readonly code: FailureCode;
  readonly message: string;
}

const readableByAll = 0o644;
const writableByAll = 0o777;

/** The part of a run directory that its container sees. */
export const boxOf = (directory: string): string => join(directory, 'box');

/** Makes the directory; workers that do this at once make the same. False when the run was wanted before. */
export function prepare(run: DockerRun, directory: string): boolean {
  const box = boxOf(directory);
  mkdirSync(box, { recursive: true, mode: 0o700 });
  const record: WantedRecord = {
    key: run.key,
    ...fenceOf(run),
    type: run.type,
    wantedTime: Date.now(),
    keeps: !run.settings.reapCompletedPods,
  };
  const give = (name: string, content: string) => writeOnce(join(box, name), content, readableByAll);
  give(boxNames.payload, run.payload);
  if (run.lastProgress !== undefined) give(boxNames.lastProgress, run.lastProgress);
  if (run.report !== undefined) give(boxNames.token, run.report.token);
  chmodSync(box, writableByAll);
  return writeOnce(join(directory, fileNames.run), JSON.stringify(record));
}

/** The key of its token may have been replaced since: the handler finds the newest one where it found the first. */
export function renewToken({ report }: DockerRun, directory: string): void {
  const path = join(boxOf(directory), boxNames.token);
  // A run that was started without one has no variable that names the file.
  if (report === undefined || !existsSync(path)) return;
  if (readGiven(path) !== report.token) writeWhole(path, report.token, readableByAll);
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

/** The reason of the stop that was begun. */
export const readStop = (directory: string): StopRecord | undefined => readRecord(directory, fileNames.stop);

/** False when a reason was there already, or the run was forgotten meanwhile. */
export function record(directory: string, name: keyof typeof fileNames, content: object): boolean {
  try {
    return writeOnce(join(directory, fileNames[name]), JSON.stringify(content));
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Out of sight at once; taking it apart may take a while and may be cut short. */
export function removeDirectory(directory: string): void {
  const grave = join(dirname(directory), `.forgotten-${basename(directory)}`);
  rmSync(grave, { recursive: true, force: true });
  try {
    renameSync(directory, grave);
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  try {
    rmSync(grave, { recursive: true, force: true });
  } catch (error) {
    // Folders that a container's own user made and filled are for the host's owner to remove; nothing looks there.
    if (errorCode(error) !== 'EACCES' && errorCode(error) !== 'EPERM') throw error;
  }
}

/** Changes with each boot of the host. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch (error) {
    if (isMissing(error)) return '';
    throw error;
  }
}
