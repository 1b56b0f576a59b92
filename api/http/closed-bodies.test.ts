/**
 * Walks the request bodies of the OpenAPI document: whatever route comes next, it takes no field that it does not know.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../db/connect.ts';
import { type Send, testApp } from '../../test/support/test-app.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';

interface Schema {
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: boolean | Schema;
}

interface Route {
  readonly requestBody?: {
    readonly content: { readonly 'application/json': { readonly schema: Schema; readonly example: unknown } };
  };
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Route>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** One object of one body that says which fields it has. */
interface Level {
  readonly method: string;
  readonly path: string;
  readonly at: readonly (string | number)[];
  readonly isClosed: boolean;
  readonly example: unknown;
}

async function readDocument(): Promise<Document> {
  await using database = openDatabase('postgres://127.0.0.1:1/nothing');
  return JSON.parse(await (await testApp(database).app.request('/v1/openapi.json')).text());
}

function* objectsOf(document: Document, schema: Schema, at: Level['at']): Generator<Pick<Level, 'at' | 'isClosed'>> {
  if (schema.$ref !== undefined) {
    const named = document.components.schemas[schema.$ref.replace('#/components/schemas/', '')];
    if (named === undefined) throw new Error(`the document has no ${schema.$ref}`);
    yield* objectsOf(document, named, at);
  }
  for (const part of [...(schema.allOf ?? []), ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])])
    yield* objectsOf(document, part, at);
  if (schema.properties !== undefined) yield { at, isClosed: schema.additionalProperties === false };
  for (const [name, member] of Object.entries(schema.properties ?? {}))
    yield* objectsOf(document, member, [...at, name]);
  if (schema.items !== undefined) yield* objectsOf(document, schema.items, [...at, 0]);
  if (typeof schema.additionalProperties === 'object')
    yield* objectsOf(document, schema.additionalProperties, [...at, 'acme']);
}

const document = await readDocument();
const bodies = Object.entries(document.paths).flatMap(([path, routes]) =>
  Object.entries(routes).flatMap(([method, { requestBody }]) =>
    requestBody === undefined
      ? []
      : [{ method: method.toUpperCase(), path, ...requestBody.content['application/json'] }],
  ),
);
const levels: Level[] = bodies.flatMap(({ method, path, schema, example }) =>
  [...objectsOf(document, schema, [])].map((object) => ({ method, path, example, ...object })),
);

let database: TestDatabase;
let operator: Send;
let pool: Send;

beforeAll(async () => {
  database = await testDatabase();
  const api = testApp(database);
  operator = await api.caller({ superUser: true });
  pool = await api.caller({ scopes: ['pool:pool-east'] });
  // What the examples name, so that a PUT finds something to change.
  for (const path of ['/resourcepool', '/customer', '/insight']) {
    const example = bodies.find((body) => body.method === 'POST' && body.path === path)?.example;
    expect(await operator('POST', path, example)).toMatchObject({ status: 201 });
  }
});
afterAll(() => database[Symbol.asyncDispose]());

/** The example with a field that nobody knows in the object at `at`, which is made where the example lacks it. */
function spoiled(example: unknown, at: Level['at']): unknown {
  const [key, ...below] = at;
  if (typeof key === 'number') return [spoiled(Array.isArray(example) ? example[key] : undefined, below)];
  const members =
    typeof example === 'object' && example !== null && !Array.isArray(example)
      ? (example as Record<string, unknown>)
      : {};
  return key === undefined ? { ...members, zzUnknown: 1 } : { ...members, [key]: spoiled(members[key], below) };
}

const ids: Readonly<Record<string, string>> = {
  '/resourcepool/{id}': 'pool-east',
  '/customer/{id}': 'acme',
  '/insight/{id}': 'encodes',
};

function send({ method, path, example, at }: Level, mode: string): ReturnType<Send> {
  const caller = path.startsWith('/resourcepool/service/') ? pool : operator;
  return caller(method, `${path.replace('{id}', ids[path] ?? 'none')}${mode}`, spoiled(example, at));
}

const pointerTo = ({ at }: Level): string => [...at, 'zzUnknown'].map((part) => `/${part}`).join('');
const rows = levels.map((level) => [`${level.method} ${level.path} ${pointerTo(level)}`, level] as const);

test('every body says of each of its objects which fields it has', () => {
  expect(levels.filter(({ isClosed }) => !isClosed)).toEqual([]);
  for (const { method, path } of bodies) {
    expect(
      levels.some((level) => level.path === path && level.method === method),
      `${method} ${path}`,
    ).toBe(true);
  }
  expect(rows.map(([name]) => name)).toEqual(
    expect.arrayContaining([
      'POST /agenda /operations/0/timeout/zzUnknown',
      'POST /agenda/service/validate /peak/zzUnknown',
      'PUT /insight/{id} /customers/acme/zzUnknown',
      'POST /resourcepool /capacity/zzUnknown',
      'POST /apikey /zzUnknown',
    ]),
  );
});

test.each(rows)('%s is refused', async (_name, level) => {
  const { status, body } = await send(level, '');
  expect(status).toBe(422);
  expect(body.errors).toContainEqual({
    pointer: pointerTo(level),
    code: 'unknownField',
    message: expect.stringMatching(/^zzUnknown is/),
  });
});

test.each(rows)('%s is dropped with Ignore', async (_name, level) => {
  const { status, body } = await send(level, '?fieldValidation=Ignore');
  expect(status).not.toBe(400);
  expect(JSON.stringify(body)).not.toContain('zzUnknown');
  expect(body).not.toHaveProperty('warnings');
});
