/** One part of a cluster: a program with a log, which tests may end, start again, and freeze. */
import { type Ending, GuardedProcess } from '../../../machine/guarded-process.ts';
import { untilReady } from '../../../machine/machine-process.ts';

/** What a part runs, and how one sees that it serves. */
export interface PartOptions {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly logFile: string;
  readonly isReady: () => Promise<boolean>;
  readonly environment?: NodeJS.ProcessEnv;
  readonly directory?: string;
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
    const { command, environment, directory, isReady, name, logFile } = this.#options;
    this.#process = new GuardedProcess({
      command,
      logFile,
      graceSeconds: 5,
      ...(environment === undefined ? {} : { environment }),
      ...(directory === undefined ? {} : { directory }),
    });
    await untilReady(this.#process, { name, logFile, timeoutSeconds: readyWithinSeconds }, isReady);
  }

  /** Ends it, by default without a chance to tidy up, and resolves when the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Ending | undefined> {
    this.#process?.kill(signal);
    return this.#process?.ended;
  }

  /** Ends it as `kill` does, and starts it again on the same ports and data. */
  async restart(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.kill(signal);
    await this.start();
  }

  /** Freezes it: connections stay open, and nothing answers. */
  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  /** Lets it go on where it was frozen. */
  continue(): void {
    this.#process?.kill('SIGCONT');
  }
}
