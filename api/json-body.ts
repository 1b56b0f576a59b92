/** Reads JSON bodies: with a size limit, faults with line and column, and no text that Postgres could not hold. */
import type { Fault } from '../agenda/types.ts';
import { pointerOf } from './faults.ts';
import { findJsonFault } from './json-position.ts';
import { invalid, malformed, ProblemError, payloadTooLarge } from './problem.ts';

/** Most bytes of one request body. */
export const maximumBodyBytes = 32 * 1024 * 1024;
/** Deepest nesting of a body; what walks it may recurse. */
const maximumDepth = 256;

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
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const { line, column, message } = findJsonFault(text);
    const detail = `The body is not valid JSON: ${message} at line ${line} column ${column}.`;
    throw new ProblemError('malformedJson', detail, { errors: [{ pointer: '', code: 'malformedJson', message: detail }], cause: error });
  }
  // Both can only come from an escape, so ordinary bodies skip the look at every string.
  const suspicious = options.anyText !== true && /\\u(0000|d[89a-f])/i.test(text);
  const faults = faultsOfText(value, suspicious);
  if (faults.length > 0) throw invalid(faults);
  return value;
}

function faultsOfText(root: unknown, strings: boolean): Fault[] {
  const faults: Fault[] = [];
  const stack: { value: unknown; path: readonly PropertyKey[] }[] = [{ value: root, path: [] }];
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { value, path } = next;
    if (typeof value === 'string') {
      if (strings) check(value, path, faults);
      continue;
    }
    if (typeof value !== 'object' || value === null) continue;
    if (path.length >= maximumDepth) {
      return [{ pointer: '', code: 'tooDeep', message: `The body may be nested at most ${maximumDepth} deep.` }];
    }
    if (Array.isArray(value)) {
      for (let index = value.length - 1; index >= 0; index -= 1) {
        const entry: unknown = value[index];
        if (strings || (typeof entry === 'object' && entry !== null)) stack.push({ value: entry, path: [...path, index] });
      }
      continue;
    }
    for (const [key, entry] of Object.entries(value)) {
      if (strings) check(key, [...path, key], faults);
      if (strings || (typeof entry === 'object' && entry !== null)) stack.push({ value: entry, path: [...path, key] });
    }
  }
  return faults;
}

function check(text: string, path: readonly PropertyKey[], faults: Fault[]): void {
  const what = text.includes('\u0000') ? 'a NUL character' : text.isWellFormed() ? undefined : 'half a surrogate pair';
  if (what === undefined) return;
  const pointer = pointerOf(path).replaceAll('\u0000', '\\u0000').toWellFormed();
  faults.push({
    pointer,
    code: 'badCharacter',
    message: `${pointer === '' ? 'The body' : pointer} holds ${what}, which cannot be stored.`,
  });
}
