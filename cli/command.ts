/** What a file of `commands/` exports: one command, and what its help says. */
import type { Command } from 'commander';
import type { ExitCode } from './exit-codes.ts';

/** A line that can be copied as it is, and what it does. */
export interface Example {
  readonly line: string;
  readonly does: string;
}

/** A command of `pop`. */
export interface CommandSpec {
  /** The help begins with them: the usual call first. */
  readonly examples: readonly Example[];
  /** Below the examples. */
  readonly description: string;
  /** Adds its arguments and options, each with a description. */
  readonly declare?: (command: Command) => void;
  /** Does it; `command.opts()` and `command.args` hold what was given. Resolves to the exit code. */
  readonly run: (command: Command) => Promise<ExitCode>;
}
