/** Insights over HTTP. */
import { z } from '@hono/zod-openapi';
import type { JsonObject } from '../../agenda/types.ts';
import type { CustomerInInsight } from '../../db/schema.ts';
import {
  deleteInsight,
  type InsightRow,
  type InsightSettings,
  insertInsight,
  insightInUse,
  listInsights,
  lockInsight,
  readInsight,
  settleInsight,
  updateInsight,
} from '../../db/settings/insight.ts';
import { pausedPools } from '../../db/settings/resource-pool.ts';
import type { Api, ApiParts } from '../http/endpoint.ts';
import { fieldsQuery } from '../http/list-fields.ts';
import { byQuery, listQuerySchema } from '../http/schemas.ts';
import { withoutNulls } from '../http/without-nulls.ts';
import type { customersSchema } from './admission-fields.ts';
import {
  defaultAlgorithm,
  defaultCostModel,
  defaultQueueSize,
  insightShape,
  insightViewShape,
} from './insight-fields.ts';
import { refuseMove, requirePool, requirePoolOwner } from './require-pool.ts';
import { addSettingsEndpoints } from './settings-endpoints.ts';
import { baseView, baseViewShape, documentedBodies, type SettingsKind } from './settings-kind.ts';

const example = {
  id: 'encodes',
  customerId: 'operations',
  title: 'Encodes',
  resourcePoolId: 'pool-east',
  queueSize: 10,
  schedulingAlgorithm: defaultAlgorithm,
  maximumRunning: 25,
  mappers: { operationType: ['ffmpeg'] },
  isGlobal: false,
  allowedCustomerIds: ['acme'],
};

const viewSchema = z.object({ ...baseViewShape, ...insightViewShape }).openapi('Insight');

/** What an Insight gets of its pool against the others there, where nothing is said. */
const plainDivision = { weight: 1, guaranteed: null } as const;

/** Without what is null. */
const customersOf = (given: z.output<typeof customersSchema>): Record<string, CustomerInInsight> =>
  Object.fromEntries(
    Object.entries(given).flatMap(([id, said]) =>
      said === null || said === undefined ? [] : [[id, withoutNulls(said)]],
    ),
  );

const settingsOf = ({
  id: _id,
  cid: _cid,
  addedTime: _addedTime,
  updatedTime: _updatedTime,
  ...settings
}: InsightRow) => settings;

const copied = (customers: InsightRow['customers']): JsonObject =>
  Object.fromEntries(Object.entries(customers).map(([id, said]) => [id, { ...said }]));

/** Why it admits nothing, if so. */
function pausedBy(row: InsightRow, pausedPools: ReadonlySet<string>): 'setting' | 'queueSize' | 'resourcePool' | null {
  if (row.paused) return 'setting';
  if (row.queueSize === 0) return 'queueSize';
  return pausedPools.has(row.resourcePoolId) ? 'resourcePool' : null;
}

const insights: SettingsKind<InsightRow, InsightSettings> = {
  name: 'Insight',
  path: '/insight',
  schema: z
    .strictObject(insightShape)
    .superRefine(({ guaranteed, maximum }, context) => {
      if (typeof guaranteed !== 'number' || typeof maximum !== 'number' || guaranteed <= maximum) return;
      const message = `must not be below guaranteed, which is ${guaranteed}; is ${maximum}.`;
      context.addIssue({ code: 'custom', path: ['maximum'], message, params: { code: 'tooSmall' } });
    })
    .transform((given) => ({
      customerId: given.customerId,
      title: given.title,
      resourcePoolId: given.resourcePoolId,
      queueName: given.queueName ?? null,
      queueSize: given.queueSize ?? defaultQueueSize,
      schedulingAlgorithm: given.schedulingAlgorithm ?? defaultAlgorithm,
      maximumRunning: given.maximumRunning ?? null,
      weight: given.weight ?? plainDivision.weight,
      guaranteed: given.guaranteed ?? plainDivision.guaranteed,
      maximum: given.maximum ?? null,
      admissionsPerSecond: given.admissionsPerSecond ?? null,
      costModel: given.costModel ?? defaultCostModel,
      priorityStep: given.priorityStep ?? null,
      floor: given.floor ?? null,
      promoteAfter: given.promoteAfter ?? null,
      bypassLimit: given.bypassLimit ?? null,
      bypassSeconds: given.bypassSeconds ?? null,
      paused: given.paused ?? false,
      customers: customersOf(given.customers ?? {}),
      mappers: given.mappers ?? {},
      isGlobal: given.isGlobal ?? false,
      allowedCustomerIds: [...new Set((given.allowedCustomerIds ?? []).map((id) => id.toLowerCase()))].sort(),
      order: given.order ?? 0,
    })),
  ...documentedBodies({ name: 'Insight', shape: insightShape, view: viewSchema, popFields: ['global'] }),
  viewSchema,
  querySchema: listQuerySchema.extend({
    ...byQuery('byId', 'byCid', 'byCustomerId', 'byTitle', 'byResourcePoolId'),
    fields: fieldsQuery(viewSchema),
  }),
  example: {
    post: example,
    view: {
      ...example,
      weight: 1,
      costModel: defaultCostModel,
      paused: false,
      customers: {},
      order: 0,
      cid: 'nightly-2026-07-01',
      addedTime: 1_782_864_000_000,
      updatedTime: 1_782_864_000_000,
    },
  },
  settingsOf,
  views: async (database, rows) => {
    const paused = await pausedPools(
      database,
      rows.map((row) => row.resourcePoolId),
    );
    return rows.map((row) =>
      baseView(row, { ...settingsOf(row), customers: copied(row.customers), pausedBy: pausedBy(row, paused) }),
    );
  },
  list: listInsights,
  read: readInsight,
  lock: lockInsight,
  insert: insertInsight,
  update: updateInsight,
  remove: deleteInsight,
  inUse: insightInUse,
  check: async (writer, access, settings, before) => {
    const pool = await requirePool(writer, access, settings.resourcePoolId, before?.resourcePoolId);
    const changed = (['weight', 'guaranteed'] as const).filter(
      (field) => settings[field] !== (before ?? plainDivision)[field],
    );
    requirePoolOwner(access, 'Insight', pool, changed);
    if (before !== undefined && before.resourcePoolId !== settings.resourcePoolId)
      refuseMove('Insight', before.id, await insightInUse(writer, before.id));
  },
  settle: settleInsight,
};

/** Adds the endpoints of Insights. */
export function addInsightRoutes(api: Api, parts: ApiParts): void {
  addSettingsEndpoints(api, parts, insights);
}
