/** For tests: a launcher on a directory of its own that leaves no process and no file behind. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Ending, FollowEvents, HandlerProgress, HandlerRun } from '../../launchers/launcher.ts';
import { LocalLauncher } from '../../launchers/local/local-launcher.ts';
import { isAlive } from '../../launchers/local/process-identity.ts';
import { fileNames, type StartedRecord } from '../../launchers/local/run-files.ts';
import { stopAll } from '../../launchers/local/stop-run.ts';
import { type HandlerSettings, parseRegistry, settingsFor } from '../../launchers/registry.ts';
import { readRecord } from '../../launchers/run-directory/regular-file.ts';
import { runDirectories } from '../../launchers/run-directory/run-directories.ts';
import { Watcher } from '../../launchers/run-directory/watcher.ts';

/** A folder for run directories, with a launcher on it. */
export interface Scratch extends AsyncDisposable {
  readonly root: string;
  readonly launcher: LocalLauncher;
}

/** Makes a scratch folder; it and all its runs are gone at the end of its scope. */
export function scratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'pop-local-'));
  const root = join(folder, 'runs');
  return {
    root,
    launcher: new LocalLauncher({ root }),
    async [Symbol.asyncDispose]() {
      await stopAll(root, 0);
      // A shim that is about to exit writes its compile cache and would make the folder anew.
      const shims = runDirectories(root).flatMap(
        (directory) => readRecord<StartedRecord>(directory, fileNames.started)?.shim ?? [],
      );
      await new Watcher().until(root, () => !shims.some(isAlive));
      // A shim whose run was forgotten may still write its compile cache as it exits.
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    },
  };
}

/** A run of a command, as a registry would give it. */
export function runOf(podConfig: Record<string, unknown>, run: Partial<Omit<HandlerRun, 'settings'>> = {}): HandlerRun {
  return {
    key: 'run-1',
    agendaId: 'agenda-1',
    attempt: 1,
    operation: 'op.1',
    operationAttempt: 1,
    launch: 1,
    type: 'test',
    cid: 'cid-1',
    customerId: 'customer-1',
    operationId: 'operation-id-1',
    progressId: 'progress-1',
    payload: '{"a":1}',
    ...run,
    settings: settingsOf(podConfig),
  };
}

/** The command is one of the shell's. */
export function shell(script: string, podConfig: Record<string, unknown> = {}): Record<string, unknown> {
  return { command: ['/bin/sh', '-c', script], ...podConfig };
}

/** The command is a program of this Node. */
export function script(source: string, podConfig: Record<string, unknown> = {}): Record<string, unknown> {
  return { command: ['node', '--input-type=module', '-e', source], ...podConfig };
}

/** The events of a run, kept in order. */
export interface Recorded extends FollowEvents {
  readonly progresses: HandlerProgress[];
  readonly starts: number[];
}

/** Events that keep what they hear. */
export function recorded(): Recorded {
  const progresses: HandlerProgress[] = [];
  const starts: number[] = [];
  return {
    progresses,
    starts,
    progress: (progress) => progresses.push(progress),
    started: (time) => starts.push(time),
  };
}

/** A signal that never aborts. */
export const never = (): AbortSignal => new AbortController().signal;

/** Starts it and follows it to its end. */
export async function startToEnd(
  launcher: LocalLauncher,
  run: HandlerRun,
  events: FollowEvents = recorded(),
): Promise<Ending> {
  await launcher.start(run);
  return launcher.follow(run, events, never());
}

function settingsOf(podConfig: Record<string, unknown>): HandlerSettings {
  const registry = parseRegistry(
    JSON.stringify({ basePodConfig: {}, test: { podConfig } }),
    join(tmpdir(), 'registry.json'),
  );
  const settings = settingsFor(registry, 'test');
  if (settings === undefined) throw new Error('The type is not registered.');
  return settings;
}
