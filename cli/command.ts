/** A command of `pop`. */
export interface Command {
  /** Its options, for people. */
  readonly help: string;
  /** Resolves to the exit code. */
  readonly run: (args: readonly string[]) => Promise<number>;
}
