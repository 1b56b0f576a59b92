/**
 * One endpoint: its description (from which the OpenAPI document is made) and its handler. What no endpoint may forget
 * happens here, in this order: credential, scope, query, body, handler.
 */
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Logger } from 'pino';
import { cut, quoted } from '../../agenda/cut.ts';
import { FaultList } from '../../agenda/fault-list.ts';
import type { Database } from '../../db/connect.ts';
import { type Access, type Authorize, requireScope, type Scope } from '../auth/authorize.ts';
import type { LaunchTokens } from '../auth/launch-token.ts';
import { faultsOf, parseGiven } from './faults.ts';
import { giveTurns } from './give-turns.ts';
import { largeBodyBytes, parseJson, readBody } from './json-body.ts';
import { type FieldValidation, fieldValidationSchema, takeOutUnknown, warningsSchema } from './known-fields.ts';
import { invalid, malformed, ProblemError, toldFaults } from './problem.ts';
import { problemSchema } from './schemas.ts';

/** What every request carries from `app.ts` on. */
export interface ApiEnvironment {
  Variables: { cid: string; log: Logger; access?: Access };
}

/** The app that endpoints are added to; its paths are relative to the base path. */
export type Api = OpenAPIHono<ApiEnvironment>;

/** What handlers work with. */
export interface ApiParts {
  readonly database: Database;
  readonly authorize: Authorize;
  /** Tells these Insights' admission to look; called after commit, never fails, does not delay the answer. */
  readonly wake: (insightIds: readonly string[]) => void;
  /** Tells the workflow of a running Agenda that cancel was asked for; as `wake`. Absent: that is left to the sweep. */
  readonly tellCancel?: (agendaId: string) => void;
  /** Pool workers that poll for a ResourcePool; undefined when that is not known. */
  readonly countPoolWorkers?: (resourcePoolId: string) => Promise<number | undefined>;
  /** `<env>` of keys made here; default `live`. */
  readonly keyEnvironment?: string;
  /** Signs the tokens that are handed to launches. */
  readonly launchTokens: Pick<LaunchTokens, 'sign'>;
  /** Aborts when the process is told to go: `/readyz` answers 503, and who waits for an Agenda waits no longer. */
  readonly drain?: AbortSignal;
}

/** One answer of an endpoint that is no problem. */
export interface Answer {
  readonly description: string;
  readonly schema?: z.ZodType;
  readonly example?: unknown;
  readonly contentType?: string;
}

// biome-ignore lint/complexity/noBannedTypes: a shape without any key
type NoQuery = z.ZodObject<{}>;

/** What an endpoint takes and answers; the OpenAPI document shows it. */
export interface Endpoint<Query extends z.ZodObject = NoQuery, Body extends z.ZodType = z.ZodUndefined> {
  readonly method: 'get' | 'post' | 'put' | 'delete';
  /** Such as `/customer/{id}`; at most one parameter, `id`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** `public` asks for no credential; `pool` is any credential of a ResourcePool. */
  readonly scope: Scope | 'pool' | 'public';
  /** The token of a launch is taken as well; the handler checks that the request speaks of that launch only. */
  readonly launchToken?: boolean;
  /** Without it every query parameter is unknown. Names are matched ignoring case. */
  readonly query?: Query;
  readonly body?: {
    readonly schema: Body;
    /**
     * Everything that it may hold, when that differs from what parses: for the document, and to find unknown fields.
     * The handler then hands `unknownFields` to what checks the body.
     */
    readonly documented?: z.ZodType;
    readonly example: unknown;
    /** The body may be left out; it is then parsed as `undefined`. */
    readonly optional?: boolean;
    /** Strings may hold NUL and half surrogate pairs: the handler deals with them. */
    readonly anyText?: boolean;
  };
  readonly headers?: readonly { readonly name: string; readonly description: string; readonly example: string }[];
  /** By status. The problems are added. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** Statuses of problems this endpoint can answer besides the usual ones. */
  readonly problems?: readonly number[];
}

