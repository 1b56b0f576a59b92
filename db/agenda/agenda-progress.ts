/**
 * The roll-up of an Agenda from its Operations: weighted percent that never falls, and the heartbeat of `updatedTime`.
 */
import type { Statements } from '../connect.ts';
import { few } from '../few.ts';

/** Brings percent and updatedTime of these Agendas up to date. Agendas that have ended stay as they are. */
export function refreshAgendaProgress(sql: Statements, agendaIds: readonly string[]) {
  const given = sql`unnest(${agendaIds as string[]}::text[]) as given(agenda_id)`;
  return sql`
    /* agendaProgress: refresh */
    update agenda_progress g set
      percent_complete = greatest(g.percent_complete, least(100, s.percent)),
      updated_time = clock_timestamp()
    from ${few(sql, given, agendaIds.length)} i cross join lateral (
      select coalesce(sum(o.weight * p.percent_complete) / nullif(sum(o.weight), 0), 0) as percent
      from operation_progress p join operation o on o.agenda_id = p.agenda_id and o.index = p.index
      where p.agenda_id = i.agenda_id) s
    where g.agenda_id = i.agenda_id and g.processing_state <> 'COMPLETE'`;
}
