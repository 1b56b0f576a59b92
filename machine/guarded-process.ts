/**
 * Child processes that do not outlive their parent. A small shell starts a watcher that reads a pipe held by the
 * parent, then becomes the program itself (same process id). When the parent dies, however it dies, the pipe closes and
 * the watcher ends the program: first by its signal, after a grace by SIGKILL. Each runs in a session of its own, so
 * that a Ctrl-C in the terminal reaches the parent alone, which stops its children in order.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';

/** What to run, and how it is asked to end. */
export interface GuardedProcessOptions {
  readonly command: readonly [string, ...string[]];
  readonly environment?: NodeJS.ProcessEnv;
  readonly directory?: string;
  /** Output is appended here; without it the output is dropped. */
  readonly logFile?: string;
  /** Asks for an orderly end; default SIGTERM. */
  readonly stopSignal?: 'SIGTERM' | 'SIGINT';
  /** From the stop signal to SIGKILL; default 20. */
  readonly graceSeconds?: number;
}

/** How a process ended: by its exit code, or by a signal. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const watcher = `program=$$
( (
  trap '' INT TERM HUP
  cat <&3 >/dev/null
  kill -s "$POP_GUARD_SIGNAL" $program 2>/dev/null || exit 0
  waited=0
  while kill -0 $program 2>/dev/null; do
    if [ $waited -ge "$POP_GUARD_GRACE" ]; then kill -KILL $program 2>/dev/null; exit 0; fi
    sleep 1
    waited=$((waited + 1))
  done
) & )
unset POP_GUARD_SIGNAL POP_GUARD_GRACE
exec 3<&-
exec "$@"`;

/** A running child process that ends with this one. */
export class GuardedProcess {
  /** Settles when the process is gone. */
  readonly ended: Promise<Ending>;
  #child: ChildProcess;
  #stopSignal: NodeJS.Signals;
  #graceSeconds: number;

  constructor(options: GuardedProcessOptions) {
    this.#stopSignal = options.stopSignal ?? 'SIGTERM';
    this.#graceSeconds = options.graceSeconds ?? 20;
    let output: number | 'ignore' = 'ignore';
    if (options.logFile !== undefined) {
      mkdirSync(dirname(options.logFile), { recursive: true });
      output = openSync(options.logFile, 'a', 0o600);
    }
    try {
      this.#child = spawn('/bin/sh', ['-c', watcher, 'sh', ...options.command], {
        cwd: options.directory,
        env: {
          ...(options.environment ?? process.env),
          POP_GUARD_SIGNAL: this.#stopSignal.slice(3),
          POP_GUARD_GRACE: String(Math.ceil(this.#graceSeconds)),
        },
        stdio: ['ignore', output, output, 'pipe'],
        detached: true,
      });
    } finally {
      if (output !== 'ignore') closeSync(output);
    }
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', (code, signal) => {
        // Lets the watcher go.
        this.#child.stdio[3]?.destroy();
        resolve({ code, signal });
      });
    });
    // A failed spawn is seen by whoever awaits `ended`; until then it is no unhandled rejection.
    this.ended.catch(() => undefined);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  kill(signal: NodeJS.Signals): void {
    if (this.running) this.#child.kill(signal);
  }

  /** Asks for an orderly end and, after the grace, makes it end. */
  async stop(): Promise<Ending> {
    this.kill(this.#stopSignal);
    const timer = setTimeout(() => this.kill('SIGKILL'), this.#graceSeconds * 1000);
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
    }
  }
}
