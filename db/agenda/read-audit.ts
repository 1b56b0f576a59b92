/** The audit trail of an Agenda. */
import { and, asc, eq, gt, like } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { auditEntry } from '../schema.ts';

/**
 * Reads what happened to an Agenda, oldest first; `after` is the number of the last entry known. A setting may have
 * been given the same id, so the action counts too.
 */
export function readAudit(database: Database, agendaId: string, page: { after: number; limit: number }) {
  return database
    .select()
    .from(auditEntry)
    .where(
      and(eq(auditEntry.objectId, agendaId), like(auditEntry.action, 'agenda.%'), gt(auditEntry.number, page.after)),
    )
    .orderBy(asc(auditEntry.number))
    .limit(page.limit);
}
