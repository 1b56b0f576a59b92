/** The queue of an Insight over HTTP: who goes next, and how its customers stand. */
import { z } from '@hono/zod-openapi';
import type { Database } from '../../db/connect.ts';
import { type QueuedAgenda, type QueuedCustomer, readQueue } from '../../db/insight/insight-queue.ts';
import { type InsightStanding, readStanding } from '../../db/insight/insight-standing.ts';
import { readInsight } from '../../db/settings/insight.ts';
import { type Access, mayRead, ownedBy } from '../auth/authorize.ts';
import { type Api, type ApiParts, addEndpoint } from '../http/endpoint.ts';
import { notFound } from '../http/problem.ts';
import { epochMillisecondsSchema, idSchema } from '../http/schemas.ts';

const mostShown = 500;

const limitSchema = z
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

const queueSchema = z
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
const example: z.input<typeof queueSchema> = {
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

export function addInsightQueueRoutes(api: Api, parts: ApiParts): void {
  const { database } = parts;

  addEndpoint(
    api,
    parts,
    {
      method: 'get',
      path: '/insight/{id}/queue',
      tag: 'Insight',
      summary: 'Who waits, in which order',
      description:
        'As it stands, if all of the pool were free and nothing changed. Who may only use the Insight sees its own customers there, at the places they have among all.',
      scope: 'read',
      query: z.object({
        limit: limitSchema,
        customerId: idSchema.optional().openapi({ description: 'Of this customer only.', example: 'acme' }),
      }),
      answers: { 200: { description: 'The queue', schema: queueSchema, example } },
    },
    async ({ c, access, cid, id, query }) => {
      const standing = await standingFor(database, access, id);
      const customerIds = visibleCustomers(access, standing, query.customerId);
      const { limit = 100 } = query;
      const queue = await readQueue(database, standing, { limit, customerIds });
      return c.json({
        cid,
        insightId: standing.id,
        schedulingAlgorithm: standing.algorithm,
        waiting: queue.waiting,
        waitingIsMore: queue.waitingIsMore,
        isWhole: queue.isWhole,
        agendas: queue.agendas.map(agendaView),
        customers: queue.customers.map(customerView),
      } satisfies z.input<typeof queueSchema>);
    },
  );
}

/** How an Insight that the caller may see stands. @throws ProblemError 404 */
export async function standingFor(database: Database, access: Access, id: string): Promise<InsightStanding> {
  mayRead(access, 'Insight', id, await readInsight(database, id));
  const standing = await readStanding(database, id);
  if (standing === undefined) throw notFound('Insight', id);
  return standing;
}

/** All to who owns the Insight (undefined), else the caller's own; of one customer where that is asked for. */
export function visibleCustomers(
  access: Access,
  insight: { customerId: string },
  asked: string | undefined,
): readonly string[] | undefined {
  if (ownedBy(access, insight.customerId)) return asked === undefined ? undefined : [asked];
  return access.accounts.filter((account) => asked === undefined || account === asked);
}

const agendaView = ({
  agendaId,
  customerId,
  ready,
  waitedSeconds,
  priority,
  position,
  cost,
  reason,
}: QueuedAgenda) => ({
  ...{ position, agendaId, customerId, priority, cost },
  readyTime: Math.round(ready * 1000),
  waitedSeconds: Math.round(waitedSeconds * 1000) / 1000,
  reason: reason?.code,
});

const customerView = ({ entitlement, waiting, waitingIsMore, firstAgendaId, state, share, lag }: QueuedCustomer) => ({
  ...{ customerId: entitlement.customerId, state, waiting, waitingIsMore, firstAgendaId, share, lag },
  running: entitlement.running,
  weight: entitlement.weight,
  band: entitlement.band,
});
