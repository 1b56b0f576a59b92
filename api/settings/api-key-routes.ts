/**
 * API keys over HTTP. A key is shown once, when it is made; nobody gives away more than they have. Each function
 * answers the endpoint of its name.
 */
import { quoted } from '../../agenda/cut.ts';
import type { JsonObject } from '../../agenda/types.ts';
import { appendAudit } from '../../db/audit.ts';
import type { Writer } from '../../db/connect.ts';
import { type ApiKeyRow, deleteApiKey, insertApiKey, listApiKeys, lockApiKey } from '../../db/settings/api-key.ts';
import { makeKey } from '../../db/settings/api-key-text.ts';
import { holdResourcePool } from '../../db/settings/resource-pool.ts';
import { type Access, hasScope, mayActFor, ownedBy, visibilityOf } from '../auth/authorize.ts';
import { type Api, type ApiParts, addEndpoint, type Call, type CallOf, checked } from '../http/endpoint.ts';
import { forbidden, invalidField, notFound } from '../http/problem.ts';
import { withoutNulls } from '../http/without-nulls.ts';
import * as described from './api-key-descriptions.ts';
import { createSchema, poolScope } from './api-key-schema.ts';

/** Adds the endpoints of ApiKeys. */
export function addApiKeyRoutes(api: Api, parts: ApiParts): void {
  addEndpoint(api, parts, described.create, create);
  addEndpoint(api, parts, described.list, list);
  addEndpoint(api, parts, described.revoke, revoke);
}

async function create(call: CallOf<typeof described.create>, parts: ApiParts): Promise<Response> {
  const { c, access } = call;
  const body = checked(createSchema, call.body, call.unknownFields);
  const { scopes, superUser: asksSuperUser, title } = body;
  const superUser = asksSuperUser ?? false;
  const expiresTime = expiryOf(access, body.expiresTime);
  const made = makeKey(parts.keyEnvironment ?? 'live');
  const view = await parts.database.transaction(async (writer) => {
    const accounts = await accountsOf(writer, access, { accounts: body.accounts ?? [], superUser, scopes });
    const row = await insertApiKey(writer, made, {
      accounts,
      superUser,
      scopes: [...new Set(scopes)],
      ...(typeof title === 'string' ? { title } : {}),
      ...(expiresTime === undefined ? {} : { expiresTime }),
    });
    const after = viewOf(row);
    await appendAudit(writer, { ...entryOf(call, 'create', row), after });
    return after;
  });
  // Must not rest in a cache on the way.
  const headers = { Location: `${new URL(c.req.url).pathname}/${made.prefix}`, 'Cache-Control': 'no-store' };
  return c.json({ ...view, key: made.key }, 201, headers);
}

async function list(
  { c, access, cid, query }: CallOf<typeof described.list>,
  { database }: ApiParts,
): Promise<Response> {
  const page = await listApiKeys(database, visibilityOf(access), query);
  return c.json({ ...page, cid, all: page.all.map(viewOf) });
}

async function revoke(call: CallOf<typeof described.revoke>, { database }: ApiParts): Promise<Response> {
  const { c, access, cid, id } = call;
  const view = await database.transaction(async (writer) => {
    const row = await lockApiKey(writer, id);
    if (row === undefined || !isTheirs(access, row)) throw notFound('ApiKey', id);
    await deleteApiKey(writer, id);
    const before = viewOf(row);
    await appendAudit(writer, { ...entryOf(call, 'delete', row), before });
    return before;
  });
  return c.json({ cid, count: 1, all: [view] });
}

/** What the audit trail says of a change of this key, but for what changed. */
function entryOf({ access, cid }: Pick<Call<unknown, unknown>, 'access' | 'cid'>, verb: string, row: ApiKeyRow) {
  const customerId = row.accounts[0] ?? '*';
  return { customerId, actor: access.userId, action: `apiKey.${verb}`, objectId: row.prefix, cid };
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

/**
 * When a new key ends. A key that ends makes no key that outlives it: to revoke the first would be for nothing.
 * @throws ProblemError 422
 */
function expiryOf(access: Access, asked: number | null | undefined): Date | undefined {
  const latest = access.expiresTime;
  if (typeof asked !== 'number') return latest;
  if (latest !== undefined && asked > latest.getTime()) {
    const limit = `at most ${latest.getTime()}, when the key that makes it expires`;
    throw invalidField('/expiresTime', 'tooLarge', `expiresTime must be ${limit}; it is ${asked}.`);
  }
  return new Date(asked);
}

/** Whether the caller may revoke this key: it acts for none but the caller's accounts. */
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
