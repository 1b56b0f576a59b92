/** The Operations of an Agenda that ends: none is left without an end. */
import type { Statements } from '../connect.ts';
import { operationEvents } from '../event/write-events.ts';
import { storable } from '../storable.ts';

/**
 * Ends what never ran: `skipped`, with the reason. For the transaction that ends the Agenda; nothing executes any
 * more then. What ended under a version that knew no outcomes gets its outcome: what was the message then.
 */
export function skipWaiting(
  sql: Statements,
  { agendaId, attempt, reason }: { agendaId: string; attempt: number; reason: string },
) {
  const message = storable(`Not started: ${reason}`);
  const why = JSON.stringify([{ message, code: 'skipped', time: Date.now() }]);
  return sql`
    /* skipWaiting: end */
    with named as (
      update operation_progress set outcome = processing_state_message
      where agenda_id = ${agendaId} and processing_state = 'COMPLETE' and outcome is null),
    skipped as (
      update operation_progress set processing_state = 'COMPLETE',
        processing_state_message = 'skipped', outcome = 'skipped', blocked_reason = null, blocked_since = null,
        diagnostic_events = ${why}::text::json, completed_time = clock_timestamp(), updated_time = clock_timestamp()
      where agenda_id = ${agendaId} and processing_state = 'WAITING'
      returning agenda_id, index)
    ${operationEvents(
      sql,
      sql`(
        select agenda_id, ${attempt}::int as attempt, 'operation.complete' as kind, index,
          null::int as launch, null::int as operation_attempt, 'skipped' as outcome,
          null::text as category, null::text as code,
          ${message}::text as message
        from skipped)`,
    )}`;
}
