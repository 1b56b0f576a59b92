/** The ending of a run that was stopped. */
import type { Ending, HandlerLog } from '../launcher.ts';
import { limitEvent, type Reported, reportedEvents } from '../outcome.ts';
import type { StopRecord } from './records.ts';

/** What is told of a run that was stopped, whether it was ever there or not. */
export function stopped(
  stop: StopRecord,
  log: HandlerLog,
  endedTime: number | undefined,
  reported: Reported = {},
): Ending {
  switch (stop.reason) {
    case 'timedOut': {
      const event = limitEvent(stop.limit, stop.seconds, log, endedTime);
      return { kind: 'timedOut', limit: stop.limit, diagnosticEvents: [...reportedEvents(reported), event] };
    }
    case 'shutdown':
      return { kind: 'lost', code: 'drained', message: 'The handler was stopped with its place.' };
    default:
      return { kind: 'cancelled', message: 'The handler was stopped.' };
  }
}
