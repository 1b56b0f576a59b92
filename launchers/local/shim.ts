/**
 * A process of its own between worker and handler, so that the worker may die: starts the handler of one run directory
 * in a process group of its own, holds the log to its cap, and writes down how it ended. `node shim.ts <run directory>`
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { RefusedRecord } from '../run-directory/records.ts';
import { readRecord, syncFile } from '../run-directory/regular-file.ts';
import { errorCode } from '../run-directory/system-errors.ts';
import { writeOnce, writeWhole } from '../run-directory/whole-file.ts';
import { claim } from './claim.ts';
import { LogCutter } from './log-cutter.ts';
import { identify, isGroupAlive, signalGroup } from './process-identity.ts';
import { reserve, writeReserved } from './reserved-file.ts';
import { type ExitRecord, fileNames, type LaunchRecord, type StartedRecord } from './run-files.ts';

const cutEveryMilliseconds = 200;
/**
 * Waits for the word; without it (the shim died) the handler's program is never executed. The process stays the same
 * through exec.
 */
const gate = 'IFS= read -r word <&3 && [ "$word" = go ] || exit 125; exec 3<&-; exec "$@"';

// Whoever ends everything around it must not end the only witness; the handler's end is the shim's end.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});

const directory = process.argv[2];
if (directory === undefined) throw new Error('Usage: shim.ts <run directory>');
await run(directory);

async function run(directory: string): Promise<void> {
  const shim = identify(process.pid);
  const launch = readRecord<LaunchRecord>(directory, fileNames.launch);
  if (shim === undefined || launch === undefined) throw new Error(`${directory} is not a run directory`);
  const has = (name: string) => existsSync(join(directory, name));
  const isSettled = () =>
    has(fileNames.started) || has(fileNames.exit) || has(fileNames.refused) || has(fileNames.stop);
  if (!claim(directory, shim, isSettled)) return;
  // A stop that saw no claim relies on whoever claims later to see the stop.
  if (has(fileNames.stop)) return;

  const logPath = join(directory, fileNames.log);
  mkdirSync(dirname(logPath), { recursive: true });
  const log = openSync(logPath, 'a', 0o600);
  reserve(join(directory, fileNames.exitSpace));
  const [program = '', ...parameters] = launch.command;
  const refuse = (reason: unknown) => {
    // The system has no process to give now: this shim gives up, and the launcher says why.
    if (isPassing(reason)) throw reason;
    const why = reason instanceof Error ? reason.message : String(reason);
    const message = `The command ${JSON.stringify(program)} could not be started in ${launch.folder}: ${why}`;
    const refused: RefusedRecord = { code: 'commandNotStarted', message };
    writeOnce(join(directory, fileNames.refused), JSON.stringify(refused));
  };
  let child: ChildProcess;
  try {
    child = spawn('/bin/sh', ['-c', gate, 'sh', program, ...parameters], {
      cwd: launch.folder,
      env: launch.environment,
      detached: true,
      stdio: ['ignore', log, log, 'pipe'],
    });
  } catch (error) {
    // Such as more arguments and environment than the system takes.
    return refuse(error);
  }
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  if (child.pid === undefined) return ended.then(() => refuse('it ended at once'), refuse);
  const handler = identify(child.pid);
  if (handler === undefined)
    throw new Error(`The handler ended before its gate opened: ${JSON.stringify(launch.command)}`);
  const started: StartedRecord = { ...handler, startedTime: Date.now(), shim };
  writeWhole(join(directory, fileNames.started), JSON.stringify(started));
  const word = child.stdio[3] as Writable;
  // When it is gone already, its exit tells.
  word.on('error', () => {});
  word.end('go\n');

  const cutter = new LogCutter(logPath, launch.logBytes);
  const timer = setInterval(() => cutter.cutIfDue(), cutEveryMilliseconds);
  const [exitCode, signal] = await ended;
  const endedTime = Date.now();
  clearInterval(timer);
  // As in a Pod: when the first process ends, so does what it left running.
  while (isGroupAlive(handler)) {
    signalGroup(handler, 'SIGKILL');
    await delay(10);
  }
  cutter.cutIfDue();
  // Durable before the ending is: an ending must never be believed without its result.
  for (const name of [fileNames.result, fileNames.progress, fileNames.log]) syncFile(join(directory, name));
  const exit: ExitRecord = { exitCode, signal, endedTime, droppedBytes: cutter.droppedBytes };
  writeReserved(join(directory, fileNames.exitSpace), join(directory, fileNames.exit), JSON.stringify(exit));
}

/** What another try may not meet any more: too many processes or files, no memory, no space. */
function isPassing(error: unknown): boolean {
  return ['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE', 'ENOSPC', 'EDQUOT'].includes(errorCode(error) ?? '');
}