/** One request that passed all checks, as its handler gets it. */
export interface Call<Query, Body> {
  readonly c: Context<ApiEnvironment>;
  readonly access: Access;
  readonly cid: string;
  /** Carries the cid. */
  readonly log: Logger;
  /** The path parameter `id`, decoded; empty when the path has none. */
  readonly id: string;
  readonly query: Query;
  /** Without fields that have no effect. */
  readonly body: Body;
  /** Faults of fields that the body does not have, when they are to be refused with other faults: for `checked`. */
  readonly unknownFields: FaultList;
  /** The body as it was sent. */
  readonly bodyText: string;
}

const nobody: Access = { userId: 'nobody', accounts: [], superUser: false, scopes: [] };

/** The description of an endpoint, apart from what it does; keeps the types of its query and its body for `CallOf`. */
export function defineEndpoint<Query extends z.ZodObject = NoQuery, Body extends z.ZodType = z.ZodUndefined>(
  endpoint: Endpoint<Query, Body>,
): Endpoint<Query, Body> {
  return endpoint;
}

/** What the handler of an endpoint is called with: `CallOf<typeof submit>`. */
export type CallOf<Described> =
  Described extends Endpoint<infer Query, infer Body> ? Call<z.output<Query>, z.output<Body>> : never;

/** Adds one endpoint to the app and to its OpenAPI document; `handle` answers it. */
export function addEndpoint<Query extends z.ZodObject = NoQuery, Body extends z.ZodType = z.ZodUndefined>(
  api: Api,
  parts: ApiParts,
  endpoint: Endpoint<Query, Body>,
  handle: (call: Call<z.output<Query>, z.output<Body>>, parts: ApiParts) => Promise<Response> | Response,
): void {
  api.openAPIRegistry.registerPath(described(endpoint));
  const query = queryOf(endpoint);
  api.on(endpoint.method.toUpperCase(), endpoint.path.replaceAll(/\{(\w+)\}/g, ':$1'), async (c) => {
    const access = endpoint.scope === 'public' ? nobody : await parts.authorize(c.req.raw);
    c.set('access', access);
    if (endpoint.scope !== 'public') requireScope(access, endpoint.scope, endpoint.launchToken);
    const { fieldValidation, ...queryValues } = readQuery(c.req.url, query);
    const call = {
      c,
      access,
      cid: c.get('cid'),
      log: c.get('log'),
      id: idOf(c),
      query: queryValues as z.output<Query>,
    };
    if (endpoint.body === undefined)
      return await handle({ ...call, ...noBody, body: undefined as z.output<Body>, bodyText: '' }, parts);
    const bodyText = await readBody(c.req.raw, () => logLarge(c, access));
    try {
      const { body, unknownFields, warnings } = await parseBody(
        c,
        bodyText,
        endpoint.body,
        fieldValidation as FieldValidation,
      );
      const answer = await handle({ ...call, body: body as z.output<Body>, unknownFields, bodyText }, parts);
      return answer.ok && warnings.total > 0 ? await withWarnings(answer, warnings) : answer;
    } finally {
      // Whoever asked while a large body was worked on does not wait for its answer too.
      if (bodyText.length > largeBodyBytes) await giveTurns();
    }
  });
}

function queryOf<Query extends z.ZodObject, Body extends z.ZodType>({
  query,
  body,
}: Endpoint<Query, Body>): z.ZodObject {
  const own: z.ZodObject = query ?? z.object({});
  return body === undefined ? own : own.extend({ fieldValidation: fieldValidationSchema });
}

/** Adds them to an answer, whose text is kept: read and written again, its numbers could change. */
async function withWarnings(answer: Response, warnings: FaultList): Promise<Response> {
  const members = (await answer.text()).slice(1);
  const added = `{"warnings":${JSON.stringify(toldFaults(warnings.first, warnings.total))}`;
  return new Response(`${added}${members === '}' ? '' : ','}${members}`, {
    status: answer.status,
    headers: answer.headers,
  });
}

