/** What the exit code of `pop` says: the same of every command, so that scripts can go by it. */

/** The codes; docs/operations.md has the same table. */
export const exitCodes = {
  /** What was asked for is done. */
  done: 0,
  /** It was tried and failed. */
  failed: 1,
  /** The call was wrong: an unknown command or option, a missing or wrong setting. Nothing was tried. */
  usage: 2,
  /** The other side refused: the key, what it may do, or that the object allows it now. */
  refused: 3,
  /** It took longer than it may. */
  timedOut: 4,
  /** The other side did not answer, or cannot serve now. */
  unreachable: 5,
} as const;

/** One of `exitCodes`. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The last lines of the help of `pop`. */
export const exitCodesHelp =
  'Exit codes: 0 done, 1 failed, 2 wrong call or setting, 3 refused, 4 timed out, 5 unreachable.';

/** A command that ends with this code, for a reason that its user understands without a stack. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CommandError';
    this.exitCode = exitCode;
  }
}

/** What the status of an answer of the api means. */
export function exitCodeOfStatus(status: number): ExitCode {
  if (status < 400) return exitCodes.done;
  if (status === 408 || status === 504) return exitCodes.timedOut;
  // Too many requests: it can be asked again, as with an api that is not ready.
  if (status === 429 || status === 502 || status === 503) return exitCodes.unreachable;
  return status < 500 ? exitCodes.refused : exitCodes.failed;
}

/** The code of whatever a command threw. */
export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof CommandError ? error.exitCode : exitCodes.failed;
}
