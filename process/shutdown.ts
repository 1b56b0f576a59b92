/**
 * Orderly shutdown of a process: on SIGTERM, on SIGINT, and when the parent that asked for it (POP_PARENT=watch) is
 * gone. A second signal ends the process at once.
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

/** A parent that dies closes the pipe it holds to our stdin: no orphan stays behind. */
export function untilShutdown(log: Pick<Logger, 'info'>): Shutdown {
  const controller = new AbortController();
  const begin = (why: string) => {
    if (controller.signal.aborted) return;
    log.info({ why }, 'shutting down');
    controller.abort(new Error(why));
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
