/** The record of admissions is kept for a while only. */
import type { Database } from '../connect.ts';

/** Portions keep each statement short, and what it locks and what its commit writes small. */
const mostPerPortion = 5_000;

/**
 * Deletes admissions older than so many days, at most `most` of them; returns how many went. Agendas that still run
 * keep theirs.
 */
export async function deleteOldAdmissions(database: Database, days: number, most = 50_000): Promise<number> {
  let deleted = 0;
  while (deleted < most) {
    const portion = Math.min(mostPerPortion, most - deleted);
    const { count } = await database.$client`
      /* deleteOldAdmissions: portion */
      delete from admission where (agenda_id, attempt) in (
        select a.agenda_id, a.attempt from admission a
        where a.admitted_time < clock_timestamp() - make_interval(secs => ${days * 86_400})
          and not exists (
            select 1 from running_agenda r where r.agenda_id = a.agenda_id and r.attempt = a.attempt)
          -- Its end is still to be taken in: that needs what it was charged.
          and (a.ended_time is not null
            or a.admitted_time < clock_timestamp() - make_interval(secs => ${2 * days * 86_400}))
        order by a.admitted_time limit ${portion} for update skip locked)`;
    deleted += count;
    if (count < portion) break;
  }
  return deleted;
}
