/** The endpoints of ApiKeys as the OpenAPI document shows them; `api-key-routes.ts` does what they say. */
import { z } from '@hono/zod-openapi';
import { keyCacheSeconds } from '../auth/api-keys.ts';
import { defineEndpoint } from '../http/endpoint.ts';
import { byQuery, listAnswerSchema, listQuerySchema } from '../http/schemas.ts';
import { bodySchema, keyExample, madeSchema, viewSchema } from './api-key-schema.ts';

const tag = 'ApiKey';

/** Makes a key, and shows it this once. */
export const create = defineEndpoint({
  method: 'post',
  path: '/apikey',
  tag,
  summary: 'Make an ApiKey',
  description: 'The answer is the only place where the key itself is ever shown.',
  scope: 'admin',
  body: {
    schema: z.unknown(),
    documented: bodySchema,
    example: { title: keyExample.title, accounts: keyExample.accounts, scopes: keyExample.scopes },
  },
  answers: {
    201: {
      description: 'Made; `key` is what goes into the Authorization header',
      schema: madeSchema,
      example: { ...keyExample, key: 'pop_live_<id>_<secret>' },
    },
  },
});

/** Lists keys, without the keys themselves. */
export const list = defineEndpoint({
  method: 'get',
  path: '/apikey',
  tag,
  summary: 'List ApiKeys',
  description:
    "Without the keys themselves. An administrator sees the keys that act for none but the administrator's own " +
    'accounts.',
  scope: 'admin',
  query: listQuerySchema.extend(byQuery('byId', 'byTitle')),
  answers: {
    200: {
      description: 'Those that match',
      schema: listAnswerSchema(viewSchema),
      example: { cid: 'nightly-2026-07-01', count: 1, all: [keyExample] },
    },
  },
});

/** Revokes a key. */
export const revoke = defineEndpoint({
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
      example: { cid: 'nightly-2026-07-01', count: 1, all: [keyExample] },
    },
  },
});
