/** What an earlier run of an Operation left, for the next one to go on from. */
import { cut } from '../../agenda/cut.ts';
import { mostLastProgressBytes } from '../../messages/limits.ts';
import type { OperationRow } from './fence.ts';

/** What the record says of the earlier run. */
export type EarlierRun = Pick<
  OperationRow,
  | 'progress_id'
  | 'processing_state'
  | 'processing_state_message'
  | 'percent_complete'
  | 'attempt_count'
  | 'params'
  | 'diagnostic_events'
>;

/** Characters of the message where there is little room: it is for people, and the record has the whole. */
const shortMessageCharacters = 200;

/**
 * The last progress in the shape of POP's LAST_PROGRESS, never more than one Secret holds. Where it would be more, its
 * diagnostic events go first, for no handler goes on from them; then `params`. An event says what is missing.
 */
export function lastProgressOf(run: EarlierRun, operation: string): string {
  const { params, diagnostic_events: events } = run;
  const told = {
    id: run.progress_id,
    operation,
    processingState: run.processing_state,
    processingStateMessage: run.processing_state_message,
    percentComplete: run.percent_complete,
    attemptCount: run.attempt_count,
  };
  const kept = params === null ? {} : { params };
  const whole = JSON.stringify({ ...told, ...kept, ...(events === null ? {} : { diagnosticEvents: events }) });
  const bytes = Buffer.byteLength(whole);
  if (bytes <= mostLastProgressBytes) return whole;
  const short = { ...told, processingStateMessage: cut(run.processing_state_message, shortMessageCharacters) };
  const without = (missing: string) => [
    {
      code: 'lastProgressCut',
      message: `The last progress has ${bytes} bytes; the limit is ${mostLastProgressBytes}. Left out: ${missing}.`,
    },
  ];
  const count = events?.length ?? 0;
  const resumable = JSON.stringify({ ...short, ...kept, diagnosticEvents: without(`${count} diagnostic events`) });
  if (Buffer.byteLength(resumable) <= mostLastProgressBytes) return resumable;
  return JSON.stringify({ ...short, diagnosticEvents: without(`params, and ${count} diagnostic events`) });
}
