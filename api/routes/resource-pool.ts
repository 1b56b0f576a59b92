/** ResourcePools over HTTP. */
import { z } from '@hono/zod-openapi';
import {
  deleteResourcePool,
  insertResourcePool,
  insightsOfPools,
  listResourcePools,
  lockResourcePool,
  type ResourcePoolRow,
  type ResourcePoolSettings,
  readResourcePool,
  resourcePoolInUse,
  updateResourcePool,
  waitingInsightsOfPool,
} from '../../db/resource-pool.ts';
import type { Api, ApiParts } from '../endpoint.ts';
import { fieldsQuery } from '../list-fields.ts';
import { byQuery, idSchema, listQuerySchema, titleSchema } from '../schemas.ts';
import { addSettingsEndpoints, baseView, baseViewShape, documentedPost, documentedPut, type SettingsKind } from '../settings.ts';

const slots = z.number().int().min(0).max(1_000_000).openapi({ description: 'Agendas that may hold the pool at once.', example: 40 });

const shape = {
  customerId: idSchema.openapi({ description: 'Its owner.', example: 'operations' }),
  title: titleSchema.nullish().openapi({ example: 'Cluster east' }),
  capacity: z
    .strictObject({ slots: slots.nullish() })
    .nullish()
    .openapi({ description: 'Absent: unlimited.', example: { slots: 40 } }),
};

const example = { id: 'pool-east', customerId: 'operations', title: 'Cluster east', capacity: { slots: 40 } };

const viewSchema = z
  .object({
    ...baseViewShape,
    title: z.string().optional(),
    capacity: z.object({ slots }).optional(),
    insightIds: z.array(z.string()).openapi({ description: 'Its Insights; computed.' }),
  })
  .openapi('ResourcePool');

const resourcePools: SettingsKind<ResourcePoolRow, ResourcePoolSettings> = {
  name: 'ResourcePool',
  path: '/resourcepool',
  schema: z.strictObject(shape).transform(({ customerId, title, capacity }) => ({
    customerId,
    title: title ?? null,
    capacity: capacity?.slots === undefined || capacity.slots === null ? null : { slots: capacity.slots },
  })),
  documentedPost: documentedPost(shape).openapi('ResourcePoolCreate'),
  documentedPut: documentedPut(shape).openapi('ResourcePoolUpdate'),
  viewSchema,
  querySchema: listQuerySchema.extend({ ...byQuery('byId', 'byCid', 'byCustomerId', 'byTitle'), fields: fieldsQuery(viewSchema) }),
  example: {
    post: example,
    view: {
      ...example,
      insightIds: ['encodes'],
      cid: 'nightly-2026-07-01',
      addedTime: 1_782_864_000_000,
      updatedTime: 1_782_864_000_000,
    },
  },
  settingsOf: ({ customerId, title, capacity }) => ({ customerId, title, capacity }),
  views: async (database, rows) => {
    const insights = await insightsOfPools(
      database,
      rows.map((row) => row.id),
    );
    return rows.map((row) =>
      baseView(row, {
        title: row.title,
        capacity: row.capacity === null ? null : { ...row.capacity },
        insightIds: insights.get(row.id) ?? [],
      }),
    );
  },
  list: listResourcePools,
  read: readResourcePool,
  lock: lockResourcePool,
  insert: insertResourcePool,
  update: updateResourcePool,
  remove: deleteResourcePool,
  inUse: resourcePoolInUse,
  wakes: (writer, row) => waitingInsightsOfPool(writer, row.id),
};

export function addResourcePoolRoutes(api: Api, parts: ApiParts): void {
  addSettingsEndpoints(api, parts, resourcePools);
}
