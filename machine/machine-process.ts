/**
 * One part of a running system: a process that is started, becomes ready, and may die. While it is wanted and the
 * system restarts its parts, a dead one comes back: at once the first time, then after growing pauses (0.5 s to 30 s,
 * back to the start after a minute of life).
 */
import { open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { identify, isAlive } from '../launchers/local/process-identity.ts';
import type { ProcessIdentity } from '../launchers/local/run-files.ts';
import type { Ending, GuardedProcess } from './guarded-process.ts';

/** What a part is and how it is started. */
export interface MachineProcessOptions {
  readonly name: string;
  /** Notes who runs, so that a later start finds what was left behind. */
  readonly pidFile: string;
  readonly logFile: string;
  readonly restarts: boolean;
  /** Starts the process, hands it to `spawned` at once, and resolves when it is ready. */
  readonly launch: (spawned: (process: GuardedProcess) => void) => Promise<void>;
  readonly say: (line: string) => void;
}

const longestPauseMilliseconds = 30_000;
const longLifeMilliseconds = 60_000;

/** A part of the system, over all the processes that it has in turn. */
export class MachineProcess {
  readonly name: string;
  #options: MachineProcessOptions;
  #process: GuardedProcess | undefined;
  #wanted = false;
  #launching: Promise<void> = Promise.resolve();
  #pauseMilliseconds = 0;
  /** Ends the pause before a restart. */
  #hurry = new AbortController();

  constructor(options: MachineProcessOptions) {
    this.#options = options;
    this.name = options.name;
  }

  get pid(): number | undefined {
    return this.#process?.running === true ? this.#process.pid : undefined;
  }

  /** Starts it and resolves when it is ready; when it runs already, when that one is ready. */
  async start(): Promise<void> {
    this.#wanted = true;
    if (this.pid === undefined) this.#launching = this.#launch();
    await this.#launching;
  }

  /** Orderly end; resolves when the process is gone. */
  async stop(): Promise<void> {
    this.#wanted = false;
    this.#hurry.abort();
    await this.#process?.stop();
    // A launch in progress now fails or has just made it ready.
    await this.#launching.catch(() => undefined);
    await this.#process?.stop();
    await rm(this.#options.pidFile, { force: true });
  }

  /** Sends a signal to the process itself; it comes back if the system restarts its parts. */
  kill(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Ends it for good, at once. */
  destroy(): void {
    this.#wanted = false;
    this.#hurry.abort();
    this.kill('SIGKILL');
  }

  /** Resolves when the process that runs now is gone. */
  async ended(): Promise<Ending | undefined> {
    return this.#process?.ended;
  }

  async #launch(): Promise<void> {
    let born = Date.now();
    const spawned = (process: GuardedProcess): void => {
      this.#process = process;
      born = Date.now();
      void this.#note(process);
    };
    await this.#options.launch(spawned);
    const process = this.#process;
    if (process === undefined) throw new Error(`${this.name} did not start`);
    if (this.#options.restarts) void process.ended.then(async (ending) => this.#bringBack(ending, Date.now() - born));
  }

  async #bringBack(ending: Ending, livedMilliseconds: number): Promise<void> {
    if (livedMilliseconds > longLifeMilliseconds) this.#pauseMilliseconds = 0;
    let reason = `ended (${describeEnding(ending)})`;
    while (this.#wanted) {
      const pause = this.#pauseMilliseconds;
      const when = pause > 0 ? ` in ${pause / 1000} s` : '';
      this.#options.say(`${this.name} ${reason}; starting it again${when}; log: ${this.#options.logFile}`);
      this.#pauseMilliseconds = Math.min(longestPauseMilliseconds, Math.max(500, pause * 2));
      this.#hurry = new AbortController();
      await delay(pause, undefined, { signal: this.#hurry.signal }).catch(() => undefined);
      if (!this.#wanted) return;
      try {
        this.#launching = this.#launch();
        await this.#launching;
        if (this.#wanted) this.#options.say(`${this.name} is back`);
        return;
      } catch (error) {
        reason = `did not start (${error instanceof Error ? error.message : String(error)})`;
      }
    }
  }

  async #note(process: GuardedProcess): Promise<void> {
    const identity = process.pid === undefined ? undefined : identify(process.pid);
    if (identity !== undefined) await writeFile(this.#options.pidFile, JSON.stringify(identity));
  }
}

/**
 * Resolves when `condition` holds.
 * @throws when the process ends first or the time is over; the message shows the end of its log.
 */
export async function untilReady(
  process: GuardedProcess,
  what: { readonly name: string; readonly logFile: string; readonly timeoutSeconds: number },
  condition: () => Promise<boolean>,
): Promise<void> {
  const giveUp = Date.now() + what.timeoutSeconds * 1000;
  while (!(await condition())) {
    const problem = process.running
      ? Date.now() > giveUp
        ? `was not ready after ${what.timeoutSeconds} s`
        : undefined
      : 'ended while starting';
    if (problem !== undefined) {
      throw new Error(
        `${what.name} ${problem}. The last lines of ${what.logFile}:\n${await lastLines(what.logFile, 15)}`,
      );
    }
    await delay(25);
  }
}

/** Ends the process that an earlier system noted in this file, if it still runs. Returns whether there was one. */
export async function endLeftover(pidFile: string): Promise<boolean> {
  const identity = await readIdentity(pidFile);
  if (identity === undefined) return false;
  const lives = isAlive(identity);
  if (lives) {
    signal(identity, 'SIGTERM');
    const giveUp = Date.now() + 15_000;
    while (isAlive(identity)) {
      if (Date.now() > giveUp) signal(identity, 'SIGKILL');
      await delay(50);
    }
  }
  await rm(pidFile, { force: true });
  return lives;
}

/** Who is noted in the file, if it was written whole. */
export async function readIdentity(pidFile: string): Promise<ProcessIdentity | undefined> {
  try {
    return JSON.parse(await readFile(pidFile, 'utf8')) as ProcessIdentity;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Size of a file, 0 when there is none. */
export async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    (found) => found.size,
    () => 0,
  );
}

/** Whether the file holds `text` somewhere after `offset`. */
export async function holdsAfter(file: string, offset: number, text: string): Promise<boolean> {
  const length = (await sizeOf(file)) - offset;
  if (length <= 0) return false;
  await using handle = await open(file, 'r');
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
  return buffer.subarray(0, bytesRead).includes(text);
}

async function lastLines(file: string, count: number): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-count).join('\n');
}

function signal(identity: ProcessIdentity, name: NodeJS.Signals): void {
  try {
    process.kill(identity.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function describeEnding(ending: Ending): string {
  return ending.signal === null ? `exit code ${ending.code}` : ending.signal;
}
