/** `fields=a,b` of lists: which members of the objects are answered, those that lists leave out included. */
import { z } from '@hono/zod-openapi';
import { quoted } from '../../agenda/cut.ts';

/** The query parameter; only members of `schema` are known. Letter case counts, as in the objects. */
export function fieldsQuery(schema: z.ZodObject) {
  const known = Object.keys(schema.shape);
  return z
    .string()
    .max(2_000)
    .transform((text, context): ReadonlySet<string> => {
      const names = text.split(',').map((name) => name.trim());
      const unknown = names.find((name) => !known.includes(name));
      if (unknown === undefined) return new Set(names);
      const message = `names ${quoted(unknown)}; known are ${known.join(', ')}.`;
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    })
    .optional()
    .openapi({
      type: 'string',
      description: 'Answer only these members, separated by commas; also asks for those that lists leave out.',
      example: 'id,title',
    });
}

/** The object with only these members; whole when the caller did not say. */
export function onlyFields(
  view: Readonly<Record<string, unknown>>,
  fields: ReadonlySet<string> | undefined,
): Readonly<Record<string, unknown>> {
  return fields === undefined ? view : Object.fromEntries(Object.entries(view).filter(([name]) => fields.has(name)));
}
