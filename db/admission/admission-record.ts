/** How an attempt of an Agenda was admitted: what the record keeps of each admission. */
import { and, eq } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { admission } from '../schema.ts';

/** A row of `admission`. */
export type AdmissionRow = typeof admission.$inferSelect;

/** Undefined while it waits, and once the record is old enough to be gone. */
export async function readAdmission(
  database: Database,
  agendaId: string,
  attempt: number,
): Promise<AdmissionRow | undefined> {
  return (
    await database
      .select()
      .from(admission)
      .where(and(eq(admission.agendaId, agendaId), eq(admission.attempt, attempt)))
  )[0];
}

/** Portions keep each statement short, and what it locks and what its commit writes small. */
const mostPerPortion = 5_000;

/** Deletes admissions older than so many days, at most `most` of them; returns how many went. Agendas that still run keep theirs. */
export async function deleteOldAdmissions(database: Database, days: number, most = 50_000): Promise<number> {
  let deleted = 0;
  while (deleted < most) {
    const portion = Math.min(mostPerPortion, most - deleted);
    const { count } = await database.$client`
      /* deleteOldAdmissions */
      delete from admission where (agenda_id, attempt) in (
        select a.agenda_id, a.attempt from admission a
        where a.admitted_time < clock_timestamp() - make_interval(secs => ${days * 86_400})
          and not exists (select 1 from running_agenda r where r.agenda_id = a.agenda_id and r.attempt = a.attempt)
          -- Its end is still to be taken in: that needs what it was charged.
          and (a.ended_time is not null or a.admitted_time < clock_timestamp() - make_interval(secs => ${2 * days * 86_400}))
        order by a.admitted_time limit ${portion} for update skip locked)`;
    deleted += count;
    if (count < portion) break;
  }
  return deleted;
}
