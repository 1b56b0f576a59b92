/** Reads of Agendas by id. What is not the caller's is not there. */
import { and, asc, eq, inArray } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { type Visibility, visibleTo } from '../list.ts';
import { agenda, operation } from '../schema.ts';

/** Reads the Agenda without its Operations. */
export async function readAgenda(database: Database, visibility: Visibility, id: string) {
  const rows = await database
    .select()
    .from(agenda)
    .where(and(eq(agenda.id, id), visibleTo(visibility, agenda.customerId)));
  return rows[0];
}

/** Reads the Operations of these Agendas, each Agenda's in submitted order. */
export function readOperations(database: Database, agendaIds: readonly string[]) {
  return database
    .select()
    .from(operation)
    .where(inArray(operation.agendaId, [...agendaIds]))
    .orderBy(asc(operation.agendaId), asc(operation.index));
}

/** Whether the Agenda has an Operation of this name. */
export async function hasOperation(database: Database, agendaId: string, name: string): Promise<boolean> {
  const rows = await database
    .select({ index: operation.index })
    .from(operation)
    .where(and(eq(operation.agendaId, agendaId), eq(operation.name, name)));
  return rows.length > 0;
}
