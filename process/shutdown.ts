/**
 * Orderly shutdown of a process: on SIGTERM, on SIGINT, and when the parent that asked for it (POP_PARENT=watch) is
 * gone.
 */
import type { Logger } from 'pino';

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
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => begin(name));
  if (process.env.POP_PARENT === 'watch') {
    process.stdin.on('end', () => begin('the parent is gone'));
    process.stdin.on('error', () => begin('the parent is gone'));
    process.stdin.resume();
    process.stdin.unref?.();
  }
  return { signal: controller.signal, begin };
}
