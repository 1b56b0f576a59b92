/** API keys over HTTP. A key is shown once, when it is made; nobody gives away more than they have. */
import { z } from '@hono/zod-openapi';
import { quoted } from '../../agenda/cut.ts';
import type { JsonObject } from '../../agenda/types.ts';
import { appendAudit, type Writer } from '../../db/audit.ts';
import { type ApiKeyRow, deleteApiKey, insertApiKey, listApiKeys, lockApiKey } from '../../db/settings/api-key.ts';
import { makeKey } from '../../db/settings/api-key-text.ts';
import { holdResourcePool } from '../../db/settings/resource-pool.ts';
import { keyCacheSeconds } from '../auth/api-keys.ts';
import { type Access, hasScope, mayActFor, ownedBy, scopes, visibilityOf } from '../auth/authorize.ts';
import { type Api, type ApiParts, addEndpoint, checked } from '../http/endpoint.ts';
import { fieldsWithoutEffect, objectNames } from '../http/known-fields.ts';
import { forbidden, invalidField, notFound } from '../http/problem.ts';
import {
  byQuery,
  epochMillisecondsSchema,
  idSchema,
  listAnswerSchema,
  listQuerySchema,
  titleSchema,
} from '../http/schemas.ts';
import { withoutNulls } from '../http/without-nulls.ts';

const tag = 'ApiKey';
const poolScope = 'pool:';

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