/** Written before the work begins: should it end the process, one can see who sent it. */
function logLarge(c: Context<ApiEnvironment>, access: Access): void {
  const bytes = c.req.header('content-length');
  const line = { method: c.req.method, path: cut(c.req.path), actor: access.userId };
  c.get('log').info({ ...line, ...(bytes === undefined ? {} : { bytes: Number(bytes) }) }, 'large request begun');
}

function idOf(c: Context<ApiEnvironment>): string {
  const id = c.req.param('id') ?? '';
  // Such an id cannot exist; Postgres would refuse even the question.
  if (id.includes('\u0000') || !id.isWellFormed()) throw new ProblemError('notFound', 'There is nothing with this id.');
  return id;
}

/** @throws ProblemError 400 naming the parameter */
function readQuery(url: string, schema: z.ZodObject): Record<string, unknown> {
  const names = new Map(Object.keys(schema.shape).map((name) => [name.toLowerCase(), name]));
  const values: Record<string, string> = {};
  const faults = new FaultList();
  const mark = url.indexOf('?');
  for (const [given, value] of new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1))) {
    const name = names.get(given.toLowerCase());
    if (name === undefined) {
      const known = names.size === 0 ? 'It takes none.' : `Known are ${[...names.values()].join(', ')}.`;
      const message = `Unknown query parameter ${quoted(given)}.`;
      const errors = [{ pointer: '', code: 'unknownParameter', message }];
      throw new ProblemError('unknownParameter', `${message} ${known}`, { errors });
    }
    if (Object.hasOwn(values, name))
      faults.add(() => ({ pointer: '', code: 'givenTwice', message: `The query parameter ${name} is given twice.` }));
    if (value.includes('\u0000'))
      faults.add(() => ({
        pointer: '',
        code: 'badCharacter',
        message: `The query parameter ${name} holds a NUL character.`,
      }));
    values[name] = value;
  }
  const parsed = parseGiven(schema, values);
  if (!parsed.success) {
    for (const fault of faultsOf(parsed.error).first) {
      faults.add(() => ({ ...fault, pointer: '', message: `Query parameter: ${fault.message}` }));
    }
  }
  if (faults.total > 0 || !parsed.success)
    throw new ProblemError('badParameter', faults.first.map(({ message }) => message).join(' '), { errors: faults });
  return parsed.data;
}

interface ReadBody {
  readonly body: unknown;
  readonly unknownFields: FaultList;
  readonly warnings: FaultList;
}

const none = new FaultList();
const noBody: ReadBody = { body: undefined, unknownFields: none, warnings: none };

async function parseBody(
  c: Context<ApiEnvironment>,
  text: string,
  { schema, documented, optional, anyText }: NonNullable<Endpoint<z.ZodObject, z.ZodType>['body']>,
  fieldValidation: FieldValidation,
): Promise<ReadBody> {
  if (text === '') {
    if (optional !== true) throw malformed('The body is empty; JSON is expected.');
    return { ...noBody, body: checked(schema, undefined) };
  }
  requireJson(c);
  const sent = await parseJson(text, { anyText: anyText === true });
  const unknown = takeOutUnknown(documented ?? schema, sent);
  const unknownFields = fieldValidation === 'Strict' ? unknown : none;
  const warnings = fieldValidation === 'Warn' ? unknown : none;
  return { body: checked(schema, sent, documented === undefined ? unknownFields : none), unknownFields, warnings };
}

/** @throws ProblemError 415 */
function requireJson(c: Context<ApiEnvironment>): void {
  const contentType = c.req.header('content-type') ?? '';
  if (!/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(contentType.trim())) {
    const given = contentType === '' ? 'there is none' : `it is ${quoted(contentType)}`;
    throw new ProblemError('unsupportedMediaType', `The Content-Type must be application/json; ${given}.`, {
      headers: { 'Accept-Post': 'application/json' },
    });
  }
  const encoding = c.req.header('content-encoding') ?? 'identity';
  if (encoding.trim().toLowerCase() === 'identity') return;
  throw new ProblemError(
    'unsupportedMediaType',
    `The body must not be encoded; Content-Encoding is ${quoted(encoding)}.`,
  );
}

