/**
 * Lists of Agendas and of progress, newest Agendas first. Payloads are read only when asked for, and then pages end
 * early rather than grow without bound.
 */
import { and, count, eq, exists, getTableColumns, inArray, type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { AgendaOutcome, OperationOutcome } from '../../agenda/outcomes.ts';
import type { ProcessingState } from '../../agenda/types.ts';
import type { Database } from '../connect.ts';
import { equals, type ListFilter, type ListSource, listPage, listRows, type Page, type Visibility } from '../list.ts';
import { agenda, agendaProgress, operation, operationProgress } from '../schema.ts';

/** A page ends before the object that would bring its payloads above this many bytes; it has one at least. */
export const mostPayloadBytesPerPage = 32 * 1024 * 1024;

/** Filters of a list of Agendas. */
export interface AgendaFilter extends ListFilter {
  readonly byId?: string | undefined;
  readonly byCid?: string | undefined;
  readonly byLinkId?: string | undefined;
  readonly byCustomerId?: string | undefined;
  readonly byTitle?: string | undefined;
  readonly byInsightId?: string | undefined;
  readonly byResourcePoolId?: string | undefined;
  readonly byState?: ProcessingState | undefined;
}

/** Filters of a list of AgendaProgress. */
export interface AgendaProgressFilter extends AgendaFilter {
  readonly byAgendaId?: string | undefined;
  readonly byExternalId?: string | undefined;
  readonly byOutcome?: AgendaOutcome | undefined;
}

/** Filters of a list of OperationProgress. */
export interface OperationProgressFilter extends ListFilter {
  readonly byId?: string | undefined;
  readonly byCid?: string | undefined;
  readonly byCustomerId?: string | undefined;
  readonly byAgendaProgressId?: string | undefined;
  readonly byAgendaId?: string | undefined;
  readonly byOperation?: string | undefined;
  readonly byState?: ProcessingState | undefined;
  readonly byOutcome?: OperationOutcome | undefined;
}

/** Lists Agendas; `payloads` when their Operations are going to be read too. */
export function listAgendas(database: Database, visibility: Visibility, filter: AgendaFilter, payloads: boolean) {
  const source = {
    table: agenda,
    key: agenda.id,
    owner: agenda.customerId,
    addedTime: agenda.addedTime,
    descending: true,
  };
  const conditions = [
    equals(agenda.id, filter.byId),
    equals(agenda.cid, filter.byCid),
    equals(agenda.linkId, filter.byLinkId),
    equals(agenda.customerId, filter.byCustomerId),
    equals(agenda.title, filter.byTitle),
    equals(agenda.insightId, filter.byInsightId),
    equals(agenda.resourcePoolId, filter.byResourcePoolId),
    filter.byState === undefined
      ? undefined
      : exists(
          database
            .select({ one: sql`1` })
            .from(agendaProgress)
            .where(and(eq(agendaProgress.agendaId, agenda.id), eq(agendaProgress.processingState, filter.byState))),
        ),
  ];
  const page = (limit: number | undefined) => listRows(database, source, visibility, { ...filter, limit }, conditions);
  if (!payloads) return page(filter.limit);
  return pageWithin(page, filter.limit, (rows) =>
    sizes(
      database,
      operation.agendaId,
      sql`octet_length(${operation.payload})`,
      rows.map((row) => row.id),
    ),
  );
}

/** Lists AgendaProgress with what it shows of its Agenda; `payloads` when the Operations are going to be read too. */
export function listAgendaProgress(
  database: Database,
  visibility: Visibility,
  filter: AgendaProgressFilter,
  payloads: boolean,
) {
  const source = {
    key: agendaProgress.id,
    owner: agendaProgress.customerId,
    addedTime: agendaProgress.addedTime,
    descending: true,
  } satisfies ListSource;
  const conditions = [
    equals(agendaProgress.id, filter.byId),
    equals(agendaProgress.cid, filter.byCid),
    equals(agendaProgress.linkId, filter.byLinkId),
    equals(agendaProgress.customerId, filter.byCustomerId),
    equals(agendaProgress.title, filter.byTitle),
    equals(agendaProgress.agendaId, filter.byAgendaId),
    equals(agendaProgress.externalId, filter.byExternalId),
    equals(agendaProgress.processingState, filter.byState),
    equals(agendaProgress.outcome, filter.byOutcome),
    equals(agenda.insightId, filter.byInsightId),
    equals(agenda.resourcePoolId, filter.byResourcePoolId),
  ];
  const columns = {
    ...getTableColumns(agendaProgress),
    insightId: agenda.insightId,
    resourcePoolId: agenda.resourcePoolId,
  };
  const joined = eq(agenda.id, agendaProgress.agendaId);
  const page = (limit: number | undefined) =>
    listPage(source, visibility, { ...filter, limit }, conditions, {
      select: (where, order, most) =>
        database.select(columns).from(agendaProgress).innerJoin(agenda, joined).where(where).orderBy(order).limit(most),
      count: (where) =>
        countOf(database.select({ count: count() }).from(agendaProgress).innerJoin(agenda, joined).where(where)),
      keyOf: (row) => row.id,
    });
  if (!payloads) return page(filter.limit);
  return pageWithin(page, filter.limit, (rows) =>
    sizes(
      database,
      operationProgress.agendaId,
      payloadBytes,
      rows.map((row) => row.agendaId),
    ),
  );
}

const payloadBytes = sql`coalesce(octet_length(${operationProgress.resultPayload}), 0)
  + coalesce(octet_length(${operationProgress.diagnosticEvents}::text), 0)
  + coalesce(octet_length(${operationProgress.params}::text), 0)`;

/** Lists OperationProgress; without `payloads` result, diagnostics and params are not read. */
export async function listOperationProgress(
  database: Database,
  visibility: Visibility,
  filter: OperationProgressFilter,
  payloads: boolean,
) {
  const source = {
    key: operationProgress.id,
    owner: operationProgress.customerId,
    addedTime: operationProgress.addedTime,
  };
  const conditions = [
    equals(operationProgress.id, filter.byId),
    equals(operationProgress.cid, filter.byCid),
    equals(operationProgress.customerId, filter.byCustomerId),
    equals(operationProgress.agendaProgressId, filter.byAgendaProgressId),
    equals(operationProgress.agendaId, filter.byAgendaId),
    equals(operationProgress.operation, filter.byOperation),
    equals(operationProgress.processingState, filter.byState),
    equals(operationProgress.outcome, filter.byOutcome),
    // Said for plans that do not know the value: the index has only these.
    filter.byOutcome === undefined || filter.byOutcome === 'succeeded'
      ? undefined
      : sql`${operationProgress.outcome} <> 'succeeded'`,
  ];
  const columns = {
    ...getTableColumns(operationProgress),
    ...(payloads ? {} : { resultPayload: sql<null>`null`, diagnosticEvents: sql<null>`null`, params: sql<null>`null` }),
  };
  const page = (limit: number | undefined) =>
    listPage(source, visibility, { ...filter, limit }, conditions, {
      select: (where, order, most) =>
        database.select(columns).from(operationProgress).where(where).orderBy(order).limit(most),
      count: (where) => countOf(database.select({ count: count() }).from(operationProgress).where(where)),
      keyOf: (row) => row.id,
    });
  if (!payloads || filter.countOnly === true) return page(filter.limit);
  // A page of sizes first, so that what is too much is never read.
  const sized = await listPage(source, visibility, filter, conditions, {
    select: (where, order, most) =>
      database
        .select({ id: operationProgress.id, bytes: payloadBytes.mapWith(Number) })
        .from(operationProgress)
        .where(where)
        .orderBy(order)
        .limit(most),
    count: () => Promise.resolve(0),
    keyOf: (row) => row.id,
  });
  return page(fitting(sized.all.map((row) => row.bytes)));
}

async function countOf(rows: PromiseLike<{ count: number }[]>): Promise<number> {
  return (await rows)[0]?.count ?? 0;
}

/** Bytes of payload per Agenda, in the order of `agendaIds`. */
async function sizes(
  database: Database,
  agendaId: PgColumn,
  bytes: SQL,
  agendaIds: readonly string[],
): Promise<number[]> {
  if (agendaIds.length === 0) return [];
  const rows = await database
    .select({ agendaId: sql<string>`${agendaId}`, bytes: sql<number>`coalesce(sum(${bytes}), 0)::float8` })
    .from(agendaId.table)
    .where(inArray(agendaId, [...agendaIds]))
    .groupBy(agendaId);
  const byId = new Map(rows.map((row) => [row.agendaId, row.bytes]));
  return agendaIds.map((id) => byId.get(id) ?? 0);
}

async function pageWithin<Row>(
  page: (limit: number | undefined) => Promise<Page<Row>>,
  limit: number | undefined,
  sizesOf: (rows: readonly Row[]) => Promise<number[]>,
): Promise<Page<Row>> {
  const whole = await page(limit);
  const most = fitting(await sizesOf(whole.all));
  return most < whole.all.length ? page(most) : whole;
}

/** How many from the start stay within the limit; one at least. */
function fitting(bytes: readonly number[]): number {
  let total = 0;
  const most = bytes.findIndex((size) => {
    total += size;
    return total > mostPayloadBytesPerPage;
  });
  return Math.max(1, most < 0 ? bytes.length : most);
}
