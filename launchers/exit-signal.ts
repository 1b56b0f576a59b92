/** Which signal an exit code tells of, as shells and container engines write it. */
import { constants } from 'node:os';

const codeOfSignal = 128;
const deadly = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE'] as const;
const killing = ['SIGKILL', 'SIGSEGV', 'SIGPIPE', 'SIGALRM', 'SIGTERM', 'SIGXCPU', 'SIGSYS'] as const;

/** The signal that ended the program; undefined when it ended by itself. */
export function signalOf(exitCode: number): string | undefined {
  return [...deadly, ...killing].find((name) => constants.signals[name] === exitCode - codeOfSignal);
}
