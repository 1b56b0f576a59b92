/**
 * Orderly shutdown of a process: on SIGTERM, on SIGINT, and when the parent that asked for it (POP_PARENT=watch) is
 * gone. A second signal ends the process at once, and so does an end that takes longer than it may.
 */
import type { Logger } from 'pino';
import { positiveNumber } from './environment.ts';

/** npm passes a Ctrl-C on that the terminal has given us already: so soon after the first it is the same one. */
const sameMilliseconds = 500;

/**
 * `POP_DRAIN_SECONDS`: what is under way when the process is told to go has so long to end. Kubernetes gives 30 s, of
 * which a `preStop` and the end itself take a part.
 */
export const drainSeconds = (): number => positiveNumber('POP_DRAIN_SECONDS', 20);

/** The end of this process: its signal, and a way to begin it from within. */
export interface Shutdown {
  readonly signal: AbortSignal;
  begin(why: string): void;
}

/** Longer than what is under way may take; for what a program does at its end. */
const afterwardsSeconds = 5;
/** The exit code of a process that gave up what was under way: "timed out" of `pop`. */
export const givenUp = 4;

/** What was under way did not end in its time. */
export class DrainTimeoutError extends Error {
  constructor(drainSeconds: number, options?: ErrorOptions) {
    super(`what was under way did not end in ${drainSeconds} s (POP_DRAIN_SECONDS) and is given up`, options);
    this.name = 'DrainTimeoutError';
  }
}

/**
 * A parent that dies closes the pipe it holds to our stdin: no orphan stays behind. With `drainSeconds` the process is
 * gone so long after it was told to go, and 5 s at most.
 */
export function untilShutdown(log: Pick<Logger, 'info' | 'error'>, drainSeconds?: number): Shutdown {
  const controller = new AbortController();
  const begin = (why: string) => {
    if (controller.signal.aborted) return;
    log.info({ why }, 'shutting down');
    controller.abort(new Error(why));
    if (drainSeconds === undefined) return;
    const late = setTimeout(
      () => {
        log.error(new DrainTimeoutError(drainSeconds).message);
        process.exit(givenUp);
      },
      (drainSeconds + afterwardsSeconds) * 1_000,
    );
    late.unref();
  };
  let heardAt: number | undefined;
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (heardAt === undefined) {
        heardAt = performance.now();
        begin(name);
      } else if (name === 'SIGTERM' || performance.now() - heardAt > sameMilliseconds) {
        log.info({ why: `${name} again` }, 'ending at once');
        process.exit(1);
      }
    });
  }
  if (process.env.POP_PARENT === 'watch') {
    process.stdin.on('end', () => begin('the parent is gone'));
    process.stdin.on('error', () => begin('the parent is gone'));
    process.stdin.resume();
    process.stdin.unref?.();
  }
  return { signal: controller.signal, begin };
}
