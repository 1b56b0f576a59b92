/**
 * The roll-up of an Agenda from its Operations: weighted percent that never falls, and the heartbeat of `updatedTime`.
 */
import type { Statements } from '../connect.ts';

/** Brings percent and updatedTime of these Agendas up to date. Agendas that have ended stay as they are. */
export function refreshAgendaProgress(sql: Statements, agendaIds: readonly string[]) {
  return sql`
    /* agendaProgress: refresh */
    update agenda_progress g set
      percent_complete = greatest(g.percent_complete, least(100, s.percent)),
      updated_time = clock_timestamp()
    from (
      select
        p.agenda_id,
        coalesce(sum(o.weight * p.percent_complete) / nullif(sum(o.weight), 0), 0) as percent
      from operation_progress p join operation o on o.agenda_id = p.agenda_id and o.index = p.index
      where p.agenda_id = any(${agendaIds as string[]}) group by p.agenda_id) s
    where g.agenda_id = s.agenda_id and g.processing_state <> 'COMPLETE'`;
}
