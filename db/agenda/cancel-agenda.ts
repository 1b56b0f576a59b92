/** Cancel is a row first: what waits ends at once, what runs is marked so that nothing more of it starts. */

import { settleGone, type WaitingEntry } from '../admission/settlement.ts';
import type { Database } from '../connect.ts';
import { agendaEvents } from '../event/write-events.ts';
import { endProgress } from './finish-agenda.ts';
import { skipWaiting } from './skip-waiting.ts';

/** What became of the cancel. */
export interface CancelAnswer {
  /**
   * `ended`: it waited and is over. `requested`: it runs and its workflow is to be told. `over`: it had ended before.
   */
  readonly state: 'ended' | 'requested' | 'over';
  readonly wakeInsights: readonly string[];
}

/** Asks for the end of an Agenda. Repeating it is harmless. */
export async function cancelAgenda(
  database: Database,
  { agendaId, actor, cid }: { agendaId: string; actor: string; cid?: string },
): Promise<CancelAnswer> {
  return database.$client.begin(async (sql) => {
    // The waiting row first: an admission under way holds it, and has committed when this returns.
    const [waiting] = await sql<WaitingEntry[]>`
      /* cancelAgenda: take from waiting */
      delete from ready_agenda where agenda_id = ${agendaId}
      returning insight_id as "insightId", customer_id as "customerId", promoted, need, priority`;
    const [running] = await sql`
      /* cancelAgenda: lock running */
      select 1 from running_agenda where agenda_id = ${agendaId} for update`;
    const [agenda] = await sql<{ first: boolean; attempt: number }[]>`
      /* cancelAgenda: lock Agenda */
      select a.cancel_requested_time is null as first, a.attempt
      from agenda a join agenda_progress p on p.agenda_id = a.id
      where a.id = ${agendaId} and p.processing_state <> 'COMPLETE' for update of a`;
    if (agenda === undefined) return { state: 'over', wakeInsights: [] };
    if (agenda.first) {
      await sql`
        /* cancelAgenda: mark */
        with marked as (
          update agenda set cancel_requested_time = clock_timestamp() where id = ${agendaId} returning *),
        told as (${agendaEvents(sql, 'agenda.cancelRequested', sql`(select id as agenda_id, attempt from marked)`)})
        insert into audit_entry (customer_id, actor, action, object_id, cid)
        select customer_id, ${actor}, 'agenda.cancel', id, coalesce(${cid ?? null}::text, cid) from marked`;
    }
    if (running !== undefined) return { state: 'requested', wakeInsights: [] };
    const message = waiting === undefined ? 'cancelled before it was made ready' : 'cancelled while waiting';
    const reason = `the Agenda was ${message}`;
    await Promise.all([
      // Sent at once, for the ends of its Operations come before its own.
      skipWaiting(sql, { agendaId, attempt: agenda.attempt, reason }).execute(),
      endProgress(sql, agendaId, { outcome: 'cancelled', message }, actor),
      waiting === undefined ? undefined : settleGone(sql, { ...waiting, agendaId }),
    ]);
    // Another Agenda may come next now, and capacity may have been held for this one.
    return { state: 'ended', wakeInsights: waiting === undefined ? [] : [waiting.insightId] };
  }) as Promise<CancelAnswer>;
}
