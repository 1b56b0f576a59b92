/** What an Agenda looks like in requests and answers: POP's fields and ours. */
import { z } from '@hono/zod-openapi';
import { agendaOutcomes, failureCategories, operationOutcomes } from '../../agenda/outcomes.ts';
import {
  highestPriority,
  type JsonObject,
  maximumIdBytes,
  maximumNameLength,
  mostInFlight,
  mostSeconds,
} from '../../agenda/types.ts';
import { maximumTimeoutSeconds, maximumWeight } from '../../agenda/validate-operation.ts';
import { fieldsWithoutEffect, objectNames } from '../http/known-fields.ts';
import { epochMillisecondsSchema } from '../http/schemas.ts';
import { leastOneSlot, resourcesSchema, resourcesViewSchema } from '../settings/resources-schema.ts';
import { admissionViewSchema } from './admission-view.ts';

/** Text of limited length; what Postgres cannot hold was refused when the body was parsed. */
const limited = (most: number, unit: 'bytes' | 'characters' = 'characters') =>
  z.string().check((context) => {
    const { value } = context;
    const actual = unit === 'bytes' ? Buffer.byteLength(value) : value.length;
    if (actual <= most) return;
    context.issues.push({
      code: 'custom',
      input: value,
      message: `may have at most ${most} ${unit}, has ${actual}.`,
      params: { code: 'tooLong' },
    });
  });

const idText = limited(maximumIdBytes, 'bytes');

const freeParams = z
  .custom<JsonObject>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'must be an object.',
  )
  .openapi({ type: 'object', additionalProperties: true });

const seconds = z.number().positive().max(maximumTimeoutSeconds);

/** Limits of one Operation; a field we do not know is refused, since it would silently not limit. */
export const operationTimeoutSchema = z
  .strictObject({ scheduledSeconds: seconds.nullish(), quietSeconds: seconds.nullish(), runSeconds: seconds.nullish() })
  .openapi('OperationTimeout');

/** One Operation of a POST of an Agenda. */
const operationSchema = z
  .strictObject({
    name: limited(maximumNameLength)
      .openapi({
        description: 'Unique in its Agenda ignoring case; used in references such as `@<name.out::/path>`.',
        example: 'probe',
      })
      .nullish()
      .transform((name) => name ?? ''),
    type: limited(maximumNameLength)
      .min(1)
      .openapi({ description: "Looked up in the pool's registry.", example: 'sample' }),
    id: idText.nullish(),
    payload: z
      .unknown()
      .optional()
      .openapi({ description: 'Any JSON; references in it are replaced by results of earlier Operations.' }),
    params: freeParams.nullish(),
    dependsOn: z
      .array(limited(maximumNameLength))
      .max(10_000)
      .nullish()
      .openapi({ description: 'Names of Operations that must succeed first.' }),
    weight: z
      .number()
      .positive()
      .max(maximumWeight)
      .nullish()
      .openapi({ description: 'Its part of the percentage; default 1.' }),
    timeout: operationTimeoutSchema.nullish(),
  })
  .openapi('Operation')
  .register(objectNames, { name: 'an Operation' });

const priority = z.number().int().min(-highestPriority).max(highestPriority);
const priorityDescription =
  'Head start among the waiting Agendas of its customer, in steps of `priorityStep` seconds of its Insight, with the ' +
  'algorithm `Priority`; default 0.';
const peakDescription =
  'The most it will hold of its ResourcePool at once, at least one slot. Absent: what its Operations may need at ' +
  'once, by what the pool workers told of their types.';
const expectedSecondsDescription = 'How long it will run, where that is known; absent: learned from those before it.';
const notBeforeDescription = 'Not admitted before; epoch milliseconds.';

const peak = resourcesSchema.extend({ slots: leastOneSlot.nullish() }).superRefine((given, context) => {
  if (Object.values(given).some((amount) => amount !== null && amount !== undefined)) return;
  context.addIssue({
    code: 'custom',
    message: 'must name at least one of slots, cpu, memory, gpu.',
    params: { code: 'required' },
  });
});

