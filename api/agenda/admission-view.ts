/** How an attempt of an Agenda was admitted, as JSON. */
import { z } from '@hono/zod-openapi';
import type { AdmissionRow } from '../../db/admission/admission-record.ts';
import { amountsOfKey } from '../../scheduling/need.ts';
import { epochMillisecondsSchema } from '../http/schemas.ts';
import { resourcesViewSchema } from '../settings/resources-schema.ts';

/** As answered, for the document. */
export const admissionViewSchema = z
  .object({
    attempt: z.number().int().openapi({ description: 'Of the Agenda.' }),
    insightId: z.string(),
    number: z.number().int().openapi({ description: 'Of the admissions of its Insight, from 1.' }),
    batchId: z.string(),
    algorithm: z.string(),
    reason: z.string().openapi({ description: 'A code, such as `share`; see docs/scheduling.md.', example: 'share' }),
    readyTime: epochMillisecondsSchema,
    admittedTime: epochMillisecondsSchema,
    waitedSeconds: z.number().openapi({ description: 'From ready to admitted.' }),
    need: resourcesViewSchema.openapi({ description: 'What it was to hold of its pool.' }),
    level: z.number().int().openapi({ description: 'The band it was admitted in.' }),
    expectedSeconds: z.number(),
    durationKnown: z.boolean().openapi({ description: 'Declared or learned; else a usual one was taken.' }),
    costModel: z.string(),
    cost: z.number().openapi({ description: 'What its customer was charged for it.' }),
    actualCost: z
      .number()
      .optional()
      .openapi({ description: 'Cost of what it really used; once it has ended and admission took that in.' }),
    seconds: z.number().optional().openapi({ description: 'How long it held its place.' }),
    endedTime: epochMillisecondsSchema.optional(),
    weight: z.number().openapi({ description: 'Of its customer then.' }),
    total: z.number().optional().openapi({
      description: 'Weights of all active customers then; with algorithms that share by weight, as the next three.',
    }),
    clock: z.number().optional().openapi({ description: 'The virtual clock before it.' }),
    start: z.number().optional().openapi({ description: "Its customer's start tag before it." }),
    finish: z
      .number()
      .optional()
      .openapi({ description: "Its customer's finish tag before it, which is the start tag after it." }),
  })
  .openapi('Admission');

/** A row as the api shows it; times in epoch milliseconds. */
export function admissionView(row: AdmissionRow): z.input<typeof admissionViewSchema> {
  return {
    attempt: row.attempt,
    insightId: row.insightId,
    number: row.number,
    batchId: row.batchId,
    algorithm: row.algorithm,
    reason: row.reason,
    readyTime: row.readyTime.getTime(),
    admittedTime: row.admittedTime.getTime(),
    waitedSeconds: Math.max(0, row.admittedTime.getTime() - row.readyTime.getTime()) / 1000,
    need: amountsOfKey(row.need),
    level: row.level,
    expectedSeconds: row.expectedSeconds,
    durationKnown: row.durationKnown,
    costModel: row.costModel,
    cost: row.cost,
    actualCost: row.actualCost ?? undefined,
    seconds: row.seconds ?? undefined,
    endedTime: row.endedTime?.getTime(),
    weight: row.weight,
    total: row.total ?? undefined,
    clock: row.clock ?? undefined,
    start: row.start ?? undefined,
    finish: row.finish ?? undefined,
  };
}

/** For examples in the document. */
export const admissionExample: z.input<typeof admissionViewSchema> = {
  attempt: 1,
  insightId: 'encode',
  number: 4711,
  batchId: '0197f3c2-6d1e-7c4a-9b1f-2f6f1f0a7a11:17',
  algorithm: 'Fairness',
  reason: 'share',
  readyTime: 1_782_864_000_000,
  admittedTime: 1_782_864_012_500,
  waitedSeconds: 12.5,
  need: { slots: 1, cpu: 0, memory: 0, gpu: 0 },
  level: 0,
  expectedSeconds: 60,
  durationKnown: true,
  costModel: 'shareTime',
  cost: 7.5,
  actualCost: 6.25,
  seconds: 50,
  endedTime: 1_782_864_062_500,
  weight: 1,
  total: 4,
  clock: 812.5,
  start: 810,
  finish: 817.5,
};
