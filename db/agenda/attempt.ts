/**
 * One running attempt of an Agenda in the record: claimed by a workflow run, settled Operation by Operation, finished
 * once.
 *
 *   running_agenda row --claimAttempt--> holds run_id --finishAgenda--> row gone, AgendaProgress COMPLETE
 *
 * Each function on the way (claim-attempt.ts, settle-operations.ts, finish-agenda.ts) is conditional on agenda, attempt
 * and chain of runs, and idempotent: a workflow may ask again after any crash. A chain is all runs of one workflow that
 * have the same first run: those it continued as, and those that a reset made of them.
 */
import type { DiagnosticEvent } from '../../agenda/types.ts';
import type { Database, Statements } from '../connect.ts';
import { storable } from '../storable.ts';

/** Names an attempt. */
export interface AttemptKey {
  readonly agendaId: string;
  readonly attempt: number;
}

/** A workflow run, and the chain it belongs to; what comes from version 0.1.0 has the run alone. */
export interface ClaimingRun {
  readonly runId: string;
  readonly workflowId?: string;
  readonly firstRunId?: string;
}

/**
 * Whether a row among the running is claimed by this run or by another of its chain. A claim without a chain is of the
 * first run of one.
 */
export const isOfChain = (
  sql: Statements | Database['$client'],
  {
    runId,
    workflowId = null,
    firstRunId = null,
  }: { runId: string; workflowId?: string | null; firstRunId?: string | null },
) => sql`(
  run_id = ${runId}
  or (coalesce(first_run_id, run_id) = ${firstRunId} and coalesce(workflow_id, ${workflowId}) = ${workflowId}))`;

/** Diagnostics as JSON that Postgres takes for `json` and for `jsonb`. */
export const eventsText = (...events: DiagnosticEvent[]): string =>
  JSON.stringify(events.map((event) => ({ ...event, message: storable(event.message) })));