/** What changes the priority of an Agenda that waits. */
export const prioritySchema = z.strictObject({
  priority: priority.openapi({ description: priorityDescription, example: 10 }),
});

/** Where an Agenda went: its Insight and that one's ResourcePool. */
export const agendaInsightSchema = z
  .object({ resourcePoolId: z.string(), insightId: z.string() })
  .openapi('AgendaInsight');

const operationView = z
  .object({
    name: z.string(),
    type: z.string(),
    id: z.string().optional(),
    payload: z.unknown().optional(),
    params: freeParams.optional(),
    dependsOn: z.array(z.string()).optional(),
    weight: z.number().optional(),
    timeout: operationTimeoutSchema.optional(),
  })
  .openapi('StoredOperation');

/** An Agenda as stored. In lists only what is asked for; `operations` is never there unasked. */
export const agendaViewSchema = z
  .object({
    id: z.string(),
    cid: z.string(),
    customerId: z.string(),
    title: z.string().optional(),
    addedTime: epochMillisecondsSchema,
    updatedTime: epochMillisecondsSchema,
    linkId: z.string().optional(),
    progressId: z.string(),
    params: freeParams,
    parallelism: z.number().optional(),
    priority: z.number().int().openapi({ description: priorityDescription }),
    peak: resourcesViewSchema.optional().openapi({ description: peakDescription }),
    expectedSeconds: z.number().optional().openapi({ description: expectedSecondsDescription }),
    notBefore: epochMillisecondsSchema.optional().openapi({ description: notBeforeDescription }),
    agendaInsight: agendaInsightSchema,
    attempt: z.number().int().openapi({ description: '1 for the first execution; a rerun is the next.' }),
    cancelRequestedTime: epochMillisecondsSchema.optional(),
    operations: z.array(operationView),
  })
  .openapi('Agenda');

const submissionShape = {
  id: z.unknown().optional().openapi({
    description:
      'Of an Agenda that was read and is submitted again; the new one gets an id and a `progressId` of its own.',
  }),
  customerId: idText.min(1).openapi({ example: 'acme' }),
  title: limited(1_000).nullish(),
  linkId: idText.nullish(),
  progressId: idText.nullish(),
  params: freeParams.nullish().openapi({
    description: 'Free; with a meaning: `externalId`, `maximumAttempts`, `doNotRun`, `defaultInsight`.',
    example: { maximumAttempts: 5 },
  }),
  operations: z
    .array(operationSchema)
    .nullish()
    .transform((operations) => operations ?? []),
  parallelism: z
    .number()
    .int()
    .min(1)
    .max(mostInFlight)
    .nullish()
    .openapi({ description: 'Most of its Operations in flight at once.' }),
  priority: priority.nullish().openapi({ description: priorityDescription, example: 10 }),
  peak: peak.nullish().openapi({ description: peakDescription, example: { slots: 1, cpu: 4, memory: 8_589_934_592 } }),
  expectedSeconds: z
    .number()
    .positive()
    .max(mostSeconds)
    .nullish()
    .openapi({ description: expectedSecondsDescription, example: 600 }),
  notBefore: epochMillisecondsSchema.nullish().openapi({ description: notBeforeDescription }),
};

/** A POST of an Agenda, of which what has no effect was taken out. A field that is null counts as absent. */
export const agendaSchema = z.strictObject(submissionShape);

/** A single Agenda shows how its attempt was admitted. */
export const agendaDetailSchema = agendaViewSchema
  .extend({ admission: admissionViewSchema.optional() })
  .openapi('AgendaDetail');

/** Fields of POP's Agendas that do nothing, there as here. */
const popAgendaFields = ['jobId'];

