/**
 * The HTTP interface as one app. What holds for every request is here: its correlation id, its line in the log, its
 * count in the metrics, and how errors are answered. What an object can do is in the folder of its family. The checks
 * that every endpoint makes are in http/endpoint.ts. The app knows no processes: `workers/api.ts` serves it.
 */
import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context, MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import { v7 as uuidv7 } from 'uuid';
import { cut } from '../agenda/cut.ts';
import { maximumIdBytes } from '../agenda/types.ts';
import { failedQuery, isDatabaseAway } from '../db/connect.ts';
import { BadCursorError } from '../db/list.ts';
import { addAgendaRoutes } from './agenda/agenda-routes.ts';
import { addAttemptsRoutes } from './agenda/attempts-routes.ts';
import { addExplainRoutes } from './agenda/explain-routes.ts';
import { addAgendaPriorityRoutes } from './agenda/priority-routes.ts';
import { addProgressRoutes } from './agenda/progress-routes.ts';
import { addAgendaTrailRoutes } from './agenda/trail-routes.ts';
import { LaunchTokens } from './auth/launch-token.ts';
import { addDocumentRoutes, makeDocument } from './http/document.ts';
import type { Api, ApiEnvironment, ApiParts } from './http/endpoint.ts';
import { badParameter, ProblemError, problemBody, toProblem } from './http/problem.ts';
import { addRequestMetrics } from './http/request-metrics.ts';
import { addInsightQueueRoutes } from './insight/queue-routes.ts';
import { addInsightSharesRoutes } from './insight/shares-routes.ts';
import { addResourcePoolServiceRoutes } from './pool/service-routes.ts';
import { addApiKeyRoutes } from './settings/api-key-routes.ts';
import { addCustomerRoutes } from './settings/customer-routes.ts';
import { addInsightRoutes } from './settings/insight-routes.ts';
import { addResourcePoolRoutes } from './settings/resource-pool-routes.ts';
import { addHealthRoutes } from './system/health-routes.ts';
import { addMetricsRoutes } from './system/metrics-routes.ts';

/** What an app is made of. */
export interface AppOptions extends Omit<ApiParts, 'launchTokens'> {
  readonly log: Logger;
  /** Before every path but the probes; default `/v1`. */
  readonly basePath?: string;
  /** What `/metrics` tells besides requests. */
  readonly registry?: Registry;
}

/** Adds the endpoints of one family to the app. */
export type AddRoutes = (api: Api, parts: ApiParts) => void;

/** All families; in this order the document lists them. */
const routes: readonly AddRoutes[] = [
  addHealthRoutes,
  addCustomerRoutes,
  addResourcePoolRoutes,
  addInsightRoutes,
  addInsightQueueRoutes,
  addInsightSharesRoutes,
  addApiKeyRoutes,
  addAgendaRoutes,
  addAgendaPriorityRoutes,
  addAgendaTrailRoutes,
  addAttemptsRoutes,
  addExplainRoutes,
  addProgressRoutes,
  addResourcePoolServiceRoutes,
];

/** The whole interface; give its `fetch` to a server, or call `request` in tests. */
export function createApp(given: AppOptions): OpenAPIHono<ApiEnvironment> {
  const launchTokens = new LaunchTokens(given.database);
  const options = { ...given, launchTokens, authorize: launchTokens.authorize(given.authorize) };
  const basePath = options.basePath ?? '/v1';
  const root: Api = new OpenAPIHono<ApiEnvironment>();
  const registry = options.registry ?? new Registry();
  const requests = addRequestMetrics(registry);

  root.use('*', accompany(options, requests));
  root.onError((error, c) => answerProblem(c, problemOf(error)));
  root.notFound((c) => answerProblem(c, noSuchRoute(root, c)));

  const api: Api = new OpenAPIHono<ApiEnvironment>();
  for (const add of routes) add(api, options);
  addMetricsRoutes(api, options, registry);
  // Made when it is first asked for.
  let made: ReturnType<typeof makeDocument> | undefined;
  const document = () => {
    made ??= makeDocument(api, basePath);
    return made;
  };
  addDocumentRoutes(api, options, document);
  root.route(basePath, api);
  // Probes and people who look around know no base path.
  const bare: Api = new OpenAPIHono<ApiEnvironment>();
  addHealthRoutes(bare, options);
  addMetricsRoutes(bare, options, registry);
  addDocumentRoutes(bare, options, document);
  root.route('/', bare);
  return root;
}

