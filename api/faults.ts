/** Turns what zod found into faults that name the field, the limit and the value. */
import type { z } from '@hono/zod-openapi';
import type { Fault } from '../agenda/types.ts';

type Issue = z.core.$ZodIssue;

/** JSON pointer (RFC 6901) of a path. */
export function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** Every fault of one failed parse. Parse with `reportInput: true`, else the values are missing from the messages. */
export function faultsOf(error: z.core.$ZodError): Fault[] {
  return error.issues.flatMap((issue) => faultsOfIssue(issue, []));
}

function faultsOfIssue(issue: Issue, above: readonly PropertyKey[]): Fault[] {
  const path = [...above, ...issue.path];
  const pointer = pointerOf(path);
  const field = path.length === 0 ? 'The body' : path.map(String).join('.');
  const fault = (code: string, message: string): Fault[] => [{ pointer, code, message: `${field} ${message}` }];
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return fault('required', 'is required.');
      return fault('wrongType', `must be ${article(issue.expected)}, is ${valueText(issue.input)}.`);
    case 'too_big':
      return fault(
        'tooLarge',
        `must ${sizeOf(issue.origin)} ${issue.inclusive === false ? 'below' : 'at most'} ${issue.maximum}, is ${measured(issue.input)}.`,
      );
    case 'too_small':
      return fault(
        'tooSmall',
        `must ${sizeOf(issue.origin)} ${issue.inclusive === false ? 'above' : 'at least'} ${issue.minimum}, is ${measured(issue.input)}.`,
      );
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        pointer: pointerOf([...path, key]),
        code: 'unknownField',
        message: `Unknown field ${JSON.stringify(key.slice(0, 200))}${path.length === 0 ? '' : ` in ${field}`}.`,
      }));
    case 'invalid_value':
      return fault(
        'notAllowed',
        `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}, is ${valueText(issue.input)}.`,
      );
    case 'not_multiple_of':
      return fault('wrongType', `must be a multiple of ${issue.divisor}, is ${valueText(issue.input)}.`);
    case 'invalid_key':
    case 'invalid_element':
      return issue.issues.flatMap((inner) => faultsOfIssue(inner, path));
    case 'invalid_union': {
      // The form that came closest: the one with the deepest first fault.
      const closest = [...issue.errors].sort((a, b) => (b[0]?.path.length ?? 0) - (a[0]?.path.length ?? 0))[0];
      if (closest?.[0] && closest[0].path.length > 0) return closest.flatMap((inner) => faultsOfIssue(inner, path));
      return fault('wrongType', `has none of the accepted forms, is ${valueText(issue.input)}.`);
    }
    case 'custom': {
      const code = typeof issue.params?.code === 'string' ? issue.params.code : 'invalid';
      // Most are the rest of a sentence that begins with the field; some rooms word whole sentences themselves.
      return issue.params?.sentence === true ? [{ pointer, code, message: issue.message }] : fault(code, issue.message);
    }
    default:
      return fault('invalid', `is not acceptable: ${issue.message}.`);
  }
}

function article(expected: string): string {
  if (expected === 'int') return 'a whole number';
  if (expected === 'record') return 'an object';
  return /^[aeiou]/.test(expected) ? `an ${expected}` : `a ${expected}`;
}

function sizeOf(origin: string): string {
  if (origin === 'string') return 'have a length of';
  if (origin === 'array' || origin === 'set') return 'have a number of entries of';
  return 'be';
}

function measured(input: unknown): string {
  if (typeof input === 'string') return `${input.length} long`;
  if (Array.isArray(input)) return `${input.length}`;
  return valueText(input);
}

function valueText(input: unknown): string {
  if (Array.isArray(input)) return 'an array';
  if (typeof input === 'object' && input !== null) return 'an object';
  if (typeof input === 'string') return JSON.stringify(input.length > 100 ? `${input.slice(0, 100)}…` : input);
  return String(input);
}
