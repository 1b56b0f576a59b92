/** Temporal's runtime in one of our processes: its log goes where ours goes. */
import { makeTelemetryFilterString, Runtime, type Logger as TemporalLogger } from '@temporalio/worker';
import type { Logger } from 'pino';

/**
 * Sets up Temporal's runtime with this log, and without its signal handlers: shutting down is the process's own
 * decision. Once per process, before the first Worker or connection.
 */
export function installTemporalRuntime(log: Logger): void {
  Runtime.install({
    logger: temporalLogger(log),
    shutdownSignals: [],
    telemetryOptions: { logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }) } },
  });
}

function temporalLogger(log: Logger): TemporalLogger {
  const write = { TRACE: 'trace', DEBUG: 'debug', INFO: 'debug', WARN: 'warn', ERROR: 'error' } as const;
  const at = (level: keyof typeof write, message: string, meta?: object) =>
    log[write[level]]({ temporal: meta }, message);
  return {
    log: (level, message, meta) => at(level, message, meta),
    trace: (message, meta) => at('TRACE', message, meta),
    debug: (message, meta) => at('DEBUG', message, meta),
    info: (message, meta) => at('INFO', message, meta),
    warn: (message, meta) => at('WARN', message, meta),
    error: (message, meta) => at('ERROR', message, meta),
  };
}