/** Goes with every request: gives it its correlation id, and tells the metrics and the log how it ended. */
function accompany(
  { log, drain }: AppOptions,
  metrics: ReturnType<typeof addRequestMetrics>,
): MiddlewareHandler<ApiEnvironment> {
  return async (c, next) => {
    const begun = performance.now();
    const given = c.req.header('x-pop-cid');
    const acceptable = given !== undefined && given !== '' && Buffer.byteLength(given) <= maximumIdBytes;
    const cid = acceptable ? given : uuidv7();
    c.set('cid', cid);
    c.set('log', log.child({ cid }));
    if (given !== undefined && !acceptable) {
      const message = `X-pop-cid must have 1 to ${maximumIdBytes} bytes, has ${Buffer.byteLength(given)}.`;
      c.res = answerProblem(c, badParameter('X-pop-cid', message));
    } else {
      await next();
    }
    c.res.headers.set('X-pop-cid', cid);
    // A connection that stays open behind the answer would hold up the end of the process.
    if (drain?.aborted === true) c.res.headers.set('Connection', 'close');
    const milliseconds = performance.now() - begun;
    const route = routePath(c);
    metrics.request({
      method: c.req.method,
      route: /\*$/.test(route) ? 'other' : route,
      status: c.res.status,
      seconds: milliseconds / 1000,
    });
    logRequest(c, milliseconds);
  };
}

/** What the caller is told of whatever was thrown. */
function problemOf(error: unknown): ProblemError {
  if (error instanceof BadCursorError) return badParameter('cursor', 'cursor was not given out by this list.');
  return toProblem(error);
}

function answerProblem(c: Context<ApiEnvironment>, problem: ProblemError): Response {
  const cid = c.get('cid');
  return new Response(JSON.stringify(problemBody(problem, cid, c.req.path)), {
    status: problem.status,
    headers: { ...problem.headers, 'Content-Type': 'application/problem+json' },
  });
}

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** 404, or 405 where other methods are possible. */
function noSuchRoute(root: Api, c: Context<ApiEnvironment>): ProblemError {
  const allowed = methods.filter((method) =>
    root.router.match(method, c.req.path)[0].some(([[, route]]) => route.method === method),
  );
  if (allowed.length === 0)
    return new ProblemError('notFound', `There is no such path as ${cut(c.req.path)}; /docs lists them.`);
  const allow = allowed.join(', ');
  return new ProblemError('methodNotAllowed', `${c.req.method} is not possible here; allowed: ${allow}.`, {
    headers: { Allow: allow },
  });
}

/** One line per request; a fault of ours with its stack. */
function logRequest(c: Context<ApiEnvironment>, milliseconds: number): void {
  const status = c.res.status;
  const line = {
    method: c.req.method,
    path: c.req.path,
    status,
    durationMilliseconds: Math.round(milliseconds * 1000) / 1000,
    actor: c.get('access')?.userId,
    ...(status >= 500 ? loggable(c.error) : {}),
  };
  const log = c.get('log');
  if (status >= 500 && !isDatabaseAway(c.error)) log.error(line, 'request');
  else if (status >= 500) log.warn(line, 'request');
  else log.info(line, 'request');
}

/** The error for the log; the message of a failed query holds its parameters, customers' data, and stays out. */
function loggable(error: Error | undefined): object {
  const failed = failedQuery(error);
  if (failed === undefined) return error === undefined ? {} : { err: error };
  const frames = (error?.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return { err: failed.cause ?? new Error('a query failed'), query: failed.query, frames };
}