const createSchema = z.strictObject(createShape).superRefine((given, context) => {
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

const viewSchema = z
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

const madeSchema = viewSchema.extend({ key: z.string() }).openapi('ApiKeyMade');

/** A POST with everything that it may hold. */
const bodySchema = z
  .strictObject({ ...createShape, ...fieldsWithoutEffect(createShape, madeSchema) })
  .openapi('ApiKeyCreate')
  .register(objectNames, { name: 'an ApiKey' });

const example = {
  id: '4fTq0aZk81Bc',
  title: 'CI of Acme',
  accounts: ['acme'],
  superUser: false,
  scopes: ['read', 'submit'],
  addedTime: 1_782_864_000_000,
};

export function addApiKeyRoutes(api: Api, parts: ApiParts): void {
  const { database } = parts;

  addEndpoint(
    api,
    parts,
    {
      method: 'post',
      path: '/apikey',
      tag,
      summary: 'Make an ApiKey',
      description: 'The answer is the only place where the key itself is ever shown.',
      scope: 'admin',
      body: {
        schema: z.unknown(),
        documented: bodySchema,
        example: { title: example.title, accounts: example.accounts, scopes: example.scopes },
      },
      answers: {
        201: {
          description: 'Made; `key` is what goes into the Authorization header',
          schema: madeSchema,
          example: { ...example, key: 'pop_live_<id>_<secret>' },
        },
      },
    },
    async ({ c, access, cid, body: sent, unknownFields }) => {
      const body = checked(createSchema, sent, unknownFields);
      const expiresTime = expiryOf(access, body.expiresTime);
      const made = makeKey(parts.keyEnvironment ?? 'live');
      const view = await database.transaction(async (writer) => {
        const accounts = await accountsOf(writer, access, {
          accounts: body.accounts ?? [],
          superUser: body.superUser ?? false,
          scopes: body.scopes,
        });
        const row = await insertApiKey(writer, made, {
          accounts,
          superUser: body.superUser ?? false,
          scopes: [...new Set(body.scopes)],
          ...(typeof body.title === 'string' ? { title: body.title } : {}),
          ...(expiresTime === undefined ? {} : { expiresTime }),
        });
        const after = viewOf(row);
        await appendAudit(writer, {
          customerId: accounts[0] ?? '*',
          actor: access.userId,
          action: 'apiKey.create',
          objectId: made.prefix,
          cid,
          after,
        });
        return after;
      });
      // Must not rest in a cache on the way.
      const headers = { Location: `${new URL(c.req.url).pathname}/${made.prefix}`, 'Cache-Control': 'no-store' };
      return c.json({ ...view, key: made.key }, 201, headers);
    },
  );

  addEndpoint(
    api,
    parts,
    {
      method: 'get',
      path: '/apikey',
      tag,
      summary: 'List ApiKeys',
      description:
        "Without the keys themselves. An administrator sees the keys that act for none but the administrator's own accounts.",
      scope: 'admin',
      query: listQuerySchema.extend(byQuery('byId', 'byTitle')),
      answers: {
        200: {
          description: 'Those that match',
          schema: listAnswerSchema(viewSchema),
          example: { cid: 'nightly-2026-07-01', count: 1, all: [example] },
        },
      },
    },
    async ({ c, access, cid, query }) => {
      const page = await listApiKeys(database, visibilityOf(access), query);
      return c.json({ ...page, cid, all: page.all.map(viewOf) });
    },
  );

  addEndpoint(
    api,
    parts,
    {
      method: 'delete',
      path: '/apikey/{id}',
      tag,
      summary: 'Revoke an ApiKey',
      description: `It stops working within ${keyCacheSeconds} seconds.`,
      scope: 'admin',
      answers: {
        200: {
          description: 'What was revoked, in `all`',
          schema: listAnswerSchema(viewSchema),
          example: { cid: 'nightly-2026-07-01', count: 1, all: [example] },
        },
      },
    },
    async ({ c, access, cid, id }) => {
      const view = await database.transaction(async (writer) => {
        const row = await lockApiKey(writer, id);
        if (row === undefined || !isTheirs(access, row)) throw notFound('ApiKey', id);
        await deleteApiKey(writer, id);
        const before = viewOf(row);
        await appendAudit(writer, {
          customerId: row.accounts[0] ?? '*',
          actor: access.userId,
          action: 'apiKey.delete',
          objectId: id,
          cid,
          before,
        });
        return before;
      });
      return c.json({ cid, count: 1, all: [view] });
    },
  );
}

/** The accounts of a new key, when the caller may give all that it asks for. @throws ProblemError 403, 422 */
async function accountsOf(
  writer: Writer,
  access: Access,
  asked: { readonly accounts: readonly string[]; readonly superUser: boolean; readonly scopes: readonly string[] },
): Promise<string[]> {
  if (asked.superUser && !access.superUser) throw forbidden('Only a super user makes keys of super users.');
  for (const account of asked.accounts) mayActFor(access, account);
  const accounts = [...new Set(asked.accounts)];
  for (const scope of asked.scopes) {
    if (!scope.startsWith(poolScope)) {
      if (!hasScope(access, scope)) throw forbidden(`You cannot give the scope ${scope}, which you do not have.`);
      continue;
    }
    const poolId = scope.slice(poolScope.length);
    const pool = poolId.includes('\u0000') ? undefined : await holdResourcePool(writer, poolId);
    if (pool === undefined || !ownedBy(access, pool.customerId)) {
      throw invalidField('/scopes', 'unknownResourcePool', `scopes names no ResourcePool: ${quoted(poolId)}.`);
    }
    // So that the pool's owner sees the key and can revoke it.
    if (accounts.length === 0 && !asked.superUser) accounts.push(pool.customerId);
  }
  return accounts;
}

/** A key that ends makes no key that outlives it: revoking it would be for nothing otherwise. */
function expiryOf(access: Access, asked: number | null | undefined): Date | undefined {
  const latest = access.expiresTime;
  if (typeof asked !== 'number') return latest;
  if (latest !== undefined && asked > latest.getTime()) {
    const message = `expiresTime must be at most ${latest.getTime()}, when the key that makes it expires; it is ${asked}.`;
    throw invalidField('/expiresTime', 'tooLarge', message);
  }
  return new Date(asked);
}

function isTheirs(access: Access, row: ApiKeyRow): boolean {
  return (
    access.superUser ||
    (!row.superUser && row.accounts.length > 0 && row.accounts.every((account) => access.accounts.includes(account)))
  );
}

function viewOf(row: ApiKeyRow): JsonObject {
  return withoutNulls({
    id: row.prefix,
    title: row.title,
    accounts: row.accounts,
    superUser: row.superUser,
    scopes: row.scopes,
    addedTime: row.addedTime.getTime(),
    expiresTime: row.expiresTime?.getTime(),
    lastUsedTime: row.lastUsedTime?.getTime(),
  }) as JsonObject;
}