/** A POST of an Agenda with everything that it may hold. */
export const agendaBodySchema = z
  .strictObject({ ...submissionShape, ...fieldsWithoutEffect(submissionShape, agendaDetailSchema, popAgendaFields) })
  .openapi('AgendaSubmission', {
    example: {
      customerId: 'acme',
      title: 'Say hello',
      operations: [
        {
          name: 'hello',
          type: 'sample',
          payload: { actions: [{ action: 'log', paramsMap: { logMessage: 'hello' } }] },
        },
      ],
    },
  })
  .register(objectNames, { name: 'an Agenda' });

/** A diagnostic event as it is shown. */
export const diagnosticEventView = z
  .object({
    message: z.string(),
    statusCode: z.number().optional(),
    code: z.string().optional(),
    time: z.number().optional(),
    stackTrace: z.string().optional(),
    payload: z.unknown().optional(),
  })
  .openapi('DiagnosticEventView');

const processingState = z.enum(['WAITING', 'EXECUTING', 'COMPLETE']);

/** `byState` of lists. */
export const stateQuery = processingState.optional();

const progressBase = {
  id: z.string(),
  cid: z.string(),
  customerId: z.string(),
  addedTime: epochMillisecondsSchema,
  updatedTime: epochMillisecondsSchema,
  processingState,
  processingStateMessage: z.string().openapi({ example: 'succeeded' }),
  percentComplete: z.number(),
  diagnosticEvents: z.array(diagnosticEventView).optional(),
  params: freeParams.optional(),
  startedTime: epochMillisecondsSchema.optional(),
  completedTime: epochMillisecondsSchema.optional(),
};

/** An OperationProgress as answered. */
export const operationProgressViewSchema = z
  .object({
    ...progressBase,
    outcome: z.enum(operationOutcomes).optional().openapi({
      description:
        'How it ended. `skipped`: it never ran, see `diagnosticEvents`. `timedOut`: message `failed`, as POP has it.',
    }),
    agendaProgressId: z.string(),
    operation: z.string().openapi({ description: "The Operation's name." }),
    resultPayload: z.string().optional().openapi({ description: 'JSON text.' }),
    attemptCount: z.number().int(),
    attemptTime: epochMillisecondsSchema.optional(),
    launch: z.number().int().openapi({ description: 'Raised when an earlier launch of the same attempt was lost.' }),
    failureCategory: z
      .enum(failureCategories)
      .optional()
      .openapi({ description: 'Whose matter the failure of its newest launch is; see docs/failures.md.' }),
    failureCode: z.string().optional().openapi({ description: 'Why it failed; see docs/failures.md.' }),
    againTime: epochMillisecondsSchema
      .optional()
      .openapi({ description: 'Its newest launch was lost; the next one is not before.' }),
    blocked: z
      .object({ reason: z.string(), since: epochMillisecondsSchema })
      .optional()
      .openapi({ description: 'It cannot be started now: why, and since when. It is tried again.' }),
    admittedTime: epochMillisecondsSchema.optional(),
    scheduledTime: epochMillisecondsSchema.optional(),
    pulledTime: epochMillisecondsSchema.optional(),
    endedTime: epochMillisecondsSchema.optional(),
    noticedTime: epochMillisecondsSchema.optional(),
  })
  .openapi('OperationProgress');

/** An AgendaProgress as answered; with `operationProgress` where that is asked for, and for single ones. */
export const agendaProgressViewSchema = z
  .object({
    ...progressBase,
    outcome: z.enum(agendaOutcomes).optional().openapi({ description: 'How it ended.' }),
    failing: z.boolean().openapi({
      description:
        'It cannot succeed any more: one of its Operations ended other than `succeeded`. Others may still run.',
    }),
    agendaId: z.string(),
    linkId: z.string().optional(),
    externalId: z.string().optional(),
    title: z.string().optional(),
    attemptsCompleted: z.number().int(),
    maximumAttempts: z.number().int(),
    agendaInsight: agendaInsightSchema,
    operationProgress: z.array(operationProgressViewSchema).optional(),
  })
  .openapi('AgendaProgress');
