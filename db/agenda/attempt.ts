/**
 * One running attempt of an Agenda in the record: claimed by a workflow run, settled Operation by Operation, finished
 * once.
 *
 *   running_agenda row --claimAttempt--> holds run_id --finishAgenda--> row gone, AgendaProgress COMPLETE
 *
 * Each function on the way (claim-attempt.ts, settle-operations.ts, finish-agenda.ts) is conditional on agenda, attempt
 * and run, and idempotent: a workflow may ask again after any crash.
 */
import type { DiagnosticEvent } from '../../agenda/types.ts';
import { storable } from '../storable.ts';

/** Names an attempt. */
export interface AttemptKey {
  readonly agendaId: string;
  readonly attempt: number;
}

/** Diagnostics as JSON that Postgres takes for `json` and for `jsonb`. */
export const eventsText = (...events: DiagnosticEvent[]): string =>
  JSON.stringify(events.map((event) => ({ ...event, message: storable(event.message) })));
