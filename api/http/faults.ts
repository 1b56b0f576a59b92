/** Turns what zod found into faults that name the field, the limit and the value. Only those that are told are made. */
import type { z } from '@hono/zod-openapi';
import { cut, longestShown, quoted } from '../../agenda/cut.ts';
import { FaultList } from '../../agenda/fault-list.ts';
import { pointerOf } from '../../agenda/json-pointer.ts';
import type { Fault } from '../../agenda/types.ts';
import { valuesOutside } from './body-values.ts';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** Values outside payloads and params of a body that is checked to its end. */
export const mostCheckedWhole = 20_000;

/**
 * As `safeParse`, for what callers sent. Zod keeps an issue of everything that is wrong, so of a value that is too
 * large to be checked to its end it tells the first alone.
 */
export function parseGiven<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
): z.ZodSafeParseResult<z.output<Schema>> {
  // `abortEarly` is what zod's own `validate` sets, which tells no issues; its types do not offer it here.
  // large-bodies.test.ts holds it.
  const options = { reportInput: true, abortEarly: valuesOutside(value, mostCheckedWhole) > mostCheckedWhole };
  return schema.safeParse(value, options);
}

/** The faults of one failed parse. Parse with `parseGiven`, else the values are missing from the messages. */
export function faultsOf(error: z.core.$ZodError): FaultList {
  const faults = new FaultList();
  addIssues(faults, error);
  return faults;
}

/** Adds the faults of one failed parse, but those at places in `told`, of which something was said already. */
export function addIssues(faults: FaultList, error: z.core.$ZodError, told: ReadonlySet<string> = new Set()): void {
  for (const issue of error.issues) addIssue(faults, issue, [], told);
}

function addIssue(faults: FaultList, issue: Issue, above: Path, told: ReadonlySet<string>): void {
  const path = [...above, ...issue.path];
  switch (issue.code) {
    case 'unrecognized_keys':
      for (const key of issue.keys) {
        if (told.size > 0 && told.has(pointerOf([...path, key]))) continue;
        faults.add(() => ({
          pointer: pointerOf([...path, key]),
          code: 'unknownField',
          message: `Unknown field ${quoted(key)}${path.length === 0 ? '' : ` in ${fieldOf(path)}`}.`,
        }));
      }
      return;
    case 'invalid_key':
    case 'invalid_element':
      for (const inner of issue.issues) addIssue(faults, inner, path, told);
      return;
    case 'invalid_union': {
      // The form that came closest: the one with the deepest first fault.
      const closest = issue.errors.toSorted((a, b) => (b[0]?.path.length ?? 0) - (a[0]?.path.length ?? 0))[0];
      if (closest?.[0] === undefined || closest[0].path.length === 0) break;
      for (const inner of closest) addIssue(faults, inner, path, told);
      return;
    }
    default:
  }
  if (told.size > 0 && told.has(pointerOf(path))) return;
  faults.add(() => faultOf(issue, path));
  // A check that counts its own faults tells the first ones and how many more there are.
  if (issue.code === 'custom' && typeof issue.params?.more === 'number') faults.count(issue.params.more);
}

/** A field by its names with points between them. */
function fieldOf(path: Path): string {
  if (path.length === 0) return 'The body';
  return cut(path.map((part) => String(part).slice(0, longestShown + 1)).join('.'));
}

function faultOf(issue: Issue, path: Path): Fault {
  const pointer = pointerOf(path);
  const fault = (code: string, message: string): Fault => ({ pointer, code, message: `${fieldOf(path)} ${message}` });
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return fault('required', 'is required.');
      return fault('wrongType', `must be ${article(issue.expected)}, is ${valueText(issue.input)}.`);
    case 'too_big':
      return fault(
        'tooLarge',
        `must ${sizeOf(issue.origin)} ${issue.inclusive === false ? 'below' : 'at most'} ${issue.maximum}, ` +
          `is ${measured(issue.input)}.`,
      );
    case 'too_small':
      return fault(
        'tooSmall',
        `must ${sizeOf(issue.origin)} ${issue.inclusive === false ? 'above' : 'at least'} ${issue.minimum}, ` +
          `is ${measured(issue.input)}.`,
      );
    case 'invalid_value':
      return fault(
        'notAllowed',
        `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}, ` +
          `is ${valueText(issue.input)}.`,
      );
    case 'not_multiple_of':
      return fault('wrongType', `must be a multiple of ${issue.divisor}, is ${valueText(issue.input)}.`);
    case 'invalid_union':
      return fault('wrongType', `has none of the accepted forms, is ${valueText(issue.input)}.`);
    case 'custom': {
      const code = typeof issue.params?.code === 'string' ? issue.params.code : 'invalid';
      // Most are the rest of a sentence that begins with the field; some rooms word whole sentences themselves.
      return issue.params?.sentence === true ? { pointer, code, message: issue.message } : fault(code, issue.message);
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
  if (typeof input === 'string') return quoted(input);
  return String(input);
}
