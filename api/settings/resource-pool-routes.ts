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
  settleResourcePool,
  updateResourcePool,
} from '../../db/settings/resource-pool.ts';
import type { Api, ApiParts } from '../http/endpoint.ts';
import { fieldsQuery } from '../http/list-fields.ts';
import { byQuery, idSchema, listQuerySchema, titleSchema } from '../http/schemas.ts';
import { withoutNulls } from '../http/without-nulls.ts';
import { pausedSchema } from './admission-fields.ts';
import { resourcesSchema, resourcesViewSchema } from './resources-schema.ts';
import { addSettingsEndpoints } from './settings-endpoints.ts';
import { baseView, baseViewShape, documentedBodies, type SettingsKind } from './settings-kind.ts';

const capacityDescription = 'What Agendas may hold of it at once; an absent resource is unlimited.';
const capacityExample = { slots: 40, cpu: 160, memory: 687_194_767_360, gpu: 8 };

const shape = {
  customerId: idSchema.openapi({ description: 'Its owner.', example: 'operations' }),
  title: titleSchema.nullish().openapi({ example: 'Cluster east' }),
  capacity: resourcesSchema.nullish().openapi({ description: capacityDescription, example: capacityExample }),
  paused: pausedSchema.nullish(),
};

const example = { id: 'pool-east', customerId: 'operations', title: 'Cluster east', capacity: capacityExample };

const viewSchema = z
  .object({
    ...baseViewShape,
    title: z.string().optional(),
    capacity: resourcesViewSchema.optional().openapi({ description: capacityDescription }),
    paused: pausedSchema,
    insightIds: z.array(z.string()).openapi({ description: 'Its Insights; computed.' }),
  })
  .openapi('ResourcePool');

const resourcePools: SettingsKind<ResourcePoolRow, ResourcePoolSettings> = {
  name: 'ResourcePool',
  path: '/resourcepool',
  schema: z.strictObject(shape).transform(({ customerId, title, capacity, paused }) => {
    const limited = withoutNulls(capacity ?? {});
    return {
      customerId,
      title: title ?? null,
      capacity: Object.keys(limited).length === 0 ? null : limited,
      paused: paused ?? false,
    };
  }),
  ...documentedBodies({ name: 'ResourcePool', shape, view: viewSchema }),
  viewSchema,
  querySchema: listQuerySchema.extend({
    ...byQuery('byId', 'byCid', 'byCustomerId', 'byTitle'),
    fields: fieldsQuery(viewSchema),
  }),
  example: {
    post: example,
    view: {
      ...example,
      paused: false,
      insightIds: ['encodes'],
      cid: 'nightly-2026-07-01',
      addedTime: 1_782_864_000_000,
      updatedTime: 1_782_864_000_000,
    },
  },
  settingsOf: ({ customerId, title, capacity, paused }) => ({ customerId, title, capacity, paused }),
  views: async (database, rows) => {
    const insights = await insightsOfPools(
      database,
      rows.map((row) => row.id),
    );
    return rows.map((row) =>
      baseView(row, {
        title: row.title,
        capacity: row.capacity === null ? null : { ...row.capacity },
        paused: row.paused,
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
  settle: settleResourcePool,
};

/** Adds the endpoints of ResourcePools. */
export function addResourcePoolRoutes(api: Api, parts: ApiParts): void {
  addSettingsEndpoints(api, parts, resourcePools);
}
