/** Insights over HTTP. */
import { z } from '@hono/zod-openapi';
import { admissionAlgorithms } from '../../db/admission.ts';
import {
  deleteInsight,
  type InsightRow,
  type InsightSettings,
  insertInsight,
  insightInUse,
  listInsights,
  lockInsight,
  readInsight,
  updateInsight,
} from '../../db/insight.ts';
import { validateMappers } from '../../scheduling/insight-mapping.ts';
import type { Api, ApiParts } from '../endpoint.ts';
import { fieldsQuery } from '../list-fields.ts';
import { inUse } from '../problem.ts';
import { requirePool } from '../require-pool.ts';
import { byQuery, idSchema, listQuerySchema, textOfBytes, titleSchema } from '../schemas.ts';
import { addSettingsEndpoints, baseView, baseViewShape, documentedPost, documentedPut, type SettingsKind } from '../settings.ts';

const defaultQueueSize = 100;
const defaultAlgorithm = 'FirstInFirstOut';
const mostAgendas = 1_000_000;

const queueSize = z
  .number()
  .int()
  .min(0)
  .max(mostAgendas)
  .openapi({
    description: `Agendas admitted that no pool worker has started yet; 0 pauses the Insight; default ${defaultQueueSize}.`,
    example: defaultQueueSize,
  });

const maximumRunning = z
  .number()
  .int()
  .min(1)
  .max(mostAgendas)
  .openapi({ description: 'Agendas that may hold capacity through it at once; absent: unlimited.', example: 25 });

const mappers = z
  .record(z.string(), z.array(z.string().max(1_000)).max(1_000))
  .superRefine((given, context) => {
    for (const fault of validateMappers(given)) {
      // From a pointer into the Insight to a path within the mappers.
      const path = fault.pointer
        .split('/')
        .slice(2)
        .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
      context.addIssue({ code: 'custom', path, message: fault.message, params: { code: fault.code, sentence: true } });
    }
  })
  .openapi({
    description: 'Which Agendas belong here: one matching value of one mapper is enough; letter case is ignored.',
    example: { operationType: ['ffmpeg'], paramMap: ['tier=gold'] },
  });

const schedulingAlgorithm = z
  .string()
  .superRefine((name, context) => {
    if (admissionAlgorithms.includes(name)) return;
    context.addIssue({
      code: 'custom',
      message: `must be one of ${admissionAlgorithms.join(', ')}, is ${JSON.stringify(name.slice(0, 100))}.`,
      params: { code: 'notAllowed' },
    });
  })
  .openapi({ description: `Who goes next; default ${defaultAlgorithm}.`, example: defaultAlgorithm });

const order = z
  .number()
  .int()
  .min(-1_000_000)
  .max(1_000_000)
  .openapi({ description: 'Among several Insights that match, the smallest goes first.', example: 0 });

const shape = {
  customerId: idSchema.openapi({ description: 'Its owner.', example: 'operations' }),
  title: titleSchema.openapi({ example: 'Encodes' }),
  resourcePoolId: idSchema.openapi({ description: 'The pool it feeds.', example: 'pool-east' }),
  queueName: textOfBytes(1_000).nullish().openapi({ description: "POP's queue; kept, not used.", example: 'encodes' }),
  queueSize: queueSize.nullish(),
  schedulingAlgorithm: schedulingAlgorithm.nullish(),
  maximumRunning: maximumRunning.nullish(),
  mappers: mappers.nullish(),
  isGlobal: z.boolean().nullish().openapi({ description: "Every customer's Agendas may map here.", example: false }),
  allowedCustomerIds: z
    .array(idSchema)
    .max(10_000)
    .nullish()
    .openapi({ description: 'Customers besides the owner whose Agendas may map here; letter case is ignored.', example: ['acme'] }),
  order: order.nullish(),
};

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

