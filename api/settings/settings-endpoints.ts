/**
 * The five endpoints of a settings object (Customer, ResourcePool, Insight): list, create, read, sparse update, delete.
 * One kind differs from another in its schema, its queries and its checks; who may do what, the order of the checks, the
 * audit trail and the answers are the same for all and are here.
 */
import { createHash } from 'node:crypto';
import { z } from '@hono/zod-openapi';
import { v7 as uuidv7 } from 'uuid';
import { quoted } from '../../agenda/cut.ts';
import { FaultList } from '../../agenda/fault-list.ts';
import type { Json, JsonObject } from '../../agenda/types.ts';
import { appendAudit, type Writer } from '../../db/audit.ts';
import type { Database } from '../../db/connect.ts';
import type { ListFilter, Page, Visibility } from '../../db/list.ts';
import { type Access, mayActFor, mayRead, mayWrite, type Owned, visibilityOf } from '../auth/authorize.ts';
import { type Api, type ApiParts, addEndpoint, checked } from '../http/endpoint.ts';
import { faultsOf } from '../http/faults.ts';
import { fieldsWithoutEffect, objectNames } from '../http/known-fields.ts';
import { onlyFields } from '../http/list-fields.ts';
import { alreadyExists, inUse, invalidField, notFound, ProblemError } from '../http/problem.ts';
import { epochMillisecondsSchema, idSchema, listAnswerSchema } from '../http/schemas.ts';

/** What every settings object has besides its settings. */
export interface SettingsRow extends Owned {
  readonly cid: string;
  readonly addedTime: Date;
  readonly updatedTime: Date;
}

export interface SettingsKind<Row extends SettingsRow, Settings extends { readonly customerId: string }> {
  /** Such as `Customer`; in lower case it begins the audit actions. */
  readonly name: string;
  /** Such as `/customer`. */
  readonly path: string;
  /** What has an effect in a POST, without `id`; null counts as absent. */
  readonly schema: z.ZodType<Settings>;
  /** Everything that a POST may hold. */
  readonly documentedPost: z.ZodType;
  /** Everything that a PUT may hold. */
  readonly documentedPut: z.ZodType;
  readonly viewSchema: z.ZodObject;
  readonly querySchema: z.ZodObject;
  /** A POST body, and what is answered to it. */
  readonly example: { readonly post: JsonObject; readonly view: JsonObject };
  /** The settings of a row, as a POST would hold them. */
  readonly settingsOf: (row: Row) => Settings;
  /** What callers see of rows. */
  readonly views: (database: Writer, rows: readonly Row[]) => Promise<JsonObject[]>;
  readonly list: (
    database: Database,
    visibility: Visibility,
    filter: ListFilter & Readonly<Record<string, unknown>>,
  ) => Promise<Page<Row>>;
  readonly read: (writer: Writer, id: string) => Promise<Row | undefined>;
  readonly lock: (writer: Writer, id: string) => Promise<Row | undefined>;
  readonly insert: (writer: Writer, id: string, cid: string, settings: Settings) => Promise<Row | undefined>;
  readonly update: (writer: Writer, id: string, settings: Settings) => Promise<Row | undefined>;
  readonly remove: (writer: Writer, id: string) => Promise<void>;
  readonly inUse: (writer: Writer, id: string) => Promise<string | undefined>;
  /** What the schema cannot know, such as whether a pool exists. @throws ProblemError */
  readonly check?: (writer: Writer, access: Access, settings: Settings, before: Row | undefined) => Promise<void>;
  /** Tells admission what it goes by has changed, within the transaction; the Insights to wake after it. */
  readonly settle?: (writer: Writer, before: Row, after: Row) => Promise<readonly string[]>;
}

/** Members that answers of every kind have. */
export const baseViewShape = {
  id: z.string(),
  cid: z.string().openapi({ description: 'Correlation id of the request that created it.' }),
  customerId: z.string().openapi({ description: 'Its owner.' }),
  addedTime: epochMillisecondsSchema,
  updatedTime: epochMillisecondsSchema,
};

/** A row as callers see it: what all kinds have, then `own`, without what is null. */
export function baseView(row: SettingsRow, own: Readonly<Record<string, Json>>): JsonObject {
  const { id, cid, customerId } = row;
  const kept = Object.entries(own).filter(([, value]) => value !== null);
  return {
    id,
    cid,
    customerId,
    ...Object.fromEntries(kept),
    addedTime: row.addedTime.getTime(),
    updatedTime: row.updatedTime.getTime(),
  };
}

