/** The five endpoints of a kind of settings object, as the OpenAPI document shows them. */
import { z } from '@hono/zod-openapi';
import { defineEndpoint } from '../http/endpoint.ts';
import { listAnswerSchema } from '../http/schemas.ts';
import { oneOf, type SettingsKind } from './settings-kind.ts';

const settingsBody = z.record(z.string(), z.unknown());
const ifMatch = {
  name: 'If-Match',
  description: 'ETag of the version that is meant; another version is refused with 412.',
  example: '"2c26b46b68ffc68f"',
};

/** What the document needs of a kind. */
type Described = Pick<
  SettingsKind<never, never>,
  'name' | 'path' | 'viewSchema' | 'querySchema' | 'example' | 'documentedPost' | 'documentedPut'
>;

/** Lists what the caller may see. */
export const list = (kind: Described) =>
  defineEndpoint({
    method: 'get',
    path: kind.path,
    tag: kind.name,
    summary: `List ${kind.name}s`,
    scope: 'read',
    query: kind.querySchema,
    answers: {
      200: {
        description: 'Those that match and that the caller may see',
        schema: listAnswerSchema(kind.viewSchema),
        example: pageOf(kind),
      },
    },
  });

/** Creates one, under an id of the caller or of ours. */
export const create = (kind: Described) =>
  defineEndpoint({
    method: 'post',
    path: kind.path,
    tag: kind.name,
    summary: `Create ${oneOf(kind.name)}`,
    description: "The id may be the caller's own; an id that exists is refused with 409.",
    scope: 'admin',
    body: { schema: settingsBody, documented: kind.documentedPost, example: kind.example.post },
    answers: { 201: { description: 'Created; its path is in Location', ...viewOf(kind) } },
    problems: [409],
  });

/** Reads one. */
export const read = (kind: Described) =>
  defineEndpoint({
    method: 'get',
    path: `${kind.path}/{id}`,
    tag: kind.name,
    summary: `Read ${oneOf(kind.name)}`,
    scope: 'read',
    answers: { 200: { description: kind.name, ...viewOf(kind) } },
  });

/** Changes the fields that are named. */
export const change = (kind: Described) =>
  defineEndpoint({
    method: 'put',
    path: `${kind.path}/{id}`,
    tag: kind.name,
    summary: `Change ${oneOf(kind.name)}`,
    description:
      'Sparse: absent fields stay as they are, an explicit null clears. The result is validated like a POST.',
    scope: 'admin',
    headers: [ifMatch],
    body: { schema: settingsBody, documented: kind.documentedPut, example: { title: 'Renamed' } },
    answers: { 200: { description: 'As it is now', ...viewOf(kind) } },
    problems: [409, 412],
  });

/** Deletes one that nothing needs. */
export const remove = (kind: Described) =>
  defineEndpoint({
    method: 'delete',
    path: `${kind.path}/{id}`,
    tag: kind.name,
    summary: `Delete ${oneOf(kind.name)}`,
    description: 'Refused with 409 while something still needs it; the answer says what.',
    scope: 'admin',
    headers: [ifMatch],
    answers: {
      200: {
        description: 'What was deleted, in `all`',
        schema: listAnswerSchema(kind.viewSchema),
        example: pageOf(kind),
      },
    },
    problems: [409, 412],
  });

function viewOf({ viewSchema, example }: Described) {
  return { schema: viewSchema, example: example.view };
}

function pageOf({ example }: Described) {
  return { cid: 'nightly-2026-07-01', count: 1, all: [example.view] };
}
