/** What an ApiKey looks like in requests and answers. */
import { z } from '@hono/zod-openapi';
import { quoted } from '../../agenda/cut.ts';
import { scopes } from '../auth/authorize.ts';
import { fieldsWithoutEffect, objectNames } from '../http/known-fields.ts';
import { epochMillisecondsSchema, idSchema, titleSchema } from '../http/schemas.ts';

/** What a scope for a pool worker begins with; the id of the pool follows. */
export const poolScope = 'pool:';

const scopeSchema = z
  .string()
  .max(300)
  .superRefine((scope, context) => {
    if (
      (scopes as readonly string[]).includes(scope) ||
      (scope.startsWith(poolScope) && scope.length > poolScope.length)
    )
      return;
    const message = `must be one of ${scopes.join(', ')} or pool:<id>, is ${quoted(scope)}.`;
    context.addIssue({ code: 'custom', message, params: { code: 'notAllowed' } });
  })
  .openapi({
    description: '`read`, `submit`, `operate`, `admin` (which may do all of these), or `pool:<id>` for a pool worker.',
    example: 'read',
  });

const accountSchema = idSchema.refine((account) => account !== '*', {
  error: 'must not be "*"; a key that sees everything has superUser true.',
});

const createShape = {
  title: titleSchema.nullish().openapi({ example: 'CI of Acme' }),
  accounts: z
    .array(accountSchema)
    .max(1_000)
    .nullish()
    .openapi({ description: 'Customers it acts for.', example: ['acme'] }),
  superUser: z.boolean().nullish().openapi({ description: 'Acts for every customer.', example: false }),
  scopes: z.array(scopeSchema).min(1).max(10),
  expiresTime: epochMillisecondsSchema
    .nullish()
    .openapi({ description: 'Epoch milliseconds; absent: never.', example: 1_900_000_000_000 }),
};

/** What makes a key, of which what has no effect was taken out. */
export const createSchema = z.strictObject(createShape).superRefine((given, context) => {
  if (given.scopes.filter((scope) => scope.startsWith(poolScope)).length > 1) {
    context.addIssue({ code: 'custom', path: ['scopes'], message: 'may name one pool only.' });
  }
  if (
    given.superUser !== true &&
    (given.accounts ?? []).length === 0 &&
    !given.scopes.some((scope) => scope.startsWith(poolScope))
  ) {
    context.addIssue({
      code: 'custom',
      path: ['accounts'],
      message: 'is required, unless superUser is true or the key is for a pool.',
      params: { code: 'required' },
    });
  }
  if (given.expiresTime !== undefined && given.expiresTime !== null && given.expiresTime <= Date.now()) {
    context.addIssue({
      code: 'custom',
      path: ['expiresTime'],
      message: `must be in the future, is ${given.expiresTime}.`,
      params: { code: 'tooSmall' },
    });
  }
});

/** A key as answered, without the key itself. */
export const viewSchema = z
  .object({
    id: z.string().openapi({ description: 'The public part of the key.' }),
    title: z.string().optional(),
    accounts: z.array(z.string()),
    superUser: z.boolean(),
    scopes: z.array(z.string()),
    addedTime: epochMillisecondsSchema,
    expiresTime: epochMillisecondsSchema.optional(),
    lastUsedTime: epochMillisecondsSchema.optional().openapi({ description: 'Written at most once a minute.' }),
  })
  .openapi('ApiKey');

/** A key that was just made, with the key itself. */
export const madeSchema = viewSchema.extend({ key: z.string() }).openapi('ApiKeyMade');

/** A POST with everything that it may hold. */
export const bodySchema = z
  .strictObject({ ...createShape, ...fieldsWithoutEffect(createShape, madeSchema) })
  .openapi('ApiKeyCreate')
  .register(objectNames, { name: 'an ApiKey' });

/** For the document. */
export const keyExample = {
  id: '4fTq0aZk81Bc',
  title: 'CI of Acme',
  accounts: ['acme'],
  superUser: false,
  scopes: ['read', 'submit'],
  addedTime: 1_782_864_000_000,
};
