/** Operation types that are not launched: what they would come to is said beforehand. */
import { readFileSync } from 'node:fs';
import { findJsonFault } from '../agenda/json-position.ts';
import type { Json } from '../agenda/types.ts';
import type { InProcessFunction } from '../launchers/in-process/in-process-launcher.ts';
import { type HandlerSettings, parseRegistry } from '../launchers/registry.ts';

/** What each Operation of a type comes to: a result, or the message of its failure. */
export type Mock = { readonly result: Json } | { readonly failure: string };

/** Mocks by type. */
export type Mocks = ReadonlyMap<string, Mock>;

/** A mock that cannot be read. */
export class MockError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MockError';
  }
}

/**
 * Reads `<type>=<file>`, whose content is the result, or `<type>=!<message>`, which fails with that message.
 * @throws MockError
 */
export function readMock(text: string): readonly [type: string, mock: Mock] {
  const at = text.indexOf('=');
  const [type, what] = [text.slice(0, at), text.slice(at + 1)];
  if (at <= 0 || what === '') throw new MockError(`a mock is <type>=<file> or <type>=!<message>, not "${text}"`);
  if (what.startsWith('!')) return [type, { failure: what.slice(1) || 'The mock failed.' }];
  return [type, { result: readJsonFile(what) }];
}

function readJsonFile(path: string): Json {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MockError(`${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    const { line, column, message } = findJsonFault(text);
    throw new MockError(`${path}:${line}:${column}: not JSON: ${message}`, { cause });
  }
}

/** The name that a mock's function has; no module can have it, for it names no export. */
const functionName = (type: string): string => `mock of ${type}`;

/** The mocks as functions of an in-process launcher. */
export const mockFunctions = (mocks: Mocks): Record<string, InProcessFunction> =>
  Object.fromEntries([...mocks].map(([type, mock]) => [functionName(type), () => perform(mock)]));

function perform(mock: Mock): Json {
  if ('result' in mock) return mock.result;
  const failure = new Error(mock.failure);
  // Where the mock is written says nothing of the failure that it stands for.
  delete failure.stack;
  throw failure;
}

/** The registry entries of the mocks. */
export function mockSettings(mocks: Mocks): ReadonlyMap<string, HandlerSettings> {
  const entries = [...mocks.keys()].map((type) => [type, { podConfig: { function: functionName(type) } }] as const);
  return parseRegistry(JSON.stringify({ basePodConfig: {}, ...Object.fromEntries(entries) }), 'mocks').types;
}
