/**
 * What pool workers ask over HTTP: the work of an Operation, and where to report it. The pool is the one of the
 * credential, never one that the request names. Each function answers the endpoint of its name.
 */
import { finishOperations } from '../../db/operation/finish-operations.ts';
import { reportProgress } from '../../db/operation/report-progress.ts';
import { startOperations } from '../../db/operation/start-operations.ts';
import type { FinishVerdict, ProgressVerdict, StartVerdict } from '../../messages/resource-pool.ts';
import { type Api, type ApiParts, addEndpoint, type CallOf } from '../http/endpoint.ts';
import { poolCheck, type ServedPool } from './pool-check.ts';
import * as described from './service-descriptions.ts';

/** Adds the ResourcePool service. */
export function addResourcePoolServiceRoutes(api: Api, parts: ApiParts): void {
  const servedPool = poolCheck(parts.database);
  addEndpoint(api, parts, described.pool, async ({ c, access }) =>
    c.json({ resourcePoolId: await servedPool(c, access) }),
  );
  addEndpoint(api, parts, described.start, (call) => start(call, parts, servedPool));
  addEndpoint(api, parts, described.report, (call) => report(call, parts, servedPool));
  addEndpoint(api, parts, described.finish, (call) => finish(call, parts, servedPool));
}

async function start(
  { c, access, body }: CallOf<typeof described.start>,
  { database, wake }: ApiParts,
  servedPool: ServedPool,
): Promise<Response> {
  const started = await startOperations(database, await servedPool(c, access), body.items);
  if (started.wakeInsights.length > 0) wake(started.wakeInsights);
  return c.json({ items: started.verdicts satisfies readonly StartVerdict[] });
}

async function report(
  { c, access, body }: CallOf<typeof described.report>,
  { database }: ApiParts,
  servedPool: ServedPool,
): Promise<Response> {
  const items: readonly ProgressVerdict[] = await reportProgress(database, await servedPool(c, access), body.items);
  return c.json({ items });
}

async function finish(
  { c, access, body }: CallOf<typeof described.finish>,
  { database }: ApiParts,
  servedPool: ServedPool,
): Promise<Response> {
  const items: readonly FinishVerdict[] = await finishOperations(database, await servedPool(c, access), body.items);
  return c.json({ items });
}
