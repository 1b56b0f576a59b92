/** Another priority for an Agenda that waits. */

import { settleReady, type WaitingEntry } from '../admission/settlement.ts';
import type { Database } from '../connect.ts';

/** What became of the change. */
export interface PriorityAnswer {
  /** `over`: it has ended, or there is none. */
  readonly state: 'waits' | 'running' | 'over';
  readonly wakeInsights: readonly string[];
}

/** Changes it. The change acts at the next batch. Repeating it is harmless; the same priority again leaves no trace. */
export async function changePriority(
  database: Database,
  { agendaId, priority, actor, cid }: { agendaId: string; priority: number; actor: string; cid: string },
): Promise<PriorityAnswer> {
  return database.$client.begin(async (sql) => {
    // The waiting row first, as for a cancel: an admission under way holds it. Then the Agenda. What has become of it
    // is read after both.
    const [[waiting], , [agenda]] = await Promise.all([
      sql<WaitingEntry[]>`
        /* changePriority: lock waiting */
        select insight_id as "insightId", customer_id as "customerId", promoted, need, priority
        from ready_agenda
        where agenda_id = ${agendaId} for update`,
      sql`
        /* changePriority: lock Agenda */
        select from agenda where id = ${agendaId} for update`,
      sql<{ priority: number; running: boolean }[]>`
        /* changePriority: Agenda */
        select a.priority, exists (select from running_agenda r where r.agenda_id = a.id) as running
        from agenda a join agenda_progress p on p.agenda_id = a.id
        where a.id = ${agendaId} and p.processing_state <> 'COMPLETE'`,
    ]);
    if (agenda === undefined) return { state: 'over', wakeInsights: [] };
    if (agenda.running) return { state: 'running', wakeInsights: [] };
    if (agenda.priority === priority) return { state: 'waits', wakeInsights: [] };
    await Promise.all([
      sql`
        /* changePriority: change */
        with changed as (
          update agenda set
            priority = ${priority},
            updated_time = greatest(clock_timestamp(), added_time + interval '1 millisecond')
          where id = ${agendaId} returning customer_id)
        insert into audit_entry (customer_id, actor, action, object_id, cid, before, after)
        select
          customer_id,
          ${actor},
          'agenda.priority',
          ${agendaId},
          ${cid},
          json_build_object('priority', ${agenda.priority}::int),
          json_build_object('priority', ${priority}::int)
        from changed`,
      ...(waiting === undefined
        ? []
        : [
            sql`
              /* changePriority: change waiting */
              update ready_agenda set priority = ${priority} where agenda_id = ${agendaId}`,
            settleReady(sql, { ...waiting, priority }),
          ]),
    ]);
    return { state: 'waits', wakeInsights: waiting === undefined ? [] : [waiting.insightId] };
  }) as Promise<PriorityAnswer>;
}
