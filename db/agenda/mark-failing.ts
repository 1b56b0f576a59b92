import type { Statements } from '../connect.ts';
import { agendaEvents } from '../event/write-events.ts';

/**
 * Says of these Agendas that they cannot succeed any more, as far as an Operation of theirs ended other than
 * `succeeded`. So it is with the policy of today, `stopNew`. For the transaction in which that Operation ends.
 * Undefined: no Agendas.
 */
export function markFailing(sql: Statements, agendaIds: readonly string[]) {
  if (agendaIds.length === 0) return undefined;
  const ofMarked = sql`(select a.id as agenda_id, a.attempt from marked join agenda a on a.id = marked.agenda_id)`;
  return sql`
    /* markFailing: mark */
    with marked as (
      update agenda_progress g set failing = true, updated_time = clock_timestamp()
      where g.agenda_id = any(${agendaIds as string[]}) and not g.failing and g.processing_state <> 'COMPLETE'
        and exists (select from operation_progress p where p.agenda_id = g.agenda_id
          and p.processing_state = 'COMPLETE' and p.processing_state_message <> 'succeeded')
      returning g.agenda_id)
    ${agendaEvents(sql, 'agenda.failing', ofMarked)}`;
}
