/** Reads JSON bodies: with a size limit, faults with line and column, and no text that Postgres could not hold. */
import type { Fault } from '../agenda/types.ts';
import { pointerOf } from './faults.ts';
import { findJsonFault } from './json-position.ts';
import { invalid, malformed, ProblemError, payloadTooLarge } from './problem.ts';

/** Most bytes of one request body. */
export const maximumBodyBytes = 32 * 1024 * 1024;
/** Deepest nesting of a body; what walks it may recurse. */
const maximumDepth = 256;
/** Most values (members, entries) of one body: parsed, an empty list is 30 times as large as its text, and looking at each costs everybody else time. */
export const maximumBodyValues = 1_000_000;

/** The body as text. @throws 413 with limit and actual size; 400 when it is not UTF-8. */
export async function readBody(request: Request): Promise<string> {
  const announced = request.headers.get('content-length');
  if (announced !== null && Number(announced) > maximumBodyBytes) throw tooLarge(`has ${announced}`);
  // The server holds a sender to its Content-Length; without one the bytes are counted as they come.
  const bytes = announced === null ? await readCounting(request) : new Uint8Array(await request.arrayBuffer());
  if (bytes.byteLength > maximumBodyBytes) throw tooLarge(`has ${bytes.byteLength}`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new ProblemError('malformedJson', 'The body is not valid UTF-8.', { cause: error });
  }
}

async function readCounting(request: Request): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body) {
    size += chunk.byteLength;
    if (size > maximumBodyBytes) throw tooLarge('has more');
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

const tooLarge = (actual: string): ProblemError => payloadTooLarge(`The body may have at most ${maximumBodyBytes} bytes, ${actual}.`);

/** @throws 400 with line and column; 422 naming strings that hold NUL or half a surrogate pair, unless `anyText`. */
export function parseJson(text: string, options: { readonly anyText?: boolean } = {}): unknown {
  if (text.trim() === '') throw malformed('The body is empty; JSON is expected.');
  if (hasMoreValuesThan(text, maximumBodyValues)) {
    throw payloadTooLarge(
      `The body may hold at most ${maximumBodyValues} values (members of objects and entries of lists), and holds more.`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const { line, column, message } = findJsonFault(text);
    const detail = `The body is not valid JSON: ${message} at line ${line} column ${column}.`;
    throw new ProblemError('malformedJson', detail, { errors: [{ pointer: '', code: 'malformedJson', message: detail }], cause: error });
  }
  if (isDeeperThan(value, maximumDepth)) {
    throw invalid([{ pointer: '', code: 'tooDeep', message: `The body may be nested at most ${maximumDepth} deep.` }]);
  }
  // Both can only come from an escape, so ordinary bodies skip the look at every string.
  if (options.anyText !== true && /\\u(0000|d[89a-f])/i.test(text)) {
    const faults: Fault[] = [];
    checkText(value, [], faults);
    if (faults.length > 0) throw invalid(faults);
  }
  return value;
}

/** Counts what separates values, outside of strings; an ordinary body is too short to be looked at. */
function hasMoreValuesThan(text: string, most: number): boolean {
  if (text.length <= most) return false;
  let values = 1;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === quote) inString = !inString;
    else if (inString) at += character === backslash ? 1 : 0;
    else if (character === comma || character === openList || character === openObject) {
      values += 1;
      if (values > most) return true;
    }
  }
  return false;
}

const [quote, backslash, comma, openList, openObject] = [0x22, 0x5c, 0x2c, 0x5b, 0x7b];

/** Level by level, since what is too deep would also be too deep to recurse into. */
function isDeeperThan(root: unknown, most: number): boolean {
  let level: unknown[] = [root];
  for (let depth = 0; level.length > 0; depth += 1) {
    const objects = level.filter((value) => typeof value === 'object' && value !== null);
    if (objects.length > 0 && depth >= most) return true;
    level = objects.flatMap((value): unknown[] => (Array.isArray(value) ? value : Object.values(value as object)));
  }
  return false;
}

function checkText(value: unknown, path: readonly PropertyKey[], faults: Fault[]): void {
  if (typeof value === 'string') {
    checkString(value, path, faults);
  } else if (Array.isArray(value)) {
    value.forEach((entry: unknown, index) => {
      checkText(entry, [...path, index], faults);
    });
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, entry] of Object.entries(value)) {
      checkString(key, [...path, key], faults);
      checkText(entry, [...path, key], faults);
    }
  }
}

function checkString(text: string, path: readonly PropertyKey[], faults: Fault[]): void {
  const what = text.includes('\u0000') ? 'a NUL character' : text.isWellFormed() ? undefined : 'half a surrogate pair';
  if (what === undefined) return;
  const pointer = pointerOf(path).replaceAll('\u0000', '\\u0000').toWellFormed();
  faults.push({
    pointer,
    code: 'badCharacter',
    message: `${pointer === '' ? 'The body' : pointer} holds ${what}, which cannot be stored.`,
  });
}