/** What bodies of one kind may hold. */
export interface SettingsBodies {
  /** Such as `Customer`; begins the schemas' names in the document. */
  readonly name: string;
  /** What has an effect, besides `id`. */
  readonly shape: z.ZodRawShape;
  /** The answers' schema; an answer may be sent back. */
  readonly view: z.ZodObject;
  /** Fields of POP's objects that do nothing, there as here. */
  readonly popFields?: readonly string[];
}

/** The bodies of POST and PUT with everything that they may hold. */
export function documentedBodies({ name, shape, view, popFields }: SettingsBodies): {
  readonly documentedPost: z.ZodObject;
  readonly documentedPut: z.ZodObject;
} {
  const own = idSchema.nullish();
  const postShape = {
    id: own.openapi({ description: "The caller's own id; made when absent.", example: 'acme' }),
    ...shape,
  };
  const putShape = { id: own.openapi({ description: 'As in the path, or absent.', example: 'acme' }), ...shape };
  const named = { name: `${articleOf(name)} ${name}` };
  return {
    documentedPost: z
      .strictObject({ ...postShape, ...fieldsWithoutEffect(postShape, view, popFields) })
      .openapi(`${name}Create`)
      .register(objectNames, named),
    documentedPut: z
      .strictObject({ ...putShape, ...fieldsWithoutEffect(putShape, view, popFields) })
      .partial()
      .openapi(`${name}Update`)
      .register(objectNames, named),
  };
}

const articleOf = (name: string): string => (/^[AEIOU]/.test(name) ? 'an' : 'a');

