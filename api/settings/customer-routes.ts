/** Customers over HTTP. */
import { z } from '@hono/zod-openapi';
import {
  type CustomerRow,
  type CustomerSettings,
  customerInUse,
  deleteCustomer,
  entitlements,
  insertCustomer,
  listCustomers,
  lockCustomer,
  plainEntitlements,
  readCustomer,
  settleCustomer,
  updateCustomer,
} from '../../db/settings/customer.ts';
import type { Api, ApiParts } from '../http/endpoint.ts';
import { fieldsQuery } from '../http/list-fields.ts';
import { byQuery, idSchema, listQuerySchema, textOfBytes, titleSchema } from '../http/schemas.ts';
import { bandSchema, maximumRunningSchema, pausedSchema, weightSchema } from './admission-fields.ts';
import { namespaceSchema } from './namespace-field.ts';
import { refuseMove, requirePool, requirePoolOwner } from './require-pool.ts';
import { addSettingsEndpoints } from './settings-endpoints.ts';
import { baseView, baseViewShape, documentedBodies, type SettingsKind } from './settings-kind.ts';

const weight = weightSchema.openapi({
  description: 'Its part among the customers of an Insight is in proportion to this; default 1.',
});
const maximumRunning = maximumRunningSchema.openapi({
  description: 'Agendas of it that may hold capacity at once, over all Insights; absent: unlimited.',
});

const shape = {
  customerId: idSchema.openapi({
    description: 'Its owner; a Customer that is to see itself names its own id.',
    example: 'acme',
  }),
  title: titleSchema.openapi({ example: 'Acme Studios' }),
  billingCode: textOfBytes(1_000).nullish().openapi({ description: 'For information.', example: 'B-1042' }),
  resourcePoolId: idSchema.nullish().openapi({ description: 'The pool its Agendas go to.', example: 'pool-east' }),
  weight: weight.nullish(),
  band: bandSchema.nullish(),
  maximumRunning: maximumRunning.nullish(),
  paused: pausedSchema.nullish(),
  namespace: namespaceSchema.nullish(),
};

const example = {
  id: 'acme',
  customerId: 'acme',
  title: 'Acme Studios',
  billingCode: 'B-1042',
  resourcePoolId: 'pool-east',
};

const viewSchema = z
  .object({
    ...baseViewShape,
    title: z.string(),
    billingCode: z.string().optional(),
    resourcePoolId: z.string().optional(),
    weight,
    band: bandSchema,
    maximumRunning: maximumRunning.optional(),
    paused: pausedSchema,
    namespace: namespaceSchema.optional(),
  })
  .openapi('Customer');

/** What it gets of its pool, and where: for the pool's owner to say. */
const ofPool = [...entitlements, 'namespace'] as const;
const plainOfPool = { ...plainEntitlements, namespace: null };

const settingsOf = ({
  id: _id,
  cid: _cid,
  addedTime: _addedTime,
  updatedTime: _updatedTime,
  ...settings
}: CustomerRow) => settings;

const customers: SettingsKind<CustomerRow, CustomerSettings> = {
  name: 'Customer',
  path: '/customer',
  schema: z.strictObject(shape).transform((given) => ({
    customerId: given.customerId,
    title: given.title,
    billingCode: given.billingCode ?? null,
    resourcePoolId: given.resourcePoolId ?? null,
    weight: given.weight ?? plainEntitlements.weight,
    band: given.band ?? plainEntitlements.band,
    maximumRunning: given.maximumRunning ?? plainEntitlements.maximumRunning,
    paused: given.paused ?? plainEntitlements.paused,
    namespace: given.namespace ?? plainOfPool.namespace,
  })),
  ...documentedBodies({ name: 'Customer', shape, view: viewSchema, popFields: ['availableInsightIds'] }),
  viewSchema,
  querySchema: listQuerySchema.extend({
    ...byQuery('byId', 'byCid', 'byCustomerId', 'byTitle', 'byResourcePoolId'),
    fields: fieldsQuery(viewSchema),
  }),
  example: {
    post: example,
    view: {
      ...example,
      ...{ weight: 1, band: 0, paused: false },
      cid: 'nightly-2026-07-01',
      addedTime: 1_782_864_000_000,
      updatedTime: 1_782_864_000_000,
    },
  },
  settingsOf,
  views: async (_database, rows) => rows.map((row) => baseView(row, settingsOf(row))),
  list: listCustomers,
  read: readCustomer,
  lock: lockCustomer,
  insert: insertCustomer,
  update: updateCustomer,
  remove: deleteCustomer,
  inUse: customerInUse,
  check: async (writer, access, settings, before) => {
    const { resourcePoolId } = settings;
    const pool =
      resourcePoolId === null ? undefined : await requirePool(writer, access, resourcePoolId, before?.resourcePoolId);
    const changed = ofPool.filter((field) => settings[field] !== (before ?? plainOfPool)[field]);
    requirePoolOwner(access, 'Customer', pool, changed);
    if (before !== undefined && before.resourcePoolId !== resourcePoolId)
      refuseMove('Customer', before.id, await customerInUse(writer, before.id));
  },
  settle: settleCustomer,
};

/** Adds the endpoints of Customers. */
export function addCustomerRoutes(api: Api, parts: ApiParts): void {
  addSettingsEndpoints(api, parts, customers);
}
