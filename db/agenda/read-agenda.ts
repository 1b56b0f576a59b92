/** Reads of Agendas and their progress by id. What is not the caller's is not there. */
import { and, asc, eq, getTableColumns, gt, inArray, like, type SQL } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { Database } from '../connect.ts';
import type { Visibility } from '../list.ts';
import { agenda, agendaProgress, auditEntry, operation, operationProgress, runningAgenda } from '../schema.ts';

/** The condition that keeps to what the caller may see. */
export function visibleTo(visibility: Visibility, customerId: PgColumn): SQL | undefined {
  return visibility === 'all' ? undefined : inArray(customerId, [...visibility.accounts]);
}

/** The Agenda without its Operations. */
export async function readAgenda(database: Database, visibility: Visibility, id: string) {
  const rows = await database
    .select()
    .from(agenda)
    .where(and(eq(agenda.id, id), visibleTo(visibility, agenda.customerId)));
  return rows[0];
}

/** Operations of these Agendas, each Agenda's in submitted order. */
export function readOperations(database: Database, agendaIds: readonly string[]) {
  return database
    .select()
    .from(operation)
    .where(inArray(operation.agendaId, [...agendaIds]))
    .orderBy(asc(operation.agendaId), asc(operation.index));
}

export async function hasOperation(database: Database, agendaId: string, name: string): Promise<boolean> {
  const rows = await database
    .select({ index: operation.index })
    .from(operation)
    .where(and(eq(operation.agendaId, agendaId), eq(operation.name, name)));
  return rows.length > 0;
}

/** The AgendaProgress with what it shows of its Agenda. */
export async function readAgendaProgress(database: Database, visibility: Visibility, id: string) {
  const rows = await database
    .select({ ...getTableColumns(agendaProgress), insightId: agenda.insightId, resourcePoolId: agenda.resourcePoolId })
    .from(agendaProgress)
    .innerJoin(agenda, eq(agenda.id, agendaProgress.agendaId))
    .where(and(eq(agendaProgress.id, id), visibleTo(visibility, agendaProgress.customerId)));
  return rows[0];
}

/** Where these Agendas went. */
export async function readInsightsOf(database: Database, agendaIds: readonly string[]) {
  const rows = await database
    .select({ id: agenda.id, insightId: agenda.insightId, resourcePoolId: agenda.resourcePoolId })
    .from(agenda)
    .where(inArray(agenda.id, [...agendaIds]));
  return new Map(rows.map((row) => [row.id, row]));
}

/** When these Agendas were last admitted: of those that hold capacity from there, of those that have ended from their progress. */
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

/** OperationProgress of these Agendas, each Agenda's in submitted order. */
export function readOperationProgressOf(database: Database, agendaIds: readonly string[]) {
  return database
    .select()
    .from(operationProgress)
    .where(inArray(operationProgress.agendaId, [...agendaIds]))
    .orderBy(asc(operationProgress.agendaId), asc(operationProgress.index));
}

export async function readOperationProgress(database: Database, visibility: Visibility, id: string) {
  const rows = await database
    .select()
    .from(operationProgress)
    .where(and(eq(operationProgress.id, id), visibleTo(visibility, operationProgress.customerId)));
  return rows[0];
}

/** Those of these AgendaProgress ids that nobody needs to wait for any longer: COMPLETE, or gone. */
export async function endedProgress(database: Database, ids: readonly string[]): Promise<string[]> {
  const rows = await database
    .select({ id: agendaProgress.id, state: agendaProgress.processingState })
    .from(agendaProgress)
    .where(inArray(agendaProgress.id, [...ids]));
  const open = new Set(rows.filter((row) => row.state !== 'COMPLETE').map((row) => row.id));
  return ids.filter((id) => !open.has(id));
}

/** What happened to an Agenda, oldest first; `after` is the number of the last entry known. A setting may have been given the same id. */
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

export interface LogPosition {
  /** Of the Operation in its Agenda. */
  readonly index: number;
  readonly attempt: number;
  readonly launch: number;
}

export interface LogRow extends LogPosition {
  readonly operation: string;
  readonly output: string;
  readonly totalBytes: number;
  /** Epoch milliseconds. */
  readonly addedTime: number;
  /** How many rows there are from the page's begin to the end of all. */
  readonly left: number;
}

/**
 * Output of launches in submitted order of their Operations, then as they were launched: as many after `after` as have
 * at most `bytes` together, and one at least.
 */
export function readLogs(
  database: Database,
  agendaId: string,
  page: {
    operation: string | undefined;
    attempt: number | undefined;
    after: LogPosition;
    limit: number;
    bytes: number;
  },
): Promise<readonly LogRow[]> {
  const { operation: name = null, attempt = null, after } = page;
  return database.$client<LogRow[]>`
    with sized as (
      select l.agenda_id, l.index, l.attempt, l.launch, o.name as operation,
        sum(octet_length(l.output)) over (order by l.index, l.attempt, l.launch) as bytes,
        row_number() over (order by l.index, l.attempt, l.launch) as number
      from operation_log l join operation o on o.agenda_id = l.agenda_id and o.index = l.index
      where l.agenda_id = ${agendaId} and (${name}::text is null or o.name = ${name}) and (${attempt}::int is null or l.attempt = ${attempt})
        and (l.index, l.attempt, l.launch) > (${after.index}::int, ${after.attempt}::int, ${after.launch}::int))
    select s.operation, l.index, l.attempt, l.launch, l.output, l.total_bytes::float8 as "totalBytes",
      floor(extract(epoch from l.added_time) * 1000)::float8 as "addedTime",
      (select count(*) from sized)::int as left
    from sized s join operation_log l using (agenda_id, index, attempt, launch)
    where s.number = 1 or (s.bytes <= ${page.bytes}::bigint and s.number <= ${page.limit}::int)
    order by l.index, l.attempt, l.launch`.execute();
}
