/** What one kind of settings object (Customer, ResourcePool, Insight) has of its own, and what all have alike. */
import { z } from '@hono/zod-openapi';
import type { Json, JsonObject } from '../../agenda/types.ts';
import type { Database, Writer } from '../../db/connect.ts';
import type { ListFilter, Page, Visibility } from '../../db/list.ts';
import type { Access, Owned } from '../auth/authorize.ts';
import { fieldsWithoutEffect, objectNames } from '../http/known-fields.ts';
import { epochMillisecondsSchema, idSchema } from '../http/schemas.ts';
import { withoutNulls } from '../http/without-nulls.ts';

/** What every settings object has besides its settings. */
export interface SettingsRow extends Owned {
  readonly cid: string;
  readonly addedTime: Date;
  readonly updatedTime: Date;
}

/** All that makes one kind of settings object differ from the others. */
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
  const times = { addedTime: row.addedTime.getTime(), updatedTime: row.updatedTime.getTime() };
  return { id, cid, customerId, ...withoutNulls(own), ...times } as JsonObject;
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
  const named = { name: oneOf(name) };
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

/** Such as `a Customer`, `an Insight`. */
export function oneOf(name: string): string {
  return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`;
}
