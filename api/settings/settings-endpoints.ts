/**
 * The five endpoints of a settings object (Customer, ResourcePool, Insight): list, create, read, sparse change, delete.
 * One kind differs from another in its schema, its queries and its checks. Who may do what, the order of the checks,
 * the audit trail and the answers are the same for all and are here.
 */
import { z } from '@hono/zod-openapi';
import { v7 as uuidv7 } from 'uuid';
import { quoted } from '../../agenda/cut.ts';
import { FaultList } from '../../agenda/fault-list.ts';
import type { JsonObject } from '../../agenda/types.ts';
import { type AuditEntry, appendAudit } from '../../db/audit.ts';
import type { Writer } from '../../db/connect.ts';
import type { ListFilter } from '../../db/list.ts';
import { mayActFor, mayRead, mayWrite, visibilityOf } from '../auth/authorize.ts';
import { type Api, type ApiParts, addEndpoint, type Call, checked } from '../http/endpoint.ts';
import { faultsOf } from '../http/faults.ts';
import { onlyFields } from '../http/list-fields.ts';
import { alreadyExists, inUse, invalidField, notFound } from '../http/problem.ts';
import { idSchema } from '../http/schemas.ts';
import { requireMatch, tagOf } from './entity-tag.ts';
import * as described from './settings-descriptions.ts';
import type { SettingsKind, SettingsRow } from './settings-kind.ts';

/** Adds the five endpoints of one kind. */
export function addSettingsEndpoints<Row extends SettingsRow, Settings extends Owner>(
  api: Api,
  parts: ApiParts,
  kind: SettingsKind<Row, Settings>,
): void {
  addEndpoint(api, parts, described.list(kind), (call) => list(call, parts, kind));
  addEndpoint(api, parts, described.create(kind), (call) => create(call, parts, kind));
  addEndpoint(api, parts, described.read(kind), (call) => read(call, parts, kind));
  addEndpoint(api, parts, described.change(kind), (call) => change(call, parts, kind));
  addEndpoint(api, parts, described.remove(kind), (call) => remove(call, parts, kind));
}

/** What settings of every kind name. */
interface Owner {
  readonly customerId: string;
}

type Body = Readonly<Record<string, unknown>>;

async function list<Row extends SettingsRow, Settings extends Owner>(
  { c, access, cid, query }: Call<unknown, undefined>,
  { database }: ApiParts,
  kind: SettingsKind<Row, Settings>,
): Promise<Response> {
  const { fields, ...filter } = query as ListFilter & { fields?: ReadonlySet<string> };
  const page = await kind.list(database, visibilityOf(access), filter);
  const all = (await kind.views(database, page.all)).map((view) => onlyFields(view, fields));
  return c.json({ cid, count: page.count, all, nextCursor: page.nextCursor });
}

async function create<Row extends SettingsRow, Settings extends Owner>(
  call: Call<unknown, Body>,
  { database }: ApiParts,
  kind: SettingsKind<Row, Settings>,
): Promise<Response> {
  const { c, access, cid } = call;
  const { id: givenId, ...given } = call.body;
  const { data, error } = ownId.safeParse({ id: givenId ?? undefined }, { reportInput: true });
  const faults = new FaultList();
  faults.addList(call.unknownFields);
  if (error !== undefined) faults.addList(faultsOf(error));
  const settings = checked(kind.schema, given, faults);
  mayActFor(access, settings.customerId);
  const objectId = data?.id ?? uuidv7();
  const view = await database.transaction(async (writer) => {
    await kind.check?.(writer, access, settings, undefined);
    const row = await kind.insert(writer, objectId, cid, settings);
    if (row === undefined) throw alreadyExists(kind.name, objectId);
    const after = await viewOf(kind, writer, row);
    await appendAudit(writer, { ...entryOf(call, kind, 'create', row), after });
    return after;
  });
  const location = `${new URL(c.req.url).pathname}/${encodeURIComponent(objectId)}`;
  return c.json(view, 201, { Location: location, ETag: tagOf(view) });
}

async function read<Row extends SettingsRow, Settings extends Owner>(
  { c, access, id }: Call<unknown, undefined>,
  { database }: ApiParts,
  kind: SettingsKind<Row, Settings>,
): Promise<Response> {
  const row = mayRead(access, kind.name, id, await kind.read(database, id));
  const view = await viewOf(kind, database, row);
  return c.json(view, 200, { ETag: tagOf(view) });
}

async function change<Row extends SettingsRow, Settings extends Owner>(
  call: Call<unknown, Body>,
  { database, wake }: ApiParts,
  kind: SettingsKind<Row, Settings>,
): Promise<Response> {
  const { c, access, id } = call;
  const { id: givenId, ...given } = call.body;
  if (givenId !== undefined && givenId !== null && givenId !== id) {
    const message = `id must equal the id in the URL, ${quoted(id)}, or be left out.`;
    throw invalidField('/id', 'idMismatch', message);
  }
  const { view, wakes } = await database.transaction(async (writer) => {
    const before = mayWrite(access, kind.name, id, await kind.lock(writer, id));
    const viewBefore = await viewOf(kind, writer, before);
    requireMatch(c.req.header('if-match'), viewBefore);
    const settings = checked(kind.schema, { ...kind.settingsOf(before), ...given }, call.unknownFields);
    mayActFor(access, settings.customerId);
    await kind.check?.(writer, access, settings, before);
    const row = await kind.update(writer, id, settings);
    if (row === undefined) throw notFound(kind.name, id);
    const after = await viewOf(kind, writer, row);
    await appendAudit(writer, { ...entryOf(call, kind, 'update', row), before: viewBefore, after });
    return { view: after, wakes: (await kind.settle?.(writer, before, row)) ?? [] };
  });
  if (wakes.length > 0) wake(wakes);
  return c.json(view, 200, { ETag: tagOf(view) });
}

async function remove<Row extends SettingsRow, Settings extends Owner>(
  call: Call<unknown, undefined>,
  { database }: ApiParts,
  kind: SettingsKind<Row, Settings>,
): Promise<Response> {
  const { c, access, cid, id } = call;
  const view = await database.transaction(async (writer) => {
    const before = mayWrite(access, kind.name, id, await kind.lock(writer, id));
    const viewBefore = await viewOf(kind, writer, before);
    requireMatch(c.req.header('if-match'), viewBefore);
    const uses = await kind.inUse(writer, id);
    if (uses !== undefined) throw inUse(`${kind.name} ${quoted(id)} is still in use: ${uses}.`);
    await kind.remove(writer, id);
    await appendAudit(writer, { ...entryOf(call, kind, 'delete', before), before: viewBefore });
    return viewBefore;
  });
  return c.json({ cid, count: 1, all: [view] });
}

async function viewOf<Row extends SettingsRow, Settings extends Owner>(
  kind: SettingsKind<Row, Settings>,
  writer: Writer,
  row: Row,
): Promise<JsonObject> {
  return (await kind.views(writer, [row]))[0] ?? {};
}

/** What the audit trail says of a change, but for what changed; the action is such as `resourcePool.update`. */
function entryOf(
  { access, cid }: Pick<Call<unknown, unknown>, 'access' | 'cid'>,
  { name }: { readonly name: string },
  verb: string,
  { id, customerId }: SettingsRow,
): AuditEntry {
  const action = `${name.charAt(0).toLowerCase()}${name.slice(1)}.${verb}`;
  return { customerId, actor: access.userId, action, objectId: id, cid };
}

const ownId = z.object({ id: idSchema.optional() });
