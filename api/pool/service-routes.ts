/**
 * What pool workers ask over HTTP: the work of an Operation, and where to report it. The pool is the one of the
 * credential, never one that the request names. Each function answers the endpoint of its name.
 */
import { finishOperations } from '../../db/operation/finish-operations.ts';
import { reportProgress } from '../../db/operation/report-progress.ts';
import { startOperations } from '../../db/operation/start-operations.ts';
import type { FinishVerdict, ProgressVerdict, StartVerdict } from '../../messages/resource-pool.ts';
import type { Access } from '../auth/authorize.ts';
import { type Api, type ApiParts, addEndpoint, type CallOf } from '../http/endpoint.ts';
import { forbidden } from '../http/problem.ts';
import * as described from './service-descriptions.ts';

/** Adds the ResourcePool service. */
export function addResourcePoolServiceRoutes(api: Api, parts: ApiParts): void {
  addEndpoint(api, parts, described.start, start);
  addEndpoint(api, parts, described.report, report);
  addEndpoint(api, parts, described.finish, finish);
}

async function start({ c, access, body }: CallOf<typeof described.start>, parts: ApiParts): Promise<Response> {
  const started = await startOperations(parts.database, poolOf(access), body.items);
  if (started.wakeInsights.length > 0) parts.wake(started.wakeInsights);
  return c.json({ items: started.verdicts satisfies readonly StartVerdict[] });
}

async function report({ c, access, body }: CallOf<typeof described.report>, { database }: ApiParts): Promise<Response> {
  const items: readonly ProgressVerdict[] = await reportProgress(database, poolOf(access), body.items);
  return c.json({ items });
}

async function finish({ c, access, body }: CallOf<typeof described.finish>, { database }: ApiParts): Promise<Response> {
  const items: readonly FinishVerdict[] = await finishOperations(database, poolOf(access), body.items);
  return c.json({ items });
}

function poolOf({ pool }: Access): string {
  if (pool === undefined) throw forbidden('This needs a credential with a scope pool:<id>.');
  return pool;
}
