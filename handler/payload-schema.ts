/**
 * Checks a payload before the handler begins: by a function, or by a schema of any library that speaks Standard Schema
 * (https://standardschema.dev), such as zod, valibot and arktype.
 */
import { fail, HandlerFailure } from './handler-failure.ts';
import type { Json } from './types.ts';

/** The part of Standard Schema 1 that is used here. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** What a Standard Schema answers. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** One thing that is wrong with a value. */
export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A function that returns the payload in the form that the handler wants, or throws. */
export type PayloadParser<Output> = (payload: Json) => Output | Promise<Output>;

/** Most issues that the diagnostics list; the rest is counted. */
const mostIssues = 10;

/** The payload as the schema returns it. @throws HandlerFailure `invalidPayload` with a pointer for each issue */
export async function checkPayload<Output>(
  payload: Json,
  schema: StandardSchema<Output> | PayloadParser<Output>,
): Promise<Output> {
  // A schema may be callable, as those of arktype are.
  if ('~standard' in schema) {
    const result = await schema['~standard'].validate(payload);
    return result.issues === undefined ? result.value : refuse(result.issues);
  }
  try {
    return await schema(payload);
  } catch (error) {
    if (error instanceof HandlerFailure) throw error;
    const message = error instanceof Error ? error.message : String(error);
    return fail(`The payload is not valid: ${message}`, { code: 'invalidPayload', cause: error });
  }
}

function refuse(issues: readonly StandardIssue[]): never {
  const shown = issues.slice(0, mostIssues).map(({ message, path }) => ({ pointer: pointerOf(path), message }));
  const more = issues.length - shown.length;
  const told = shown.map(({ pointer, message }) => (pointer === '' ? message : `${pointer}: ${message}`)).join('; ');
  fail(`The payload is not valid: ${told}${more > 0 ? `; and ${more} more` : ''}`, {
    code: 'invalidPayload',
    payload: { issues: shown, more },
  });
}

/** A JSON pointer (RFC 6901). */
function pointerOf(path: StandardIssue['path'] = []): string {
  return path
    .map((step) => String(typeof step === 'object' ? step.key : step))
    .map((name) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('');
}
