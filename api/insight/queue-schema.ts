/** What the api answers when asked who waits for an Insight. */
import { z } from '@hono/zod-openapi';
import { epochMillisecondsSchema } from '../http/schemas.ts';

const mostShown = 500;

/** `limit` of the queue, as text of a query. */
export const queueLimitSchema = z
  .string()
  .regex(/^[1-9]\d{0,2}$/, { error: `must be a whole number from 1 to ${mostShown}.` })
  .transform(Number)
  .refine((limit) => limit <= mostShown, { error: `must be a whole number from 1 to ${mostShown}.` })
  .optional()
  .openapi({
    type: 'integer',
    description: `Most Agendas, and most customers; default 100, at most ${mostShown}.`,
    example: 100,
  });

/** The queue of an Insight as answered. */
export const queueSchema = z
  .object({
    cid: z.string(),
    insightId: z.string(),
    schedulingAlgorithm: z.string(),
    waiting: z.number().int().openapi({ description: 'Agendas that wait, of all customers.' }),
    waitingIsMore: z.boolean().openapi({ description: 'More wait than were counted.' }),
    isWhole: z.boolean().openapi({
      description:
        '`agendas` holds as many as were asked for, or all that may start; else it ends where others could come in.',
    }),
    agendas: z.array(
      z.object({
        position: z.number().int().optional().openapi({
          description: 'Among all customers. Absent: not among the first, or held back by a limit of its customer.',
        }),
        agendaId: z.string(),
        customerId: z.string(),
        readyTime: epochMillisecondsSchema,
        waitedSeconds: z.number(),
        priority: z.number().int(),
        cost: z.number().optional().openapi({ description: 'That its customer will be charged.' }),
        reason: z
          .string()
          .optional()
          .openapi({ description: 'Why it is its turn there; see docs/scheduling.md.', example: 'share' }),
      }),
    ),
    customers: z.array(
      z.object({
        customerId: z.string(),
        state: z.enum(['ready', 'paused', 'atLimit']),
        waiting: z.number().int(),
        waitingIsMore: z.boolean(),
        running: z.number().int(),
        firstAgendaId: z.string(),
        weight: z.number(),
        band: z.number().int(),
        share: z.number().optional().openapi({ description: 'Its part of what its band gives, 0 to 1.' }),
        lag: z
          .number()
          .optional()
          .openapi({ description: 'Cost it is behind its share (above 0) or ahead of it (below 0).' }),
      }),
    ),
  })
  .openapi('InsightQueue');

const agendaId = '0197f3c2-6d1e-7c4a-9b1f-2f6f1f0a7a11';
/** For the document. */
export const queueExample: z.input<typeof queueSchema> = {
  cid: 'nightly-2026-07-01',
  insightId: 'encode',
  schedulingAlgorithm: 'Fairness',
  waiting: 1,
  waitingIsMore: false,
  isWhole: true,
  agendas: [
    {
      position: 1,
      agendaId,
      customerId: 'acme',
      readyTime: 1_782_864_000_000,
      waitedSeconds: 12.5,
      priority: 0,
      cost: 7.5,
      reason: 'share',
    },
  ],
  customers: [
    {
      ...{ customerId: 'acme', state: 'ready', waiting: 1, waitingIsMore: false, running: 3, firstAgendaId: agendaId },
      ...{ weight: 1, band: 0, share: 0.25, lag: 2.5 },
    },
  ],
};