/** Adds the five endpoints of one kind. */
export function addSettingsEndpoints<Row extends SettingsRow, Settings extends { readonly customerId: string }>(
  api: Api,
  parts: ApiParts,
  kind: SettingsKind<Row, Settings>,
): void {
  const { name, path } = kind;
  const { database } = parts;
  const tag = name;
  const article = articleOf(name);
  const action = name.charAt(0).toLowerCase() + name.slice(1);
  const viewOf = async (writer: Writer, row: Row): Promise<JsonObject> => (await kind.views(writer, [row]))[0] ?? {};
  const ok = { schema: kind.viewSchema, example: kind.example.view };
  const page = { cid: 'nightly-2026-07-01', count: 1, all: [kind.example.view] };

  addEndpoint(
    api,
    parts,
    {
      method: 'get',
      path,
      tag,
      summary: `List ${name}s`,
      scope: 'read',
      query: kind.querySchema,
      answers: {
        200: {
          description: 'Those that match and that the caller may see',
          schema: listAnswerSchema(kind.viewSchema),
          example: page,
        },
      },
    },
    async ({ c, access, cid, query }) => {
      const { fields, ...filter } = query as ListFilter & { fields?: ReadonlySet<string> };
      const rows = await kind.list(database, visibilityOf(access), filter);
      const all = (await kind.views(database, rows.all)).map((view) => onlyFields(view, fields));
      return c.json({
        cid,
        count: rows.count,
        all,
        ...(rows.nextCursor === undefined ? {} : { nextCursor: rows.nextCursor }),
      });
    },
  );

  addEndpoint(
    api,
    parts,
    {
      method: 'post',
      path,
      tag,
      summary: `Create ${article} ${name}`,
      description: "The id may be the caller's own; an id that exists is refused with 409.",
      scope: 'admin',
      body: { schema: settingsBody, documented: kind.documentedPost, example: kind.example.post },
      answers: { 201: { description: 'Created; its path is in Location', ...ok } },
      problems: [409],
    },
    async ({ c, access, cid, body, unknownFields }) => {
      const { id: givenId, ...given } = body;
      const { data, error } = ownId.safeParse({ id: givenId ?? undefined }, { reportInput: true });
      const faults = new FaultList();
      faults.addList(unknownFields);
      if (error !== undefined) faults.addList(faultsOf(error));
      const settings = checked(kind.schema, given, faults);
      mayActFor(access, settings.customerId);
      const objectId = data?.id ?? uuidv7();
      const view = await database.transaction(async (writer) => {
        await kind.check?.(writer, access, settings, undefined);
        const row = await kind.insert(writer, objectId, cid, settings);
        if (row === undefined) throw alreadyExists(name, objectId);
        const after = await viewOf(writer, row);
        await appendAudit(writer, {
          customerId: row.customerId,
          actor: access.userId,
          action: `${action}.create`,
          objectId,
          cid,
          after,
        });
        return after;
      });
      return c.json(view, 201, {
        Location: `${new URL(c.req.url).pathname}/${encodeURIComponent(objectId)}`,
        ETag: tagOf(view),
      });
    },
  );

  addEndpoint(
    api,
    parts,
    {
      method: 'get',
      path: `${path}/{id}`,
      tag,
      summary: `Read ${article} ${name}`,
      scope: 'read',
      answers: { 200: { description: name, ...ok } },
    },
    async ({ c, access, id }) => {
      const row = mayRead(access, name, id, await kind.read(database, id));
      const view = await viewOf(database, row);
      return c.json(view, 200, { ETag: tagOf(view) });
    },
  );

  addEndpoint(
    api,
    parts,
    {
      method: 'put',
      path: `${path}/{id}`,
      tag,
      summary: `Change ${article} ${name}`,
      description:
        'Sparse: absent fields stay as they are, an explicit null clears. The result is validated like a POST.',
      scope: 'admin',
      headers: [ifMatch],
      body: { schema: settingsBody, documented: kind.documentedPut, example: { title: 'Renamed' } },
      answers: { 200: { description: 'As it is now', ...ok } },
      problems: [409, 412],
    },
    async ({ c, access, cid, id, body, unknownFields }) => {
      const { id: givenId, ...given } = body;
      if (givenId !== undefined && givenId !== null && givenId !== id) {
        throw invalidField('/id', 'idMismatch', `id must equal the id in the URL, ${quoted(id)}, or be left out.`);
      }
      const { view, wakes } = await database.transaction(async (writer) => {
        const before = mayWrite(access, name, id, await kind.lock(writer, id));
        const viewBefore = await viewOf(writer, before);
        requireMatch(c.req.header('if-match'), viewBefore);
        const settings = checked(kind.schema, { ...kind.settingsOf(before), ...given }, unknownFields);
        mayActFor(access, settings.customerId);
        await kind.check?.(writer, access, settings, before);
        const row = await kind.update(writer, id, settings);
        if (row === undefined) throw notFound(name, id);
        const after = await viewOf(writer, row);
        const entry = {
          customerId: row.customerId,
          actor: access.userId,
          action: `${action}.update`,
          objectId: id,
          cid,
        };
        await appendAudit(writer, { ...entry, before: viewBefore, after });
        return { view: after, wakes: (await kind.settle?.(writer, before, row)) ?? [] };
      });
      if (wakes.length > 0) parts.wake(wakes);
      return c.json(view, 200, { ETag: tagOf(view) });
    },
  );

  addEndpoint(
    api,
    parts,
    {
      method: 'delete',
      path: `${path}/{id}`,
      tag,
      summary: `Delete ${article} ${name}`,
      description: 'Refused with 409 while something still needs it; the answer says what.',
      scope: 'admin',
      headers: [ifMatch],
      answers: {
        200: { description: 'What was deleted, in `all`', schema: listAnswerSchema(kind.viewSchema), example: page },
      },
      problems: [409, 412],
    },
    async ({ c, access, cid, id }) => {
      const view = await database.transaction(async (writer) => {
        const before = mayWrite(access, name, id, await kind.lock(writer, id));
        const viewBefore = await viewOf(writer, before);
        requireMatch(c.req.header('if-match'), viewBefore);
        const uses = await kind.inUse(writer, id);
        if (uses !== undefined) throw inUse(`${name} ${quoted(id)} is still in use: ${uses}.`);
        await kind.remove(writer, id);
        const entry = {
          customerId: before.customerId,
          actor: access.userId,
          action: `${action}.delete`,
          objectId: id,
          cid,
        };
        await appendAudit(writer, { ...entry, before: viewBefore });
        return viewBefore;
      });
      return c.json({ cid, count: 1, all: [view] });
    },
  );
}

const ownId = z.object({ id: idSchema.optional() });
const settingsBody = z.record(z.string(), z.unknown());
const ifMatch = {
  name: 'If-Match',
  description: 'ETag of the version that is meant; another version is refused with 412.',
  example: '"2c26b46b68ffc68f"',
};

/** Entity tag of a version: a digest of what callers see of it. */
function tagOf(view: JsonObject): string {
  return `"${createHash('sha256').update(JSON.stringify(view)).digest('hex').slice(0, 16)}"`;
}

function requireMatch(header: string | undefined, view: JsonObject): void {
  if (header === undefined || header.trim() === '*') return;
  const tag = tagOf(view);
  if (header.split(',').some((candidate) => candidate.trim() === tag)) return;
  throw new ProblemError('preconditionFailed', `If-Match names another version; the present one is ${tag}.`, {
    headers: { ETag: tag },
  });
}
