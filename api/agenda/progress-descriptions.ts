/** The endpoints of progress as the OpenAPI document shows them; `progress-routes.ts` does what they say. */
import { z } from '@hono/zod-openapi';
import { quoted } from '../../agenda/cut.ts';
import { agendaOutcomes, operationOutcomes } from '../../agenda/outcomes.ts';
import { defineEndpoint } from '../http/endpoint.ts';
import { fieldsQuery } from '../http/list-fields.ts';
import { byQuery, listAnswerSchema, listQuerySchema } from '../http/schemas.ts';
import { agendaProgressViewSchema, operationProgressViewSchema, stateQuery } from './agenda-schema.ts';

const tag = 'Progress';
const mostWaitSeconds = 300;

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
  outcome: 'succeeded' as const,
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
  outcome: 'succeeded' as const,
  failing: false,
  percentComplete: 100,
  attemptsCompleted: 1,
  maximumAttempts: 3,
  startedTime: 1_782_864_001_000,
  completedTime: 1_782_864_003_000,
  agendaInsight: { resourcePoolId: 'pool-east', insightId: 'encode' },
};

/** Members of an OperationProgress that may be large. */
export const largeMembers = ['resultPayload', 'diagnosticEvents', 'params'];

/** Lists AgendaProgress, newest first. */
export const listAgendas = defineEndpoint({
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
    byOutcome: z.enum(agendaOutcomes).optional(),
    fields: fieldsQuery(agendaProgressViewSchema),
  }),
  answers: {
    200: {
      description: 'Those that match and that the caller may see',
      schema: listAnswerSchema(agendaProgressViewSchema),
      example: { cid: agendaProgressExample.cid, count: 1, all: [agendaProgressExample] },
    },
  },
});

/** Reads one AgendaProgress with its Operations; may wait for its end. */
export const readAgenda = defineEndpoint({
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
});

/** Lists OperationProgress. */
export const listOperations = defineEndpoint({
  method: 'get',
  path: '/progress/operation',
  tag,
  summary: 'List OperationProgress',
  description: `${largeMembers.join(', ')} are left out unless \`fields\` names one of them.`,
  scope: 'read',
  query: listQuerySchema.extend({
    ...byQuery('byId', 'byCid', 'byCustomerId', 'byAgendaProgressId', 'byAgendaId', 'byOperation'),
    byState: stateQuery,
    byOutcome: z.enum(operationOutcomes).optional(),
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
});

/** Reads one OperationProgress. */
export const readOperation = defineEndpoint({
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
});
