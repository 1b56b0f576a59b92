/** How far Agendas and Operations are. */
import { z } from '@hono/zod-openapi';
import { quoted } from '../../agenda/cut.ts';
import { listAgendaProgress, listOperationProgress } from '../../db/agenda/list-agenda.ts';
import {
  readAdmittedTimes,
  readAgendaProgress,
  readOperationProgress,
  readOperationProgressOf,
} from '../../db/agenda/read-agenda.ts';
import { visibilityOf } from '../auth/authorize.ts';
import { type Api, type ApiParts, addEndpoint } from '../http/endpoint.ts';
import { fieldsQuery, onlyFields } from '../http/list-fields.ts';
import { notFound } from '../http/problem.ts';
import { byQuery, listAnswerSchema, listQuerySchema } from '../http/schemas.ts';
import { stateQuery } from './agenda-routes.ts';
import { agendaProgressViewSchema, operationProgressViewSchema } from './agenda-schema.ts';
import { agendaProgressView, operationProgressView } from './agenda-view.ts';
import { ProgressWaiters } from './progress-waiters.ts';

const tag = 'Progress';
const mostWaitSeconds = 300;
/** For the log; nginx's number for it. */
const clientGone = 499;

const waitQuery = z
  .string()
  .transform((text, context) => {
    const [, number, unit] = /^(\d{1,6})(ms|s)?$/.exec(text) ?? [];
    const milliseconds = Number(number) * (unit === 'ms' ? 1 : 1_000);
    if (milliseconds <= mostWaitSeconds * 1_000) return milliseconds;
    context.addIssue({
      code: 'custom',
      message: `must be a time such as 30s, at most ${mostWaitSeconds}s, is ${quoted(text)}.`,
    });
    return z.NEVER;
  })
  .optional()
  .openapi({
    type: 'string',
    description: `Answer when it is COMPLETE, or after this time; at most ${mostWaitSeconds}s.`,
    example: '30s',
  });

const operationProgressExample = {
  id: '0197f3c2-6d1e-7c4a-9b1f-32c5a0c4d9f0-hello',
  cid: 'nightly-2026-07-01',
  customerId: 'acme',
  addedTime: 1_782_864_000_000,
  updatedTime: 1_782_864_003_000,
  agendaProgressId: '0197f3c2-6d1e-7c4a-9b1f-32c5a0c4d9f0',
  operation: 'hello',
  processingState: 'COMPLETE',
  processingStateMessage: 'succeeded',
  percentComplete: 100,
  resultPayload: '{"greeted":"world"}',
  attemptCount: 1,
  launch: 1,
  startedTime: 1_782_864_001_000,
  completedTime: 1_782_864_003_000,
};

const agendaProgressExample = {
  id: '0197f3c2-6d1e-7c4a-9b1f-32c5a0c4d9f0',
  cid: 'nightly-2026-07-01',
  customerId: 'acme',
  title: 'Say hello',
  addedTime: 1_782_864_000_000,
  updatedTime: 1_782_864_003_000,
  agendaId: '0197f3c2-6d1e-7c4a-9b1f-2f6f1f0a7a11',
  processingState: 'COMPLETE',
  processingStateMessage: 'succeeded',
  percentComplete: 100,
  attemptsCompleted: 1,
  maximumAttempts: 3,
  startedTime: 1_782_864_001_000,
  completedTime: 1_782_864_003_000,
  agendaInsight: { resourcePoolId: 'pool-east', insightId: 'encode' },
};

export function addProgressRoutes(api: Api, parts: ApiParts): void {
  addAgendaProgress(api, parts);
  addOperationProgress(api, parts);
}

