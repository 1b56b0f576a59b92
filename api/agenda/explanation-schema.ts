/** What the api answers when asked why an Agenda waits. */
import { z } from '@hono/zod-openapi';
import { epochMillisecondsSchema } from '../http/schemas.ts';
import { resourcesViewSchema } from '../settings/resources-schema.ts';
import { admissionViewSchema } from './admission-view.ts';

const reservationSchema = z.object({
  agendaId: z.string().optional().openapi({ description: 'Which it is held for, when the caller may know.' }),
  insightId: z.string().optional(),
  need: resourcesViewSchema,
});

/** Why an Agenda waits, as answered. */
export const explanationSchema = z
  .object({
    agendaId: z.string(),
    code: z.string().openapi({ description: 'What stands in the way; see docs/scheduling.md.', example: 'ahead' }),
    sentence: z.string(),
    position: z
      .number()
      .int()
      .optional()
      .openapi({ description: '1 is the next one, of those that no limit of their customer holds back.' }),
    ahead: z.number().int().optional().openapi({ description: 'Agendas before it.' }),
    aheadOfCustomer: z.number().int().optional().openapi({ description: 'Those of its own customer among them.' }),
    positionIs: z
      .enum(['exact', 'estimate', 'atLeast'])
      .optional()
      .openapi({
        description:
          '`exact`: all that waits was put in order. `estimate`: its own customer was counted, the others reckoned ' +
          'from shares, as if all that have work went on having it. `atLeast`: more go before it than are counted.',
      }),
    whoIsAhead: z
      .array(
        z.object({
          agendaId: z.string().optional(),
          customerId: z.string().optional(),
          agendas: z
            .number()
            .int()
            .optional()
            .openapi({ description: 'So many, of customers that the caller may not see.' }),
          why: z.string(),
        }),
      )
      .optional()
      .openapi({ description: 'The first few.' }),
    customer: z
      .object({
        id: z.string(),
        weight: z.number(),
        band: z.number().int(),
        share: z.number().optional().openapi({
          description: 'Its part of what its band gives while all that have work go on having it, 0 to 1.',
        }),
        lag: z
          .number()
          .optional()
          .openapi({ description: 'Cost it is behind its share (above 0) or ahead of it (below 0).' }),
        bound: z
          .number()
          .optional()
          .openapi({ description: 'How far that can be while nothing changes: the largest cost of one Agenda.' }),
        running: z.number().int().openapi({ description: 'Through this Insight.' }),
        maximumRunning: z.number().int().optional(),
        runningEverywhere: z.number().int(),
        maximumRunningEverywhere: z.number().int().optional(),
      })
      .optional(),
    insight: z
      .object({
        id: z.string(),
        title: z.string(),
        schedulingAlgorithm: z.string(),
        queueSize: z.number().int(),
        inQueue: z.number().int().openapi({ description: 'Admitted, and no pool worker has started them yet.' }),
        running: z.number().int(),
        maximumRunning: z.number().int().optional(),
        slots: z.number().openapi({ description: 'That its Agendas hold.' }),
        maximum: z.number().int().optional().openapi({ description: 'Most slots.' }),
        admissionsPerSecond: z.number().optional(),
        lastLookTime: epochMillisecondsSchema.optional().openapi({ description: 'When admission last looked.' }),
      })
      .optional(),
    pool: z
      .object({ id: z.string(), capacity: resourcesViewSchema, inUse: resourcesViewSchema })
      .optional()
      .openapi({ description: 'A resource absent in `capacity` is not limited.' }),
    need: resourcesViewSchema.optional(),
    reservation: reservationSchema
      .optional()
      .openapi({ description: 'Capacity that is held for an Agenda that does not fit yet.' }),
    estimatedStart: z
      .object({ time: epochMillisecondsSchema, seconds: z.number(), basis: z.string() })
      .optional()
      .openapi({
        description:
          'From the rate of admissions of late; absent when there were none, and when somebody has to act first.',
      }),
    admission: admissionViewSchema.optional().openapi({ description: 'How it was admitted, once it was.' }),
  })
  .openapi('Explanation');

/** As `explanationSchema`; members that are undefined are left out of the JSON. */
export type ExplanationView = z.input<typeof explanationSchema>;

/** For the document. */
export const explanationExample: ExplanationView = {
  agendaId: '0197f3c2-6d1e-7c4a-9b1f-2f6f1f0a7a11',
  code: 'poolFull',
  sentence: 'What it needs is not free: 1 slots, and 0 of 8 are. 3 Agendas go, 1 of its own customer, before it.',
  position: 4,
  ahead: 3,
  aheadOfCustomer: 1,
  positionIs: 'exact',
  whoIsAhead: [
    {
      agendaId: '0197f3c2-5a3b-7d10-8c55-0c4e35b2a9d1',
      customerId: 'acme',
      why: 'Of its own customer, and ready before.',
    },
    { agendas: 2, why: 'Of other customers.' },
  ],
  customer: { id: 'acme', weight: 1, band: 0, share: 0.25, lag: -2.5, bound: 7.5, running: 3, runningEverywhere: 3 },
  insight: {
    id: 'encode',
    title: 'Encodes',
    schedulingAlgorithm: 'Fairness',
    queueSize: 100,
    inQueue: 0,
    running: 8,
    slots: 8,
  },
  pool: { id: 'pool-east', capacity: { slots: 8 }, inUse: { slots: 8, cpu: 0, memory: 0, gpu: 0 } },
  need: { slots: 1, cpu: 0, memory: 0, gpu: 0 },
  estimatedStart: {
    time: 1_782_864_030_000,
    seconds: 30,
    basis: '12 Agendas were admitted in the last 90 s; its place in line is 4.',
  },
};
