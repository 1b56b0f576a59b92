/** What the api answers when asked what customers of an Insight were entitled to and what they got. */
import { z } from '@hono/zod-openapi';
import { epochMillisecondsSchema } from '../http/schemas.ts';

/** Most customers shown of one window; the others count in its sums. */
export const mostCustomers = 1_000;

/** Shares over one span of time. */
export const windowSchema = z
  .object({
    since: epochMillisecondsSchema,
    until: epochMillisecondsSchema,
    isCut: z.boolean().openapi({ description: 'It begins later than asked for: too many were admitted in it.' }),
    admissions: z.number().int(),
    cost: z.number().openapi({ description: 'Of all; of what was really used where that is known.' }),
    slotSeconds: z.number(),
    jainIndex: z
      .number()
      .optional()
      .openapi({
        description:
          'Of received / weight of the customers that had Agendas waiting all along: 1 is perfectly fair. Absent for ' +
          'fewer than two.',
      }),
    backloggedCustomers: z.number().int().optional().openapi({ description: 'How many had.' }),
    customers: z
      .array(
        z.object({
          customerId: z.string(),
          weight: z.number(),
          entitled: z.number().openapi({
            description: 'Its part by weight among those that had Agendas waiting, for as long as they had, 0 to 1.',
          }),
          received: z.number().openapi({ description: 'Its part of the cost, 0 to 1.' }),
          cost: z.number(),
          slotSeconds: z.number().openapi({ description: 'Slots it held × seconds, inside the window.' }),
          admissions: z.number().int(),
          backloggedSeconds: z.number().openapi({ description: 'How long something of it waited.' }),
          lag: z
            .number()
            .optional()
            .openapi({ description: 'Cost it is behind its share (above 0) or ahead of it (below 0) now.' }),
        }),
      )
      .openapi({ description: `Who received most first; at most ${mostCustomers}.` }),
  })
  .openapi('ShareWindow');

/** The shares of an Insight as answered. */
export const sharesSchema = z
  .object({
    cid: z.string(),
    insightId: z.string(),
    schedulingAlgorithm: z.string(),
    hour: windowSchema,
    day: windowSchema,
  })
  .openapi('InsightShares');

const windowExample: z.input<typeof windowSchema> = {
  since: 1_782_860_400_000,
  until: 1_782_864_000_000,
  isCut: false,
  admissions: 120,
  cost: 900,
  slotSeconds: 7_200,
  jainIndex: 0.998,
  backloggedCustomers: 2,
  customers: [
    {
      ...{ customerId: 'acme', weight: 1, entitled: 0.25, received: 0.251, cost: 225.9, slotSeconds: 1_807 },
      ...{ admissions: 30, backloggedSeconds: 3_600, lag: -2.5 },
    },
  ],
};

/** For the document. */
export const sharesExample: z.input<typeof sharesSchema> = {
  ...{ cid: 'nightly-2026-07-01', insightId: 'encode', schedulingAlgorithm: 'Fairness' },
  ...{ hour: windowExample, day: { ...windowExample, since: 1_782_777_600_000 } },
};
