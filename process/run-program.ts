/** The outermost frame of a program: what ends it is said in its log, and in its exit code. */
import { logLevel, SettingError } from './environment.ts';
import { createLog } from './log.ts';
import { DrainTimeoutError, givenUp } from './shutdown.ts';

/** Runs a program to its end; what it throws is logged and ends the process with 1, or 4 when it gave work up. */
export async function runProgram(part: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    const log = createLog(part, levelOrDefault());
    if (error instanceof DrainTimeoutError) {
      log.error(error.message);
      process.exit(givenUp);
    }
    if (error instanceof SettingError) log.fatal(error.message);
    else log.fatal({ err: error }, `the ${part} ended`);
    process.exit(1);
  }
}

/** The level may be what is wrong. */
function levelOrDefault(): string {
  try {
    return logLevel();
  } catch {
    return 'info';
  }
}
