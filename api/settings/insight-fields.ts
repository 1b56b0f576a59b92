/** The fields of an Insight: as taken in, with their defaults, and as answered. */
import { z } from '@hono/zod-openapi';
import { quoted } from '../../agenda/cut.ts';
import { pathOf } from '../../agenda/json-pointer.ts';
import { mostSeconds } from '../../agenda/types.ts';
import { algorithmNames } from '../../scheduling/algorithms.ts';
import { costModels } from '../../scheduling/cost-models.ts';
import { fairShareDefaults } from '../../scheduling/fair-share.ts';
import { validateMappers } from '../../scheduling/insight-mapping.ts';
import { idSchema, textOfBytes, titleSchema } from '../http/schemas.ts';
import {
  countSchema,
  customersSchema,
  customersViewSchema,
  maximumRunningSchema,
  mostCounted,
  pausedSchema,
  secondsSchema,
  weightSchema,
} from './admission-fields.ts';

/** `queueSize` where nothing is said; also in the document. */
export const defaultQueueSize = 100;
/** `schedulingAlgorithm` where nothing is said. */
export const defaultAlgorithm = 'Fairness';
/** `costModel` where nothing is said. */
export const defaultCostModel = 'shareTime';

const unstarted = 'Agendas admitted that no pool worker has started yet';
const queueSize = z
  .number()
  .int()
  .min(0)
  .max(mostCounted)
  .openapi({
    description: `${unstarted}; 0 pauses the Insight; default ${defaultQueueSize}.`,
    example: defaultQueueSize,
  });

const mappers = z
  .record(z.string(), z.array(z.string().max(1_000)).max(1_000))
  .superRefine((given, context) => {
    const { first, total } = validateMappers(given);
    for (const fault of first) {
      // From a pointer into the Insight to a path within the mappers.
      const path = pathOf(fault.pointer).slice(1);
      context.addIssue({
        code: 'custom',
        path,
        message: fault.message,
        params: { code: fault.code, sentence: true, more: fault === first.at(-1) ? total - first.length : 0 },
      });
    }
  })
  .openapi({
    description: 'Which Agendas belong here: one matching value of one mapper is enough; letter case is ignored.',
    example: { operationType: ['ffmpeg'], paramMap: ['tier=gold'] },
  });

const schedulingAlgorithm = z
  .string()
  .superRefine((name, context) => {
    if (algorithmNames().includes(name)) return;
    context.addIssue({
      code: 'custom',
      message: `must be one of ${algorithmNames().join(', ')}, is ${quoted(name)}.`,
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

/** How its admission goes; absent from an answer where nothing is set. */
const limits = {
  maximumRunning: maximumRunningSchema.openapi({
    description: 'Agendas that may hold capacity through it at once; absent: unlimited.',
  }),
  guaranteed: countSchema(0).openapi({
    description: 'Slots of its pool that it gets before others share, as far as it needs them; absent: none.',
    example: 5,
  }),
  maximum: countSchema(1).openapi({
    description: 'Slots that its Agendas may hold at once; absent: unlimited.',
    example: 20,
  }),
  admissionsPerSecond: z
    .number()
    // The admissions of a period are counted, and kept for at least a day.
    .min(0.0001)
    .max(mostCounted)
    .openapi({ description: 'Admissions in a second, 0.1 for one in ten; absent: unlimited.', example: 2.5 }),
  priorityStep: secondsSchema.openapi({
    description:
      `Seconds of head start of one point of priority, with the algorithm \`Priority\`; absent: ` +
      `${fairShareDefaults.priorityStep}.`,
    example: 60,
  }),
  floor: countSchema(2).openapi({
    description:
      `With the algorithm \`Priority\`, one admission in so many goes to a lower band while one waits there; ` +
      `absent: ${fairShareDefaults.floor}.`,
    example: fairShareDefaults.floor,
  }),
  promoteAfter: z.number().positive().max(mostSeconds).openapi({
    description: 'Seconds after which an Agenda that waits in a lower band goes up one; absent: never.',
    example: 3600,
  }),
  bypassLimit: countSchema(0).openapi({
    description:
      `Agendas that may pass one that does not fit before the pool drains for it; absent: ` +
      `${fairShareDefaults.bypassLimit}.`,
    example: fairShareDefaults.bypassLimit,
  }),
  bypassSeconds: secondsSchema.openapi({
    description: `Seconds for which others may pass one that does not fit; absent: ${fairShareDefaults.bypassSeconds}.`,
    example: fairShareDefaults.bypassSeconds,
  }),
};

const weight = weightSchema.openapi({
  description: 'Its part among the Insights of its pool is in proportion to this; default 1.',
});
const costModel = z.enum(costModels).openapi({
  description: `What an Agenda costs its customer; default ${defaultCostModel}.`,
  example: defaultCostModel,
});

/** What a POST holds, besides `id`. */
export const insightShape = {
  customerId: idSchema.openapi({ description: 'Its owner.', example: 'operations' }),
  title: titleSchema.openapi({ example: 'Encodes' }),
  resourcePoolId: idSchema.openapi({ description: 'The pool it feeds.', example: 'pool-east' }),
  queueName: textOfBytes(1_000).nullish().openapi({ description: "POP's queue; kept, not used.", example: 'encodes' }),
  queueSize: queueSize.nullish(),
  schedulingAlgorithm: schedulingAlgorithm.nullish(),
  maximumRunning: limits.maximumRunning.nullish(),
  weight: weight.nullish(),
  guaranteed: limits.guaranteed.nullish(),
  maximum: limits.maximum.nullish(),
  admissionsPerSecond: limits.admissionsPerSecond.nullish(),
  costModel: costModel.nullish(),
  priorityStep: limits.priorityStep.nullish(),
  floor: limits.floor.nullish(),
  promoteAfter: limits.promoteAfter.nullish(),
  bypassLimit: limits.bypassLimit.nullish(),
  bypassSeconds: limits.bypassSeconds.nullish(),
  paused: pausedSchema.nullish(),
  customers: customersSchema.nullish(),
  mappers: mappers.nullish(),
  isGlobal: z.boolean().nullish().openapi({ description: "Every customer's Agendas may map here.", example: false }),
  allowedCustomerIds: z
    .array(idSchema)
    .max(10_000)
    .nullish()
    .openapi({
      description: 'Customers besides the owner whose Agendas may map here; letter case is ignored.',
      example: ['acme'],
    }),
  order: order.nullish(),
};

/** What an answer holds, besides what all settings have. */
export const insightViewShape = {
  title: z.string(),
  resourcePoolId: z.string(),
  queueName: z.string().optional(),
  queueSize,
  schedulingAlgorithm: z.string(),
  ...z.object(limits).partial().shape,
  weight,
  costModel,
  paused: pausedSchema,
  pausedBy: z
    .enum(['setting', 'queueSize', 'resourcePool'])
    .optional()
    .openapi({ description: 'Why it admits nothing: `paused`, a `queueSize` of 0, or its ResourcePool; computed.' }),
  customers: customersViewSchema,
  mappers: z.record(z.string(), z.array(z.string())),
  isGlobal: z.boolean(),
  allowedCustomerIds: z.array(z.string()).openapi({ description: 'Lower-cased and sorted.' }),
  order,
};
