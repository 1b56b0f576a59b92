/**
 * Which fields a body may have, read off the schema that the document shows. A name that is none of them was dropped
 * once, and a mistyped `dependsOn` changed the order of work. Now it is a fault, a warning or nothing, as
 * `fieldValidation` of the request says.
 *
 * A body may hold a million names of megabytes. Each is looked at once; only as many as an answer lists are put into
 * words.
 */
import { z } from '@hono/zod-openapi';
import { cut, quoted } from '../../agenda/cut.ts';
import { FaultList, mostFaults } from '../../agenda/fault-list.ts';
import { pointerOf } from '../../agenda/json-pointer.ts';
import type { Fault } from '../../agenda/types.ts';
import { nearestName } from './nearest-name.ts';

/** What happens to fields that the api does not know; the words of Kubernetes. */
export const fieldValidationSchema = z
  .enum(['Strict', 'Warn', 'Ignore'])
  .default('Strict')
  .openapi({
    description:
      'What happens to fields that this body does not have: `Strict` refuses them with 422 `unknownField`, `Warn` ' +
      'takes the rest and answers `warnings`, `Ignore` drops them without a word.',
  });

/** One of the words of `fieldValidationSchema`. */
export type FieldValidation = z.output<typeof fieldValidationSchema>;

const howMany = `at most ${mostFaults}, then how many there are`;

/** What an answer tells beside what was asked for. */
export const warningsSchema = z
  .array(z.object({ pointer: z.string(), code: z.string(), message: z.string() }))
  .optional()
  .openapi({
    description: `Fields that were dropped, with \`fieldValidation=Warn\`, and what else could be amiss: ${howMany}.`,
    example: [
      {
        pointer: '/operations/0/dependOn',
        code: 'unknownField',
        message: 'dependOn is not a field of an Operation; did you mean dependsOn?',
      },
    ],
  });

/** What messages call the object of a schema, such as `an Operation`; where nothing is said, its place. */
export const objectNames = z.registry<{ readonly name: string }>();

/** Schemas of fields that a body may have and that change nothing. */
const withoutEffect = new WeakSet<z.ZodType>();

/**
 * Fields that a body may have beside those of `shape`, without effect: what answers, of the schema `view`, have more,
 * so that one can be sent back; and `popNames`, which POP's objects have and ours do not use.
 */
export function fieldsWithoutEffect(
  shape: z.ZodRawShape,
  view: z.ZodObject,
  popNames: readonly string[] = [],
): Record<string, z.ZodOptional<z.ZodUnknown>> {
  const answered = [...Object.keys(view.shape), 'warnings'].filter((name) => !Object.hasOwn(shape, name));
  return Object.fromEntries([
    ...answered.map((name) => [
      name,
      fieldWithoutEffect({ readOnly: true, description: 'Of the answers; taken here without effect.' }),
    ]),
    ...popNames.map((name) => [
      name,
      fieldWithoutEffect({ deprecated: true, description: "POP's; taken without effect." }),
    ]),
  ]);
}

function fieldWithoutEffect(told: {
  readonly description: string;
  readonly readOnly?: true;
  readonly deprecated?: true;
}): z.ZodOptional<z.ZodUnknown> {
  const anything = z.unknown();
  withoutEffect.add(anything);
  return anything.optional().openapi(told);
}

/**
 * Takes out of `body` what has no effect. @returns a fault per field that `schema` does not know, in the order of the
 * body; the first `most` are told
 */
export function takeOutUnknown(schema: z.ZodType, body: unknown, most?: number): FaultList {
  const faults = new FaultList(most);
  takeOut(schema, body, undefined, faults);
  return faults;
}

/** A path as a list that shares its beginning with others, since few are ever written out. */
interface Place {
  readonly above: Place | undefined;
  readonly key: string | number;
}

function takeOut(schema: z.ZodType, value: unknown, place: Place | undefined, faults: FaultList): void {
  if (typeof value !== 'object' || value === null) return;
  const form = unwrapped(schema);
  if (form instanceof z.ZodArray && Array.isArray(value)) {
    const element = form.element as z.ZodType;
    for (const [index, each] of value.entries()) takeOut(element, each, { above: place, key: index }, faults);
  } else if (form instanceof z.ZodRecord && !Array.isArray(value)) {
    const each = form.valueType as z.ZodType;
    for (const [key, member] of Object.entries(value)) takeOut(each, member, { above: place, key }, faults);
  } else if (form instanceof z.ZodObject && !Array.isArray(value)) {
    takeOutOfObject(form, value as Record<string, unknown>, place, faults);
  }
}

function takeOutOfObject(
  form: z.ZodObject,
  value: Record<string, unknown>,
  place: Place | undefined,
  faults: FaultList,
): void {
  const { shape } = form;
  const isClosed = form.def.catchall instanceof z.ZodNever;
  for (const key of Object.keys(value)) {
    const field = Object.hasOwn(shape, key) ? (shape[key] as z.ZodType) : undefined;
    if (field !== undefined && !withoutEffect.has(unwrapped(field))) {
      takeOut(field, value[key], { above: place, key }, faults);
      continue;
    }
    if (field === undefined) {
      if (!isClosed) continue;
      faults.add(() => unknownField(form, key, place));
    }
    delete value[key];
  }
}

/** What is parsed in the end, without what is around it: optional, nullable, a default, a transformation. */
function unwrapped(schema: z.ZodType): z.ZodType {
  let inner = schema;
  for (;;) {
    if (inner instanceof z.ZodOptional || inner instanceof z.ZodNullable || inner instanceof z.ZodDefault)
      inner = inner.unwrap() as z.ZodType;
    else if (inner instanceof z.ZodPipe) inner = inner.in as z.ZodType;
    else return inner;
  }
}

function unknownField(form: z.ZodObject, key: string, place: Place | undefined): Fault {
  const path = pathOf(place);
  const name = /^[\w.-]{1,200}$/.test(key) ? key : quoted(key);
  const owner = objectNames.get(form)?.name ?? (path.length === 0 ? 'this body' : path.join('.'));
  const near = nearestName(key, Object.keys(form.shape));
  const hint = near === undefined ? '/docs lists those that are.' : `did you mean ${near}?`;
  return {
    pointer: pointerOf([...path, cut(key)]),
    code: 'unknownField',
    message: `${name} is not a field of ${owner}; ${hint}`,
  };
}

function pathOf(place: Place | undefined): (string | number)[] {
  const path: (string | number)[] = [];
  for (let at = place; at !== undefined; at = at.above) path.unshift(typeof at.key === 'string' ? cut(at.key) : at.key);
  return path;
}
