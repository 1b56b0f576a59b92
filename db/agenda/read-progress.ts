/** Reads of progress by id. What is not the caller's is not there. */
import { and, asc, eq, getTableColumns, inArray } from 'drizzle-orm';
import type { Database } from '../connect.ts';
import { type Visibility, visibleTo } from '../list.ts';
import { agenda, agendaProgress, operationProgress, runningAgenda } from '../schema.ts';

/** Reads the AgendaProgress with what it shows of its Agenda. */
export async function readAgendaProgress(database: Database, visibility: Visibility, id: string) {
  const rows = await database
    .select({ ...getTableColumns(agendaProgress), insightId: agenda.insightId, resourcePoolId: agenda.resourcePoolId })
    .from(agendaProgress)
    .innerJoin(agenda, eq(agenda.id, agendaProgress.agendaId))
    .where(and(eq(agendaProgress.id, id), visibleTo(visibility, agendaProgress.customerId)));
  return rows[0];
}

/**
 * Reads when these Agendas were last admitted. One that holds capacity has its time there; one that has ended has it in
 * its progress.
 */
export async function readAdmittedTimes(database: Database, agendaIds: readonly string[]) {
  const rows = await database
    .select({
      agendaId: agendaProgress.agendaId,
      running: runningAgenda.admittedTime,
      ended: agendaProgress.admittedTime,
    })
    .from(agendaProgress)
    .leftJoin(runningAgenda, eq(runningAgenda.agendaId, agendaProgress.agendaId))
    .where(inArray(agendaProgress.agendaId, [...agendaIds]));
  return new Map(rows.map((row) => [row.agendaId, row.running ?? row.ended]));
}

/** Reads the OperationProgress of these Agendas, each Agenda's in submitted order. */
export function readOperationProgressOf(database: Database, agendaIds: readonly string[]) {
  return database
    .select()
    .from(operationProgress)
    .where(inArray(operationProgress.agendaId, [...agendaIds]))
    .orderBy(asc(operationProgress.agendaId), asc(operationProgress.index));
}

/** Reads one OperationProgress. */
export async function readOperationProgress(database: Database, visibility: Visibility, id: string) {
  const rows = await database
    .select()
    .from(operationProgress)
    .where(and(eq(operationProgress.id, id), visibleTo(visibility, operationProgress.customerId)));
  return rows[0];
}

/** Picks the AgendaProgress ids that nobody needs to wait for any longer: COMPLETE, or gone. */
export async function endedProgress(database: Database, ids: readonly string[]): Promise<string[]> {
  const rows = await database
    .select({ id: agendaProgress.id, state: agendaProgress.processingState })
    .from(agendaProgress)
    .where(inArray(agendaProgress.id, [...ids]));
  const open = new Set(rows.filter((row) => row.state !== 'COMPLETE').map((row) => row.id));
  return ids.filter((id) => !open.has(id));
}
