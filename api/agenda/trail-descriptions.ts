/** The endpoints of what an Agenda left behind, as the OpenAPI document shows them; `trail-routes.ts` answers them. */
import { z } from '@hono/zod-openapi';
import { defineEndpoint } from '../http/endpoint.ts';
import { epochMillisecondsSchema, listAnswerSchema, listQuerySchema } from '../http/schemas.ts';

const tag = 'Agenda';

const pageQuery = listQuerySchema.pick({ limit: true, cursor: true });

const ordinalQuery = z
  .string()
  .regex(/^[1-9]\d{0,8}$/)
  .transform(Number)
  .optional();

/** Query parameters of lists of launches. */
export const ofLaunchesQuery = {
  operation: z.string().max(2_000).optional().openapi({ description: 'Of this Operation only.', example: 'hello' }),
  attempt: ordinalQuery.openapi({ type: 'integer', description: 'Of this attempt of the Agenda only.' }),
};

const logView = z
  .object({
    operation: z.string(),
    attempt: z.number().int().openapi({ description: 'Of the Agenda.' }),
    launch: z.number().int(),
    output: z.string().openapi({ description: 'What the handler wrote, cut when it was too much.' }),
    totalBytes: z
      .number()
      .int()
      .openapi({ description: 'What it wrote in all; more than `output` holds when that was cut.' }),
    addedTime: epochMillisecondsSchema,
  })
  .openapi('OperationLog');

const auditView = z
  .object({
    time: epochMillisecondsSchema,
    customerId: z.string(),
    actor: z.string().openapi({ description: "A key's prefix, `system`, or a pool." }),
    action: z.string().openapi({ example: 'agenda.submit' }),
    objectId: z.string(),
    cid: z.string(),
    before: z.unknown().optional(),
    after: z.unknown().optional(),
  })
  .openapi('AuditEntry');

/** What the handlers of its Operations wrote, per launch. */
export const listLogs = defineEndpoint({
  method: 'get',
  path: '/agenda/{id}/logs',
  tag,
  summary: "Read the output of an Agenda's Operations",
  description: 'Per launch that has ended, in the order of the Operations. Long output takes several pages.',
  scope: 'read',
  query: pageQuery.extend({
    ...ofLaunchesQuery,
    launch: ordinalQuery.openapi({ type: 'integer', description: 'Of this launch only.' }),
  }),
  answers: {
    200: {
      description: 'Output per launch',
      schema: listAnswerSchema(logView),
      example: {
        cid: 'nightly-2026-07-01',
        count: 1,
        all: [
          {
            operation: 'hello',
            attempt: 1,
            launch: 1,
            output: 'hello\n',
            totalBytes: 6,
            addedTime: 1_782_864_003_000,
          },
        ],
      },
    },
  },
});

/** Who did what with it. */
export const listAudit = defineEndpoint({
  method: 'get',
  path: '/agenda/{id}/audit',
  tag,
  summary: 'Who did what with an Agenda',
  description: 'Oldest first.',
  scope: 'read',
  query: pageQuery,
  answers: {
    200: {
      description: 'The audit trail',
      schema: listAnswerSchema(auditView),
      example: {
        cid: 'nightly-2026-07-01',
        count: 1,
        all: [
          {
            time: 1_782_864_000_000,
            customerId: 'acme',
            actor: 'Zk3Qm1aTf0Xw',
            action: 'agenda.submit',
            objectId: '0197f3c2-6d1e-7c4a-9b1f-2f6f1f0a7a11',
            cid: 'nightly-2026-07-01',
            after: { insightId: 'encode', operations: 1 },
          },
        ],
      },
    },
  },
});
