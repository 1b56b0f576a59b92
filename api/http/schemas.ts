/** Pieces that the schemas of several routes are made of. */
import { z } from '@hono/zod-openapi';
import { quoted } from '../../agenda/cut.ts';
import { maximumIdBytes } from '../../agenda/types.ts';

/** Text of at most this many bytes of UTF-8, not empty. */
export function textOfBytes(most: number) {
  return z.string().superRefine((text, context) => {
    const bytes = Buffer.byteLength(text);
    if (bytes === 0) context.addIssue({ code: 'custom', message: 'must not be empty.', params: { code: 'tooSmall' } });
    if (bytes > most)
      context.addIssue({
        code: 'custom',
        message: `may have at most ${most} bytes, has ${bytes}.`,
        params: { code: 'tooLarge' },
      });
  });
}

/** An id, `linkId` or `cid`: any text of 1 to 200 bytes, URLs included. */
export const idSchema = textOfBytes(maximumIdBytes)
  // A path segment of these cannot be asked for: URLs fold them.
  .refine((id) => id !== '.' && id !== '..', { error: 'must not be "." or "..".' })
  .openapi({ example: 'https://example.com/data/Account/3333333' });

/** A title for people. */
export const titleSchema = textOfBytes(1_000).openapi({ example: 'Nightly encodes' });

/** End of the year 9999: what comes later is written in a form that Postgres does not read. */
export const latestEpochMilliseconds = 253_402_300_799_999;

/** A point in time in what is sent out and taken in. */
export const epochMillisecondsSchema = z
  .number()
  .int()
  .min(0)
  .max(latestEpochMilliseconds)
  .openapi({ format: 'int64', description: 'Epoch milliseconds.', example: 1_782_864_000_000 });

/** `true` or `false` in a query. */
export const queryFlagSchema = z.enum(['true', 'false']).transform((text) => text === 'true');

/** Begin of the year 1. */
const earliestEpochMilliseconds = -62_135_596_800_000;

const queryTime = z
  .string()
  .transform((text, context) => {
    const time = /^\d+$/.test(text) ? new Date(Number(text)) : new Date(text);
    const isWritable = time.getTime() >= earliestEpochMilliseconds && time.getTime() <= latestEpochMilliseconds;
    if (!isWritable) {
      context.addIssue({
        code: 'custom',
        message: `must be epoch milliseconds or an ISO 8601 time, of the years 1 to 9999, is ${quoted(text)}.`,
      });
      return z.NEVER;
    }
    return time;
  })
  .openapi({ type: 'string', description: 'Epoch milliseconds or ISO 8601; exclusive.', example: '1782864000000' });

const queryLimit = z
  .string()
  .transform((text, context) => {
    const limit = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(limit >= 1 && limit <= 1000)) {
      context.addIssue({ code: 'custom', message: `must be a whole number from 1 to 1000, is ${quoted(text)}.` });
      return z.NEVER;
    }
    return limit;
  })
  .openapi({ type: 'integer', description: 'Most objects in one answer; default 100, at most 1,000.', example: 100 });

/** Parameters of every list. A route adds its `by…` names: `listQuerySchema.extend(byQuery('byTitle'))`. */
export const listQuerySchema = z.object({
  limit: queryLimit.optional(),
  cursor: z.string().max(2_000).optional().openapi({ description: '`nextCursor` of the answer before.' }),
  addedAfter: queryTime.optional(),
  addedBefore: queryTime.optional(),
  countOnly: queryFlagSchema
    .optional()
    .openapi({ type: 'boolean', description: '`true`: count what the caller may see, list nothing.' }),
});

/** Query parameters that ask for equality. */
export function byQuery<Name extends string>(...names: readonly Name[]): Record<Name, z.ZodOptional<z.ZodString>> {
  return Object.fromEntries(names.map((name) => [name, z.string().max(2_000).optional()])) as Record<
    Name,
    z.ZodOptional<z.ZodString>
  >;
}

/** The answer of a list. */
export function listAnswerSchema(item: z.ZodType) {
  return z.object({
    cid: z.string(),
    /** Of `all`; with `countOnly` of everything that matches. */
    count: z.number().int(),
    all: z.array(item),
    nextCursor: z.string().optional().openapi({ description: 'Absent on the last page.' }),
  });
}

/** The body of every answer that is an error. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string().openapi({ description: 'Stable word for programs.' }),
    correlationId: z.string(),
    description: z.string().openapi({ description: "As detail; POP's name." }),
    responseCode: z.number().int().openapi({ description: "As status; POP's name." }),
    errors: z
      .array(
        z.object({
          pointer: z.string().openapi({ description: 'JSON pointer into the body.' }),
          code: z.string(),
          message: z.string(),
        }),
      )
      .optional(),
  })
  .openapi('Problem', {
    example: {
      type: 'urn:pop:problem:invalid',
      title: 'Not acceptable content',
      status: 422,
      detail: 'title is required.',
      instance: '/v1/customer',
      code: 'invalid',
      correlationId: '0197f3c2-6d1e-7c4a-9b1f-2f6f1f0a7a11',
      description: 'title is required.',
      responseCode: 422,
      errors: [{ pointer: '/title', code: 'required', message: 'title is required.' }],
    },
  });