/**
 * Parses what a caller sent; `unknown` are faults found in it before. @throws ProblemError 422 with the first faults
 * and how many there are
 */
export function checked<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  unknown: FaultList = none,
): z.output<Schema> {
  const parsed = parseGiven(schema, value);
  if (parsed.success && unknown.total === 0) return parsed.data;
  const faults = new FaultList();
  faults.addList(unknown);
  if (!parsed.success) faults.addList(faultsOf(parsed.error));
  throw invalid(faults);
}

type Described = Parameters<Api['openAPIRegistry']['registerPath']>[0];

const problemTitles: Readonly<Record<number, string>> = {
  400: 'Malformed request, or a parameter that is unknown or not acceptable',
  401: 'No valid credential',
  403: 'Visible, but not allowed',
  404: 'Absent or not visible',
  409: 'Not possible in the present state',
  412: 'Changed meanwhile (If-Match)',
  413: 'Too large; the limit and the actual size are named',
  415: 'Not JSON',
  422: 'Content that is not acceptable; the first ten faults are named, the rest is counted',
  429: 'Too many requests; see Retry-After',
  503: 'Temporarily unavailable; see Retry-After',
};

/** What is answered to a body may carry warnings. */
function warned(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodObject ? schema.extend({ warnings: warningsSchema }) : schema;
}

function securityOf(launchToken = false): Record<string, string[]>[] {
  return launchToken ? [{ key: [] }, { launchToken: [] }] : [{ key: [] }];
}

function described<Query extends z.ZodObject, Body extends z.ZodType>(endpoint: Endpoint<Query, Body>): Described {
  const hasId = endpoint.path.includes('{id}');
  const usual = [
    ...(endpoint.scope === 'public' ? [] : [400, 401, 403, 503]),
    ...(hasId ? [404] : []),
    ...(endpoint.body === undefined ? [] : [413, 415, 422]),
    ...(endpoint.problems ?? []),
  ];
  const responses: Described['responses'] = {};
  for (const [status, answer] of Object.entries(endpoint.answers)) {
    const content =
      answer.schema === undefined
        ? undefined
        : {
            [answer.contentType ?? 'application/json']: {
              schema: endpoint.body === undefined ? answer.schema : warned(answer.schema),
              ...(answer.example === undefined ? {} : { example: answer.example }),
            },
          };
    responses[status] = { description: answer.description, ...(content === undefined ? {} : { content }) };
  }
  for (const status of new Set(usual)) {
    responses[status] ??= {
      description: problemTitles[status] ?? 'Problem',
      content: { 'application/problem+json': { schema: problemSchema } },
    };
  }
  const headers = [
    {
      name: 'X-pop-cid',
      description:
        'Correlation id, at most 200 bytes; made when absent; returned and written on every object and log line.',
      example: 'nightly-2026-07-01',
    },
    ...(endpoint.headers ?? []),
  ];
  return {
    method: endpoint.method,
    path: endpoint.path,
    tags: [endpoint.tag],
    summary: endpoint.summary,
    ...(endpoint.description === undefined ? {} : { description: endpoint.description }),
    ...(endpoint.scope === 'public' ? {} : { security: securityOf(endpoint.launchToken) }),
    request: {
      headers: z.object(
        Object.fromEntries(
          headers.map((header) => [
            header.name,
            z.string().optional().openapi({ description: header.description, example: header.example }),
          ]),
        ),
      ),
      ...(hasId
        ? {
            params: z.object({
              id: z.string().openapi({ description: 'URL-encoded.', example: '0197f3c2-6d1e-7c4a-9b1f-2f6f1f0a7a11' }),
            }),
          }
        : {}),
      ...(endpoint.query === undefined && endpoint.body === undefined ? {} : { query: queryOf(endpoint) }),
      ...(endpoint.body === undefined
        ? {}
        : {
            body: {
              required: endpoint.body.optional !== true,
              content: {
                'application/json': {
                  schema: endpoint.body.documented ?? endpoint.body.schema,
                  example: endpoint.body.example,
                },
              },
            },
          }),
    },
    responses,
  };
}