function addAgendaProgress(api: Api, parts: ApiParts): void {
  const { database } = parts;
  const waiters = new ProgressWaiters(database);

  addEndpoint(
    api,
    parts,
    {
      method: 'get',
      path: '/progress/agenda',
      tag,
      summary: 'List AgendaProgress',
      description: 'Newest first. `operationProgress` is left out unless `fields` names it.',
      scope: 'read',
      query: listQuerySchema.extend({
        ...byQuery(
          'byId',
          'byCid',
          'byLinkId',
          'byCustomerId',
          'byTitle',
          'byAgendaId',
          'byExternalId',
          'byInsightId',
          'byResourcePoolId',
        ),
        byState: stateQuery,
        fields: fieldsQuery(agendaProgressViewSchema),
      }),
      answers: {
        200: {
          description: 'Those that match and that the caller may see',
          schema: listAnswerSchema(agendaProgressViewSchema),
          example: { cid: agendaProgressExample.cid, count: 1, all: [agendaProgressExample] },
        },
      },
    },
    async ({ c, access, cid, query }) => {
      const { fields } = query;
      const joined = fields?.has('operationProgress') === true;
      const page = await listAgendaProgress(database, visibilityOf(access), query, joined);
      const byAgenda = joined
        ? await operationProgressOf(
            parts,
            page.all.map((row) => row.agendaId),
          )
        : undefined;
      const all = page.all.map((row) =>
        onlyFields(agendaProgressView(row, byAgenda && (byAgenda.get(row.agendaId) ?? [])), fields),
      );
      return c.json({ cid, count: page.count, all, nextCursor: page.nextCursor });
    },
  );

  addEndpoint(
    api,
    parts,
    {
      method: 'get',
      path: '/progress/agenda/{id}',
      tag,
      summary: 'Read an AgendaProgress with its Operations',
      scope: 'read',
      query: z.object({ wait: waitQuery }),
      answers: {
        200: {
          description: 'The AgendaProgress, joined with one OperationProgress per Operation',
          schema: agendaProgressViewSchema,
          example: { ...agendaProgressExample, operationProgress: [operationProgressExample] },
        },
      },
    },
    async ({ c, access, id, query }) => {
      const visibility = visibilityOf(access);
      const waited = query.wait ?? 0;
      let row = await readAgendaProgress(database, visibility, id);
      if (waited > 0 && row !== undefined && row.processingState !== 'COMPLETE') {
        await waiters.untilEnded(id, waited, c.req.raw.signal);
        // Nobody reads the answer: thousands of waits that are dropped at once must not cost thousands of reads.
        if (c.req.raw.signal.aborted) return new Response(null, { status: clientGone });
        row = await readAgendaProgress(database, visibility, id);
      }
      if (row === undefined) throw notFound('AgendaProgress', id);
      const operations = await operationProgressOf(parts, [row.agendaId]);
      return c.json(agendaProgressView(row, operations.get(row.agendaId) ?? []));
    },
  );
}

function addOperationProgress(api: Api, parts: ApiParts): void {
  const { database } = parts;
  const payloads = ['resultPayload', 'diagnosticEvents', 'params'];

  addEndpoint(
    api,
    parts,
    {
      method: 'get',
      path: '/progress/operation',
      tag,
      summary: 'List OperationProgress',
      description: `${payloads.join(', ')} are left out unless \`fields\` names one of them.`,
      scope: 'read',
      query: listQuerySchema.extend({
        ...byQuery('byId', 'byCid', 'byCustomerId', 'byAgendaProgressId', 'byAgendaId', 'byOperation'),
        byState: stateQuery,
        fields: fieldsQuery(operationProgressViewSchema),
      }),
      answers: {
        200: {
          description: 'Those that match and that the caller may see',
          schema: listAnswerSchema(operationProgressViewSchema),
          example: {
            cid: operationProgressExample.cid,
            count: 1,
            all: [{ ...operationProgressExample, resultPayload: undefined }],
          },
        },
      },
    },
    async ({ c, access, cid, query }) => {
      const { fields } = query;
      const whole = payloads.some((name) => fields?.has(name));
      const page = await listOperationProgress(database, visibilityOf(access), query, whole);
      const admitted = await readAdmittedTimes(database, [...new Set(page.all.map((row) => row.agendaId))]);
      const all = page.all.map((row) =>
        onlyFields(operationProgressView({ ...row, admittedTime: admitted.get(row.agendaId) ?? null }), fields),
      );
      return c.json({ cid, count: page.count, all, nextCursor: page.nextCursor });
    },
  );

  addEndpoint(
    api,
    parts,
    {
      method: 'get',
      path: '/progress/operation/{id}',
      tag,
      summary: 'Read an OperationProgress',
      scope: 'read',
      answers: {
        200: {
          description: 'The OperationProgress',
          schema: operationProgressViewSchema,
          example: operationProgressExample,
        },
      },
    },
    async ({ c, access, id }) => {
      const row = await readOperationProgress(database, visibilityOf(access), id);
      if (row === undefined) throw notFound('OperationProgress', id);
      const admitted = await readAdmittedTimes(database, [row.agendaId]);
      return c.json(operationProgressView({ ...row, admittedTime: admitted.get(row.agendaId) ?? null }));
    },
  );
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
