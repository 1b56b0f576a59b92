/** Settings that admission goes by, as Insights and Customers share them. */
import { z } from '@hono/zod-openapi';
import { mostSeconds } from '../../agenda/types.ts';
import { idSchema } from '../http/schemas.ts';

/** Most Agendas, slots or turns of any setting that counts them. */
export const mostCounted = 1_000_000;
/** Most customers of which one Insight says something. */
const mostCustomers = 10_000;
/** Strict bands; 0 is the top. */
const lowestBand = 9;

/** Any positive weight; only proportions matter. */
export const weightSchema = z
  .number()
  .min(1e-9)
  .max(1e9)
  .openapi({ description: 'What it gets is in proportion to this; default 1.', example: 1 });

/** A strict band. */
export const bandSchema = z.number().int().min(0).max(lowestBand).openapi({
  description: 'With the algorithm `Priority`: 0 is the top and goes strictly before 1; default 0.',
  example: 0,
});

/** A limit on Agendas; 0 is refused, for that is what `paused` is for. */
export const maximumRunningSchema = z
  .number()
  .int()
  .max(mostCounted)
  .superRefine((most, context) => {
    if (most >= 1) return;
    context.addIssue({
      code: 'custom',
      message: `must be at least 1, is ${most}; set paused where nothing is to be admitted.`,
      params: { code: 'tooSmall' },
    });
  })
  .openapi({ minimum: 1, description: 'Agendas that may hold capacity at once; absent: unlimited.', example: 25 });

/** Of a Customer, an Insight or a ResourcePool. */
export const pausedSchema = z
  .boolean()
  .openapi({ description: 'Nothing is admitted; what runs goes on. Default false.', example: false });

/** A whole number of slots or turns. */
export const countSchema = (least: number) => z.number().int().min(least).max(mostCounted);
/** Seconds, 0 included, a year at most. */
export const secondsSchema = z.number().min(0).max(mostSeconds);

const customerFields = {
  weight: weightSchema,
  band: bandSchema,
  maximumRunning: maximumRunningSchema.openapi({
    description: 'Of its Agendas through this Insight; its own limit holds as well.',
  }),
  paused: pausedSchema,
};

/** Settings of customers inside one Insight, as taken in; null counts as absent. */
export const customersSchema = z
  .record(
    idSchema,
    z
      .strictObject({
        weight: customerFields.weight.nullish(),
        band: customerFields.band.nullish(),
        maximumRunning: customerFields.maximumRunning.nullish(),
        paused: customerFields.paused.nullish(),
      })
      .nullish(),
  )
  .superRefine((given, context) => {
    const count = Object.keys(given).length;
    if (count <= mostCustomers) return;
    context.addIssue({
      code: 'custom',
      message: `may name ${mostCustomers} customers, names ${count}.`,
      params: { code: 'tooLarge' },
    });
  })
  .openapi({
    description: 'By customer id, what it is entitled to here in place of its own settings. Replaced as a whole.',
    example: { acme: { weight: 3, maximumRunning: 10 } },
  });

/** As answered. */
export const customersViewSchema = z.record(z.string(), z.object(customerFields).partial());
