/** What customers of an Insight were entitled to and what they got, over HTTP. */
import { z } from '@hono/zod-openapi';
import { type CustomerShares, readLags, readShares, type Shares } from '../../db/insight/shares.ts';
import { type Api, type ApiParts, addEndpoint } from '../http/endpoint.ts';
import { epochMillisecondsSchema } from '../http/schemas.ts';
import { standingFor, visibleCustomers } from './queue-routes.ts';

const hour = 3_600;
/** Of a window; the others count in its sums. */
const mostCustomers = 1_000;

const windowSchema = z
  .object({
    since: epochMillisecondsSchema,
    until: epochMillisecondsSchema,
    isCut: z.boolean().openapi({ description: 'It begins later than asked for: too many were admitted in it.' }),
    admissions: z.number().int(),
    cost: z.number().openapi({ description: 'Of all; of what was really used where that is known.' }),
    slotSeconds: z.number(),
    jainIndex: z.number().optional().openapi({
      description:
        'Of received / weight of the customers that had Agendas waiting all along: 1 is perfectly fair. Absent for fewer than two.',
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

const sharesSchema = z
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

export function addInsightSharesRoutes(api: Api, parts: ApiParts): void {
  const { database } = parts;

  addEndpoint(
    api,
    parts,
    {
      method: 'get',
      path: '/insight/{id}/shares',
      tag: 'Insight',
      summary: 'What its customers were entitled to and what they got',
      description:
        'Over the last hour and the last 24 hours, from the record of admissions. Who may only use the Insight sees the rows of its own customers.',
      scope: 'read',
      answers: {
        200: {
          description: 'Shares',
          schema: sharesSchema,
          example: {
            ...{ cid: 'nightly-2026-07-01', insightId: 'encode', schedulingAlgorithm: 'Fairness' },
            ...{ hour: windowExample, day: { ...windowExample, since: 1_782_777_600_000 } },
          },
        },
      },
    },
    async ({ c, access, cid, id }) => {
      const standing = await standingFor(database, access, id);
      const visible = visibleCustomers(access, standing, undefined);
      const seen = visible && new Set(visible);
      const [ofHour, ofDay] = (
        await Promise.all([readShares(database, standing, hour), readShares(database, standing, 24 * hour)])
      ).map((shares) => ({
        ...shares,
        customers: shares.customers.filter(({ customerId }) => seen?.has(customerId) !== false).slice(0, mostCustomers),
      }));
      const shown = new Set(
        [ofHour, ofDay].flatMap((shares) => shares?.customers.map(({ customerId }) => customerId) ?? []),
      );
      const lags = standing.state === null ? new Map<string, number>() : await readLags(database, id, [...shown]);
      return c.json({
        ...{ cid, insightId: id, schedulingAlgorithm: standing.algorithm },
        hour: windowView(ofHour as Shares, lags, visible === undefined),
        day: windowView(ofDay as Shares, lags, visible === undefined),
      } satisfies z.input<typeof sharesSchema>);
    },
  );
}

/** What is over all customers is for who owns the Insight; others get the sums of their own. */
function windowView(shares: Shares, lags: ReadonlyMap<string, number>, isWhole: boolean) {
  const { customers, jainIndex, backloggedCustomers, ...window } = shares;
  const sum = (of: (one: CustomerShares) => number) => customers.reduce((whole, one) => whole + of(one), 0);
  return {
    ...window,
    ...(isWhole
      ? { jainIndex, backloggedCustomers }
      : {
          admissions: sum((one) => one.admissions),
          cost: sum((one) => one.cost),
          slotSeconds: sum((one) => one.slotSeconds),
        }),
    customers: customers.map((one) => ({ ...one, lag: lags.get(one.customerId) })),
  };
}
