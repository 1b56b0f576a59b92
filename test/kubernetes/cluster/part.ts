/** One part of a cluster: a program with a log, which tests may end, start again, and freeze. */
import { readFileSync } from 'node:fs';
import { type Ending, GuardedProcess } from '../../../machine/guarded-process.ts';
import { untilReady } from '../../../machine/machine-process.ts';

/** What a part runs, and how one sees that it serves. */
export interface PartOptions {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly logFile: string;
  readonly isReady: () => Promise<boolean>;
  readonly environment?: NodeJS.ProcessEnv;
  /** From this process's death to the part's; default 5. */
  readonly graceSeconds?: number;
  /** Whether the command starts the program as its child (`nsenter`), which then is what signals are for. */
  readonly isWrapped?: boolean;
}

/** Busy machines with few cores start slowly. */
const readyWithinSeconds = 120;

/** A part of a running cluster, over all the processes that it has in turn; each ends with this process. */
export class Part {
  readonly name: string;
  readonly logFile: string;
  #options: PartOptions;
  #process: GuardedProcess | undefined;

  constructor(options: PartOptions) {
    this.#options = options;
    this.name = options.name;
    this.logFile = options.logFile;
  }

  get pid(): number | undefined {
    return this.#process?.running === true ? this.#process.pid : undefined;
  }

  /**
   * Starts it and resolves when it serves.
   * @throws when it ends before that; the message shows the end of its log.
   */
  async start(): Promise<void> {
    const { command, environment, graceSeconds, isReady, name, logFile } = this.#options;
    this.#process = new GuardedProcess({
      command,
      logFile,
      graceSeconds: graceSeconds ?? 5,
      ...(environment === undefined ? {} : { environment }),
    });
    await untilReady(this.#process, { name, logFile, timeoutSeconds: readyWithinSeconds }, isReady);
  }

  /** Ends it, by default without a chance to tidy up, and resolves when the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Ending | undefined> {
    this.#signal(signal);
    return this.#process?.ended;
  }

  /** Ends it as `kill` does, and starts it again on the same ports and data. */
  async restart(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.kill(signal);
    await this.start();
  }

  /** Freezes it: connections stay open, and nothing answers. */
  pause(): void {
    this.#signal('SIGSTOP');
  }

  /** Lets it go on where it was frozen. */
  continue(): void {
    this.#signal('SIGCONT');
  }

  #signal(signal: NodeJS.Signals): void {
    const guarded = this.pid;
    if (guarded === undefined) return;
    const child = this.#options.isWrapped === true ? childOf(guarded) : undefined;
    if (child !== undefined) process.kill(child, signal);
    // `nsenter` stops and ends as its child does, but a stopped one has to be woken for it.
    if (child === undefined || signal === 'SIGCONT' || signal === 'SIGKILL') this.#process?.kill(signal);
  }
}

/** The first child of a process that runs, as this machine numbers it. */
export function childOf(pid: number): number | undefined {
  const [first = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return first === '' ? undefined : Number(first);
}
