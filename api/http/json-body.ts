/** Reads JSON bodies: with limits of size, faults with line and column, and nothing that Postgres could not keep. */
import { cut } from '../../agenda/cut.ts';
import { findJsonFault } from '../../agenda/json-position.ts';
import { maximumPayloadBytes } from '../../agenda/types.ts';
import { unkeepableFaults } from './body-values.ts';
import { giveTurns } from './give-turns.ts';
import { limitExceeded } from './json-size.ts';
import { invalid, malformed, ProblemError, payloadTooLarge } from './problem.ts';

/** Most bytes of one request body. */
export const maximumBodyBytes = 32 * 1024 * 1024;
/** Deepest nesting of a body; what walks it may recurse. */
const maximumDepth = 256;
/**
 * Most values (members, entries) of one body. Parsed, an empty list is 30 times as large as its text, and looking at
 * each value costs everybody else time.
 */
export const maximumBodyValues = 1_000_000;
/**
 * Most values outside payloads and params: each of them is checked for what it is. Room for 500 Operations that each
 * depend on all before.
 */
export const maximumCheckedValues = 150_000;
/** A body of more bytes is large: its begin is logged, and other requests have turns between the steps of its work. */
export const largeBodyBytes = 256 * 1024;

/**
 * The body as text; `large` is told once, as soon as it is known that the body is large. @throws 413 with limit and
 * actual size; 400 when it is not UTF-8.
 */
export async function readBody(request: Request, large: () => void = () => {}): Promise<string> {
  const announced = request.headers.get('content-length');
  if (announced !== null && Number(announced) > maximumBodyBytes) throw tooLarge(`has ${cut(announced)}`);
  if (announced !== null && Number(announced) > largeBodyBytes) large();
  // The server holds a sender to its Content-Length; without one the bytes are counted as they come.
  const bytes = announced === null ? await readCounting(request, large) : new Uint8Array(await request.arrayBuffer());
  if (bytes.byteLength > maximumBodyBytes) throw tooLarge(`has ${bytes.byteLength}`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new ProblemError('malformedJson', 'The body is not valid UTF-8.', { cause: error });
  }
}

async function readCounting(request: Request, large: () => void): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body) {
    const wasLarge = size > largeBodyBytes;
    size += chunk.byteLength;
    if (size > maximumBodyBytes) throw tooLarge('has more');
    if (size > largeBodyBytes && !wasLarge) large();
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

const tooLarge = (actual: string): ProblemError =>
  payloadTooLarge(`The body may have at most ${maximumBodyBytes} bytes, ${actual}.`);

/**
 * The value of a JSON text. Other requests have turns between the steps with a large one.
 * @throws 400 with line and column; 413 when it holds too much; 422 naming numbers that are too large to be kept and,
 * unless `anyText`, strings that hold NUL or half a surrogate pair.
 */
export async function parseJson(text: string, options: { readonly anyText?: boolean } = {}): Promise<unknown> {
  const step = (): Promise<void> => (text.length > largeBodyBytes ? giveTurns() : Promise.resolve());
  if (text.trim() === '') throw malformed('The body is empty; JSON is expected.');
  await step();
  refuseTooMuch(text);
  await step();
  const value = parsed(text);
  await step();
  // Such text can only come from an escape, so ordinary bodies skip the look at every string.
  const faults = unkeepableFaults(value, { text: options.anyText !== true && /\\u(0000|d[89a-f])/i.test(text) });
  // What is not read well is not checked further: there is enough to mend.
  if (faults.total > 0) throw invalid(faults);
  await step();
  return value;
}

const limits = {
  values: maximumBodyValues,
  checkedValues: maximumCheckedValues,
  depth: maximumDepth,
  freeBytes: maximumPayloadBytes,
};

/**
 * Before it is parsed: names and lists by the hundred thousand take seconds to parse and to enumerate. @throws 413, 422
 */
function refuseTooMuch(text: string): void {
  switch (limitExceeded(text, limits)) {
    case 'depth':
      throw invalid([
        { pointer: '', code: 'tooDeep', message: `The body may be nested at most ${maximumDepth} deep.` },
      ]);
    case 'values':
      throw payloadTooLarge(
        `The body may hold at most ${maximumBodyValues} values (members of objects and entries of lists), ` +
          'and holds more.',
      );
    case 'checkedValues':
      throw payloadTooLarge(
        `The body may hold at most ${maximumCheckedValues} values outside of payloads and params, and holds more.`,
      );
    case 'freeBytes':
      throw payloadTooLarge(
        `A payload and params may have ${maximumPayloadBytes} bytes each; the body holds one that has more.`,
      );
    case undefined:
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const { line, column, message } = findJsonFault(text);
    const detail = `The body is not valid JSON: ${message} at line ${line} column ${column}.`;
    throw new ProblemError('malformedJson', detail, {
      errors: [{ pointer: '', code: 'malformedJson', message: detail }],
      cause: error,
    });
  }
}
