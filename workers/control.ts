/** The program of the control worker. */
import { SettingError } from '../process/environment.ts';
import { createLog } from '../process/log.ts';
import { runControl } from './run-control.ts';

try {
  await runControl();
} catch (error) {
  const log = createLog('control');
  if (error instanceof SettingError) log.fatal(error.message);
  else log.fatal({ err: error }, 'the control worker ended');
  process.exit(1);
}
