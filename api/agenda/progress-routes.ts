/** How far Agendas and Operations are, over HTTP. Each function answers the endpoint of its name. */
import { listAgendaProgress, listOperationProgress } from '../../db/agenda/list-agenda.ts';
import {
  readAdmittedTimes,
  readAgendaProgress,
  readOperationProgress,
  readOperationProgressOf,
} from '../../db/agenda/read-progress.ts';
import { visibilityOf } from '../auth/authorize.ts';
import { type Api, type ApiParts, addEndpoint, type CallOf } from '../http/endpoint.ts';
import { onlyFields } from '../http/list-fields.ts';
import { notFound } from '../http/problem.ts';
import { agendaProgressView, operationProgressView } from './agenda-view.ts';
import * as described from './progress-descriptions.ts';
import { ProgressWaiters } from './progress-waiters.ts';

/** For the log: nginx's number for a client that went away. */
const clientGone = 499;

/** Adds the endpoints of AgendaProgress and OperationProgress. */
export function addProgressRoutes(api: Api, parts: ApiParts): void {
  const waiters = new ProgressWaiters(parts.database, parts.drain === undefined ? {} : { drain: parts.drain });
  addEndpoint(api, parts, described.listAgendas, listAgendas);
  addEndpoint(api, parts, described.readAgenda, (call) => readAgenda(call, parts, waiters));
  addEndpoint(api, parts, described.listOperations, listOperations);
  addEndpoint(api, parts, described.readOperation, readOperation);
}

async function listAgendas(
  { c, access, cid, query }: CallOf<typeof described.listAgendas>,
  parts: ApiParts,
): Promise<Response> {
  const { fields } = query;
  const joined = fields?.has('operationProgress') === true;
  const page = await listAgendaProgress(parts.database, visibilityOf(access), query, joined);
  const agendaIds = page.all.map((row) => row.agendaId);
  const byAgenda = joined ? await operationProgressOf(parts, agendaIds) : undefined;
  const all = page.all.map((row) =>
    onlyFields(agendaProgressView(row, byAgenda && (byAgenda.get(row.agendaId) ?? [])), fields),
  );
  return c.json({ cid, count: page.count, all, nextCursor: page.nextCursor });
}

async function readAgenda(
  { c, access, id, query }: CallOf<typeof described.readAgenda>,
  parts: ApiParts,
  waiters: ProgressWaiters,
): Promise<Response> {
  const visibility = visibilityOf(access);
  const waited = query.wait ?? 0;
  let row = await readAgendaProgress(parts.database, visibility, id);
  if (waited > 0 && row !== undefined && row.processingState !== 'COMPLETE') {
    await waiters.untilEnded(id, waited, c.req.raw.signal);
    // Nobody reads the answer: thousands of waits that are dropped at once must not cost thousands of reads.
    if (c.req.raw.signal.aborted) return new Response(null, { status: clientGone });
    row = await readAgendaProgress(parts.database, visibility, id);
  }
  if (row === undefined) throw notFound('AgendaProgress', id);
  const operations = await operationProgressOf(parts, [row.agendaId]);
  return c.json(agendaProgressView(row, operations.get(row.agendaId) ?? []));
}

async function listOperations(
  { c, access, cid, query }: CallOf<typeof described.listOperations>,
  { database }: ApiParts,
): Promise<Response> {
  const { fields } = query;
  const whole = described.largeMembers.some((name) => fields?.has(name));
  const page = await listOperationProgress(database, visibilityOf(access), query, whole);
  const admitted = await readAdmittedTimes(database, [...new Set(page.all.map((row) => row.agendaId))]);
  const all = page.all.map((row) =>
    onlyFields(operationProgressView({ ...row, admittedTime: admitted.get(row.agendaId) ?? null }), fields),
  );
  return c.json({ cid, count: page.count, all, nextCursor: page.nextCursor });
}

async function readOperation(
  { c, access, id }: CallOf<typeof described.readOperation>,
  { database }: ApiParts,
): Promise<Response> {
  const row = await readOperationProgress(database, visibilityOf(access), id);
  if (row === undefined) throw notFound('OperationProgress', id);
  const admitted = await readAdmittedTimes(database, [row.agendaId]);
  return c.json(operationProgressView({ ...row, admittedTime: admitted.get(row.agendaId) ?? null }));
}

/** Per Agenda its OperationProgress in submitted order. */
async function operationProgressOf({ database }: ApiParts, agendaIds: readonly string[]) {
  const [rows, admitted] = await Promise.all([
    readOperationProgressOf(database, agendaIds),
    readAdmittedTimes(database, agendaIds),
  ]);
  return Map.groupBy(
    rows.map((row) => ({ ...row, admittedTime: admitted.get(row.agendaId) ?? null })),
    (row) => row.agendaId,
  );
}
