/** The queue of an Insight over HTTP: who goes next, and how its customers stand. */
import { z } from '@hono/zod-openapi';
import { readQueue } from '../../db/insight/insight-queue.ts';
import { type Api, type ApiParts, addEndpoint, type CallOf, defineEndpoint } from '../http/endpoint.ts';
import { idSchema } from '../http/schemas.ts';
import { queueExample, queueLimitSchema, queueSchema } from './queue-schema.ts';
import { queueView } from './queue-view.ts';
import { visibleCustomers, visibleStanding } from './visible-standing.ts';

const described = defineEndpoint({
  method: 'get',
  path: '/insight/{id}/queue',
  tag: 'Insight',
  summary: 'Who waits, in which order',
  description:
    'As it stands, if all of the pool were free and nothing changed. Who may only use the Insight sees its own ' +
    'customers there, at the places they have among all.',
  scope: 'read',
  query: z.object({
    limit: queueLimitSchema,
    customerId: idSchema.optional().openapi({ description: 'Of this customer only.', example: 'acme' }),
  }),
  answers: { 200: { description: 'The queue', schema: queueSchema, example: queueExample } },
});

/** Adds the endpoint of an Insight's queue. */
export function addInsightQueueRoutes(api: Api, parts: ApiParts): void {
  addEndpoint(api, parts, described, read);
}

async function read(
  { c, access, cid, id, query }: CallOf<typeof described>,
  { database }: ApiParts,
): Promise<Response> {
  const standing = await visibleStanding(database, access, id);
  const customerIds = visibleCustomers(access, standing, query.customerId);
  const { limit = 100 } = query;
  const queue = await readQueue(database, standing, { limit, customerIds });
  return c.json({ cid, ...queueView(standing, queue) });
}
