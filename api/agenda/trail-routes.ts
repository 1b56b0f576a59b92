/** What an Agenda left behind, over HTTP: the output of its Operations and its audit trail. */
import { hasOperation } from '../../db/agenda/read-agenda.ts';
import { readAudit } from '../../db/agenda/read-audit.ts';
import { readLogs } from '../../db/agenda/read-logs.ts';
import { type Api, type ApiParts, addEndpoint, type CallOf } from '../http/endpoint.ts';
import { readNumberCursor, writeNumberCursor } from '../http/number-cursor.ts';
import { notFound } from '../http/problem.ts';
import * as described from './trail-descriptions.ts';
import { visibleAgenda } from './visible-agenda.ts';

/** A page of output ends before the launch that would bring it above this; it has one launch at least. */
const mostOutputBytes = 16 * 1024 * 1024;

/** Adds the endpoints of an Agenda's output and of its audit trail. */
export function addAgendaTrailRoutes(api: Api, parts: ApiParts): void {
  addEndpoint(api, parts, described.listLogs, listLogs);
  addEndpoint(api, parts, described.listAudit, listAudit);
}

async function listLogs(
  { c, access, cid, id, query }: CallOf<typeof described.listLogs>,
  { database }: ApiParts,
): Promise<Response> {
  await visibleAgenda(database, access, id);
  const { operation, attempt, launch, limit = 100 } = query;
  const [index = -1, ofAttempt = 0, ofLaunch = 0] = query.cursor === undefined ? [] : readNumberCursor(query.cursor, 3);
  const after = { index, attempt: ofAttempt, launch: ofLaunch };
  const rows = await readLogs(database, id, { operation, attempt, launch, after, limit, bytes: mostOutputBytes });
  if (rows.length === 0 && operation !== undefined && !(await hasOperation(database, id, operation))) {
    throw notFound('Operation', operation);
  }
  const all = rows.map(({ index: _, left: __, ...row }) => row);
  const last = rows.at(-1);
  const more = last !== undefined && last.left > rows.length;
  return c.json({
    cid,
    count: all.length,
    all,
    nextCursor: more ? writeNumberCursor(last.index, last.attempt, last.launch) : undefined,
  });
}

async function listAudit(
  { c, access, cid, id, query }: CallOf<typeof described.listAudit>,
  { database }: ApiParts,
): Promise<Response> {
  await visibleAgenda(database, access, id);
  const { limit = 100 } = query;
  const [after = 0] = query.cursor === undefined ? [] : readNumberCursor(query.cursor, 1);
  const rows = await readAudit(database, id, { after, limit: limit + 1 });
  const all = rows.slice(0, limit).map(({ number: _, time, before, after: made, ...row }) => ({
    time: time.getTime(),
    ...row,
    before: before ?? undefined,
    after: made ?? undefined,
  }));
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return c.json({ cid, count: all.length, all, nextCursor: last && writeNumberCursor(last.number) });
}
