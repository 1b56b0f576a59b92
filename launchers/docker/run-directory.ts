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
import { chmodSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fenceOf } from '../../messages/resource-pool.ts';
import { handlerFileNames, type RunRecord, recordNames, type StopRecord } from '../run-directory/records.ts';
import { readRecord } from '../run-directory/regular-file.ts';
import { bury } from '../run-directory/run-directories.ts';
import { errorCode, isMissing } from '../run-directory/system-errors.ts';
import { renewToken as renewTokenFile } from '../run-directory/token-file.ts';
import { writeOnce } from '../run-directory/whole-file.ts';
import type { DockerRun } from './docker-run.ts';

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
  give(handlerFileNames.payload, run.payload);
  if (run.lastProgress !== undefined) give(handlerFileNames.lastProgress, run.lastProgress);
  if (run.report !== undefined) give(handlerFileNames.token, run.report.token);
  chmodSync(box, writableByAll);
  return writeOnce(join(directory, recordNames.run), JSON.stringify(record));
}

/** Gives the handler the newest token. */
export const renewToken = (run: DockerRun, directory: string): void =>
  renewTokenFile(join(boxOf(directory), handlerFileNames.token), run, readableByAll);

/** The reason of the stop that was begun. */
export const readStop = (directory: string): StopRecord | undefined => readRecord(directory, recordNames.stop);

/** Removes it as far as the host lets us. */
export function removeDirectory(directory: string): void {
  const grave = bury(directory);
  if (grave === undefined) return;
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
