/** Structured logs: one JSON object per line on stdout, the same form in every process. */
import { type Logger, pino } from 'pino';
import { logLevel } from './environment.ts';

/** A log of one process; `part` is its name: api, control, pool. */
export function createLog(part: string, level = logLevel()): Logger {
  return pino({
    level,
    base: { part, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    messageKey: 'message',
  });
}
