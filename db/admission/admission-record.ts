/** How an attempt of an Agenda was admitted: what the record keeps of each admission. */
import { and, eq } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { admission } from '../schema.ts';

/** A row of `admission`. */
export type AdmissionRow = typeof admission.$inferSelect;

/** Reads a record. Undefined while the attempt waits, and once the record is old enough to be gone. */
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
