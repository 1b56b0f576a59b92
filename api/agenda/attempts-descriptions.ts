/** The endpoint of an Agenda's launches, as the OpenAPI document shows it; `attempts-routes.ts` answers it. */
import { z } from '@hono/zod-openapi';
import { failureCodes } from '../../agenda/failure.ts';
import { failureCategories, launchDecisions, launchEndings } from '../../agenda/outcomes.ts';
import { defineEndpoint } from '../http/endpoint.ts';
import { epochMillisecondsSchema, listAnswerSchema, listQuerySchema } from '../http/schemas.ts';
import { diagnosticEventView } from './agenda-schema.ts';
import { ofLaunchesQuery } from './trail-descriptions.ts';

/** One launch. */
export const attemptView = z
  .object({
    operation: z.string(),
    attempt: z.number().int().openapi({ description: 'Of the Agenda.' }),
    operationAttempt: z.number().int().openapi({ description: 'Executions that count for the customer, from 1.' }),
    launch: z.number().int().openapi({ description: 'Of the Operation, from 1; also of the same attempt.' }),
    launcher: z.string().optional().openapi({ description: 'What launched it.', example: 'local' }),
    place: z.string().optional().openapi({ description: "Where; for the pool's owner and super users." }),
    worker: z.string().optional().openapi({ description: 'The pool worker; for the same.' }),
    admittedTime: epochMillisecondsSchema.optional(),
    scheduledTime: epochMillisecondsSchema.optional().openapi({ description: 'It was asked for.' }),
    pulledTime: epochMillisecondsSchema.optional().openapi({ description: 'A pool worker took it up.' }),
    startedTime: epochMillisecondsSchema.optional().openapi({ description: 'Its handler began.' }),
    endedTime: epochMillisecondsSchema.optional().openapi({ description: 'Its handler ended.' }),
    noticedTime: epochMillisecondsSchema.optional().openapi({ description: 'A pool worker saw that.' }),
    ending: z.enum(launchEndings).optional().openapi({ description: 'Absent while it goes on.' }),
    category: z.enum(failureCategories).optional().openapi({ description: 'See docs/failures.md.' }),
    code: z
      .enum(Object.keys(failureCodes) as [string, ...string[]])
      .optional()
      .openapi({ description: 'See docs/failures.md.' }),
    diagnosticEvents: z.array(diagnosticEventView).optional(),
    decision: z
      .enum(launchDecisions)
      .optional()
      .openapi({ description: '`again`: the Operation is launched again; `ended`: it ended with this launch.' }),
    againTime: epochMillisecondsSchema.optional().openapi({ description: 'The next launch is not before.' }),
    output: z
      .object({ totalBytes: z.number().int(), path: z.string() })
      .optional()
      .openapi({ description: 'Where its output is, if any of it is kept.' }),
  })
  .openapi('OperationAttempt');

const attemptExample = {
  operation: 'hello',
  attempt: 1,
  operationAttempt: 1,
  launch: 1,
  launcher: 'local',
  admittedTime: 1_782_864_000_500,
  scheduledTime: 1_782_864_000_600,
  pulledTime: 1_782_864_000_650,
  startedTime: 1_782_864_001_000,
  noticedTime: 1_782_864_002_000,
  ending: 'lost',
  category: 'infrastructure',
  code: 'lost',
  diagnosticEvents: [{ code: 'lost', message: 'The handler is gone and nothing saw how it ended.' }],
  decision: 'again',
  againTime: 1_782_864_003_000,
  output: {
    totalBytes: 6,
    path: '/v1/agenda/0197f3c2-6d1e-7c4a-9b1f-2f6f1f0a7a11/logs?operation=hello&attempt=1&launch=1',
  },
};

/** Where and when each launch was, how it ended, and what was decided then. */
export const listAttempts = defineEndpoint({
  method: 'get',
  path: '/agenda/{id}/attempts',
  tag: 'Agenda',
  summary: "Read the launches of an Agenda's Operations",
  description:
    'In the order of the Operations, then as they were launched. A launch that was lost stays beside those after it.',
  scope: 'read',
  query: listQuerySchema.pick({ limit: true, cursor: true }).extend(ofLaunchesQuery),
  answers: {
    200: {
      description: 'Launches',
      schema: listAnswerSchema(attemptView),
      example: { cid: 'nightly-2026-07-01', count: 1, all: [attemptExample] },
    },
  },
});