const viewSchema = z
  .object({
    ...baseViewShape,
    title: z.string(),
    resourcePoolId: z.string(),
    queueName: z.string().optional(),
    queueSize,
    schedulingAlgorithm: z.string(),
    maximumRunning: maximumRunning.optional(),
    mappers: z.record(z.string(), z.array(z.string())),
    isGlobal: z.boolean(),
    allowedCustomerIds: z.array(z.string()).openapi({ description: 'Lower-cased and sorted.' }),
    order,
    paused: z.boolean().openapi({ description: 'Nothing is admitted, because queueSize is 0; computed.' }),
  })
  .openapi('Insight');

const insights: SettingsKind<InsightRow, InsightSettings> = {
  name: 'Insight',
  path: '/insight',
  schema: z
    // `paused` comes back with an answer that is sent as a request; it may not say something else than queueSize does.
    .strictObject({ ...shape, paused: z.boolean().nullish() })
    .superRefine((given, context) => {
      if (typeof given.paused !== 'boolean' || given.paused === (given.queueSize === 0)) return;
      const message = 'is computed: an Insight is paused while its queueSize is 0.';
      context.addIssue({ code: 'custom', path: ['paused'], message, params: { code: 'computed' } });
    })
    .transform((given) => ({
      customerId: given.customerId,
      title: given.title,
      resourcePoolId: given.resourcePoolId,
      queueName: given.queueName ?? null,
      queueSize: given.queueSize ?? defaultQueueSize,
      schedulingAlgorithm: given.schedulingAlgorithm ?? defaultAlgorithm,
      maximumRunning: given.maximumRunning ?? null,
      mappers: given.mappers ?? {},
      isGlobal: given.isGlobal ?? false,
      allowedCustomerIds: [...new Set((given.allowedCustomerIds ?? []).map((id) => id.toLowerCase()))].sort(),
      order: given.order ?? 0,
    })),
  documentedPost: documentedPost(shape).openapi('InsightCreate'),
  documentedPut: documentedPut(shape).openapi('InsightUpdate'),
  viewSchema,
  querySchema: listQuerySchema.extend({
    ...byQuery('byId', 'byCid', 'byCustomerId', 'byTitle', 'byResourcePoolId'),
    fields: fieldsQuery(viewSchema),
  }),
  example: {
    post: example,
    view: {
      ...example,
      order: 0,
      paused: false,
      cid: 'nightly-2026-07-01',
      addedTime: 1_782_864_000_000,
      updatedTime: 1_782_864_000_000,
    },
  },
  settingsOf: ({ id: _id, cid: _cid, addedTime: _addedTime, updatedTime: _updatedTime, ...settings }) => settings,
  views: async (_database, rows) =>
    rows.map((row) =>
      baseView(row, {
        title: row.title,
        resourcePoolId: row.resourcePoolId,
        queueName: row.queueName,
        queueSize: row.queueSize,
        schedulingAlgorithm: row.schedulingAlgorithm,
        maximumRunning: row.maximumRunning,
        mappers: row.mappers,
        isGlobal: row.isGlobal,
        allowedCustomerIds: row.allowedCustomerIds,
        order: row.order,
        paused: row.queueSize === 0,
      }),
    ),
  list: listInsights,
  read: readInsight,
  lock: lockInsight,
  insert: insertInsight,
  update: updateInsight,
  remove: deleteInsight,
  inUse: insightInUse,
  check: async (writer, access, settings, before) => {
    await requirePool(writer, access, settings.resourcePoolId, before?.resourcePoolId);
    if (before === undefined || before.resourcePoolId === settings.resourcePoolId) return;
    // Waiting and running rows carry the pool; they would be left behind in the old one.
    const uses = await insightInUse(writer, before.id);
    if (uses !== undefined) throw inUse(`Insight ${JSON.stringify(before.id)} cannot move to another pool while it has ${uses}.`);
  },
  wakes: async (_writer, row) => [row.id],
};

export function addInsightRoutes(api: Api, parts: ApiParts): void {
  addSettingsEndpoints(api, parts, insights);
}
