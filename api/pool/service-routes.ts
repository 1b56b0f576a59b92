/**
 * What pool workers ask over HTTP: the work of an Operation, and where to report it. The pool is the one of the
 * credential, never one that the request names. Each function answers the endpoint of its name.
 */
import { finishOperations } from '../../db/operation/finish-operations.ts';
import { reportProgress } from '../../db/operation/report-progress.ts';
import { startOperations } from '../../db/operation/start-operations.ts';
import { tellWorker } from '../../db/pool/tell-worker.ts';
import type { FinishVerdict, ProgressVerdict, StartOperationItem, StartVerdict } from '../../messages/resource-pool.ts';
import { type Api, type ApiParts, addEndpoint, type CallOf } from '../http/endpoint.ts';
import { withoutNulls } from '../http/without-nulls.ts';
import { requireOwnLaunch, toldEnds } from './own-launch.ts';
import { poolCheck, type ServedPool } from './pool-check.ts';
import * as described from './service-descriptions.ts';

/** Adds the ResourcePool service. */
export function addResourcePoolServiceRoutes(api: Api, parts: ApiParts): void {
  const servedPool = poolCheck(parts.database);
  addEndpoint(api, parts, described.pool, async ({ c, access }) =>
    c.json({ resourcePoolId: await servedPool(c, access) }),
  );
  addEndpoint(api, parts, described.worker, async ({ c, access, cid, body }) => {
    const types = Object.fromEntries(Object.entries(body.types).map(([type, needs]) => [type, withoutNulls(needs)]));
    await tellWorker(parts.database, await servedPool(c, access), { ...body, types });
    return c.json({ cid });
  });
  addEndpoint(api, parts, described.start, (call) => start(call, parts, servedPool));
  addEndpoint(api, parts, described.report, (call) => report(call, parts, servedPool));
  addEndpoint(api, parts, described.finish, (call) => finish(call, parts, servedPool));
}

async function start(
  { c, access, body }: CallOf<typeof described.start>,
  parts: ApiParts,
  servedPool: ServedPool,
): Promise<Response> {
  const pool = await servedPool(c, access);
  const started = await startOperations(parts.database, pool, body.items);
  if (started.wakeInsights.length > 0) parts.wake(started.wakeInsights);
  return c.json({ items: await withTokens(parts, pool, body.items, started.verdicts) });
}

async function report(
  { c, access, body }: CallOf<typeof described.report>,
  { database }: ApiParts,
  servedPool: ServedPool,
): Promise<Response> {
  requireOwnLaunch(access, body.items);
  const pool = await servedPool(c, access);
  const byHandler = access.launch !== undefined;
  const items: readonly ProgressVerdict[] = await reportProgress(database, pool, body.items, byHandler);
  return c.json({ items });
}

async function finish(
  { c, access, body }: CallOf<typeof described.finish>,
  { database }: ApiParts,
  servedPool: ServedPool,
): Promise<Response> {
  requireOwnLaunch(access, body.items);
  const told = toldEnds(access, body.items);
  const items: readonly FinishVerdict[] = await finishOperations(database, await servedPool(c, access), told);
  return c.json({ items });
}

/** Each launch that is given out gets a token of its own. */
async function withTokens(
  { launchTokens }: ApiParts,
  resourcePoolId: string,
  items: readonly StartOperationItem[],
  verdicts: readonly StartVerdict[],
): Promise<readonly StartVerdict[]> {
  const launches = verdicts.flatMap((verdict, n) => {
    const item = items[n];
    if (verdict.verdict !== 'run' || item === undefined) return [];
    const { agendaId, attempt, operation } = item;
    const { operationAttempt, launch } = verdict;
    return [{ n, resourcePoolId, agendaId, attempt, operation, operationAttempt, launch }];
  });
  const tokens = await launchTokens.sign(launches);
  const given = new Map(launches.map(({ n }, position) => [n, tokens[position]]));
  return verdicts.map((verdict, n) => {
    const token = given.get(n);
    return token === undefined || verdict.verdict !== 'run' ? verdict : { ...verdict, token };
  });
}
