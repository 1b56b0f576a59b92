/** Each launch of the Operations of an Agenda: where and when, how it ended, and what was decided then. */
import type { z } from '@hono/zod-openapi';
import { hasOperation } from '../../db/agenda/read-agenda.ts';
import type { Database } from '../../db/connect.ts';
import { type AttemptRow, readAttempts } from '../../db/operation/read-attempts.ts';
import { readResourcePool } from '../../db/settings/resource-pool.ts';
import { type Access, ownedBy } from '../auth/authorize.ts';
import { type Api, type ApiParts, addEndpoint, type CallOf } from '../http/endpoint.ts';
import { readNumberCursor, writeNumberCursor } from '../http/number-cursor.ts';
import { notFound } from '../http/problem.ts';
import { withoutNulls } from '../http/without-nulls.ts';
import * as described from './attempts-descriptions.ts';
import { visibleAgenda } from './visible-agenda.ts';

/** A page ends before the launch that would bring its diagnostic events above this; it has one at least. */
const mostEventBytes = 16 * 1024 * 1024;

/** Adds the endpoint of an Agenda's launches. */
export function addAttemptsRoutes(api: Api, parts: ApiParts): void {
  addEndpoint(api, parts, described.listAttempts, listAttempts);
}

async function listAttempts(
  { c, access, cid, id, query }: CallOf<typeof described.listAttempts>,
  { database }: ApiParts,
): Promise<Response> {
  const agenda = await visibleAgenda(database, access, id);
  const { operation, attempt, limit = 100 } = query;
  const [index = -1, ofAttempt = 0, launch = 0] = query.cursor === undefined ? [] : readNumberCursor(query.cursor, 3);
  const after = { index, attempt: ofAttempt, launch };
  const [rows, hosts] = await Promise.all([
    readAttempts(database, id, { operation, attempt, after, limit, bytes: mostEventBytes }),
    maySeeHosts(database, access, agenda.resourcePoolId),
  ]);
  if (rows.length === 0 && operation !== undefined && !(await hasOperation(database, id, operation))) {
    throw notFound('Operation', operation);
  }
  const last = rows.at(-1);
  const more = last !== undefined && last.left > rows.length;
  return c.json({
    cid,
    count: rows.length,
    all: rows.map((row) => viewOf(row, { hosts, logsPath: c.req.path.replace(/attempts$/, 'logs') })),
    nextCursor: more ? writeNumberCursor(last.index, last.attempt, last.launch) : undefined,
  });
}

/** Names of hosts and directories are the pool's own. */
async function maySeeHosts(database: Database, access: Access, resourcePoolId: string): Promise<boolean> {
  if (access.superUser) return true;
  const pool = await readResourcePool(database, resourcePoolId);
  return pool !== undefined && ownedBy(access, pool.customerId);
}

function viewOf(
  row: AttemptRow,
  { hosts, logsPath }: { readonly hosts: boolean; readonly logsPath: string },
): z.input<typeof described.attemptView> {
  const { index: _, left: __, place, worker, outputBytes, operation, attempt, operationAttempt, launch, ...rest } = row;
  const query = new URLSearchParams({ operation, attempt: String(attempt), launch: String(launch) });
  return {
    ...{ operation, attempt, operationAttempt, launch },
    ...withoutNulls({ ...rest, ...(hosts ? { place, worker } : {}) }),
    ...(outputBytes === null ? {} : { output: { totalBytes: outputBytes, path: `${logsPath}?${query.toString()}` } }),
  } as z.input<typeof described.attemptView>;
}
