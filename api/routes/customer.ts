/** Customers over HTTP. */
import { z } from '@hono/zod-openapi';
import {
  type CustomerRow,
  type CustomerSettings,
  customerInUse,
  deleteCustomer,
  insertCustomer,
  listCustomers,
  lockCustomer,
  readCustomer,
  updateCustomer,
} from '../../db/customer.ts';
import type { Api, ApiParts } from '../endpoint.ts';
import { fieldsQuery } from '../list-fields.ts';
import { requirePool } from '../require-pool.ts';
import { byQuery, idSchema, listQuerySchema, textOfBytes, titleSchema } from '../schemas.ts';
import { addSettingsEndpoints, baseView, baseViewShape, documentedPost, documentedPut, type SettingsKind } from '../settings.ts';

const shape = {
  customerId: idSchema.openapi({ description: 'Its owner; a Customer that is to see itself names its own id.', example: 'acme' }),
  title: titleSchema.openapi({ example: 'Acme Studios' }),
  billingCode: textOfBytes(1_000).nullish().openapi({ description: 'For information.', example: 'B-1042' }),
  resourcePoolId: idSchema.nullish().openapi({ description: 'The pool its Agendas go to.', example: 'pool-east' }),
};

const example = { id: 'acme', customerId: 'acme', title: 'Acme Studios', billingCode: 'B-1042', resourcePoolId: 'pool-east' };

const viewSchema = z
  .object({ ...baseViewShape, title: z.string(), billingCode: z.string().optional(), resourcePoolId: z.string().optional() })
  .openapi('Customer');

const customers: SettingsKind<CustomerRow, CustomerSettings> = {
  name: 'Customer',
  path: '/customer',
  schema: z.strictObject(shape).transform((given) => ({
    customerId: given.customerId,
    title: given.title,
    billingCode: given.billingCode ?? null,
    resourcePoolId: given.resourcePoolId ?? null,
  })),
  documentedPost: documentedPost(shape).openapi('CustomerCreate'),
  documentedPut: documentedPut(shape).openapi('CustomerUpdate'),
  viewSchema,
  querySchema: listQuerySchema.extend({
    ...byQuery('byId', 'byCid', 'byCustomerId', 'byTitle', 'byResourcePoolId'),
    fields: fieldsQuery(viewSchema),
  }),
  example: {
    post: example,
    view: { ...example, cid: 'nightly-2026-07-01', addedTime: 1_782_864_000_000, updatedTime: 1_782_864_000_000 },
  },
  settingsOf: ({ customerId, title, billingCode, resourcePoolId }) => ({ customerId, title, billingCode, resourcePoolId }),
  views: async (_database, rows) =>
    rows.map((row) => baseView(row, { title: row.title, billingCode: row.billingCode, resourcePoolId: row.resourcePoolId })),
  list: listCustomers,
  read: readCustomer,
  lock: lockCustomer,
  insert: insertCustomer,
  update: updateCustomer,
  remove: deleteCustomer,
  inUse: customerInUse,
  check: async (writer, access, settings, before) => {
    if (settings.resourcePoolId !== null) await requirePool(writer, access, settings.resourcePoolId, before?.resourcePoolId);
  },
};

export function addCustomerRoutes(api: Api, parts: ApiParts): void {
  addSettingsEndpoints(api, parts, customers);
}
