/**
 * Reference tokens: `@<NAME>`, `@<NAME::POINTER>`, `@<NAME::POINTER?FALLBACK>`, found in string values (never in keys).
 *
 * - A string that is one token and nothing else takes the value with its type; a token inside text becomes text,
 *   and an object or array there is an invalid reference.
 * - The fallback is used when the path is absent in a known name, and is always text; a bare `?` means null.
 *   A name that is not known is missing, whatever the fallback says.
 * - A token runs from the last `@<` before a `>` to that `>`; the first `::` ends the name, without one the first `?`
 *   does. Without a name (`@<>`) it is plain text. Names are compared exactly, blanks inside and case included.
 * - What was put in is not scanned again.
 *
 * Strings are scanned by `indexOf`, so the time is linear in their length whatever they hold.
 */
import type { Path } from './depth.ts';
import { isArray, pointerSegment, valueAt } from './json-pointer.ts';
import { type Json, maximumReferenceDepth } from './types.ts';

/** What stands between `@<` and `>`. */
export interface Token {
  readonly name: string;
  readonly pointer?: string;
  /** Text to use when the path is absent; null for a bare `?`. */
  readonly fallback?: string | null;
}

/**
 * A token and its position: `path` is a JSON pointer to the string that holds it, `token` is its text, and `whole` is
 * true when the string is this token alone.
 */
export interface Reference extends Token {
  readonly token: string;
  readonly path: string;
  readonly whole: boolean;
}

/**
 * A token that could not be replaced: its path is absent, it stands for a container inside text, or the value is nested
 * too deep to look (then `token` is empty).
 */
export interface InvalidReference {
  readonly token: string;
  readonly path: string;
  readonly reason: 'pathAbsent' | 'containerInText' | 'tooDeep';
}

/** The value with its tokens replaced; `missing` holds each name that `lookup` does not know once, in reading order. */
export interface Replacement {
  readonly value: Json;
  readonly missing: readonly string[];
  readonly invalid: readonly InvalidReference[];
}

/** A token as `visitReferences` finds it. */
export type VisitedReference = Omit<Reference, 'path'>;

/** What is known of a name: the value at a pointer, undefined where its path is absent. */
export type Known = (pointer: string) => Json | undefined;

/** All of a value is known. */
export const knownWhole =
  (value: Json): Known =>
  (pointer) =>
    valueAt(value, pointer);

/**
 * Calls `visit` for every token in `value`, in reading order; keeps none, for there can be hundreds of thousands. The
 * path leads to the string that holds the token, and changes after the call. Containers nested deeper than
 * `maximumReferenceDepth` are not looked into: `findTooDeep` names them.
 */
export function visitReferences(value: Json, visit: (reference: VisitedReference, path: Path) => void): void {
  const path: (string | number)[] = [];
  const look = (current: Json): void => {
    if (typeof current === 'string') {
      if (!current.includes('@<')) return;
      const parts = splitTokens(current);
      for (const part of parts) if (typeof part === 'object') visit({ ...part, whole: parts.length === 1 }, path);
    } else if (current !== null && typeof current === 'object' && path.length < maximumReferenceDepth) {
      if (isArray(current)) for (let index = 0; index < current.length; index += 1) enter(index, current[index]);
      else for (const key of Object.keys(current)) enter(key, current[key]);
    }
  };
  const enter = (key: string | number, item: Json | undefined): void => {
    if (typeof item !== 'string' && (typeof item !== 'object' || item === null)) return;
    path.push(key);
    look(item);
    path.pop();
  };
  look(value);
}

/** Every token in `value`, in reading order. */
export function findReferences(value: Json): readonly Reference[] {
  const references: Reference[] = [];
  visitReferences(value, (reference, path) =>
    references.push({ ...reference, path: path.map((part) => pointerSegment(part)).join('') }),
  );
  return references;
}

/** Counts `@<` in the strings of `value`, keys aside. `value` can hold at most so many tokens; none of them is made. */
export function marksIn(value: Json, depth = 0): number {
  let marks = 0;
  if (typeof value === 'string') {
    for (let at = value.indexOf('@<'); at !== -1; at = value.indexOf('@<', at + 2)) marks += 1;
  } else if (value !== null && typeof value === 'object' && depth < maximumReferenceDepth) {
    const items: readonly Json[] = isArray(value) ? value : Object.values(value);
    for (const item of items)
      if (typeof item === 'string' || typeof item === 'object') marks += marksIn(item, depth + 1);
  }
  return marks;
}

/**
 * Replaces every token by what `lookup` knows. A token that cannot be replaced stays as it is and is reported. `value`
 * itself is not changed.
 */
export function replaceReferences(value: Json, lookup: (name: string) => Known | undefined): Replacement {
  const missing = new Set<string>();
  const invalid: InvalidReference[] = [];

  /** The value of a token, or undefined when it was reported. */
  const resolve = (token: FoundToken, path: string): Json | undefined => {
    const known = lookup(token.name);
    if (known === undefined) {
      missing.add(token.name);
      return undefined;
    }
    const found = known(token.pointer ?? '');
    if (found !== undefined) return found;
    if (token.fallback !== undefined) return token.fallback;
    invalid.push({ token: token.token, path, reason: 'pathAbsent' });
    return undefined;
  };

  const asText = (token: FoundToken, path: string): string => {
    const found = resolve(token, path);
    if (found === undefined) return token.token;
    if (found === null || typeof found !== 'object') return String(found);
    invalid.push({ token: token.token, path, reason: 'containerInText' });
    return token.token;
  };

  const replaceString = (text: string, path: string): Json => {
    const parts = splitTokens(text);
    const [first] = parts;
    if (parts.length === 1 && typeof first === 'object') {
      const found = resolve(first, path);
      return found === undefined ? text : found;
    }
    return parts.map((part) => (typeof part === 'string' ? part : asText(part, path))).join('');
  };

  const replace = (current: Json, path: string, depth: number): Json => {
    if (typeof current === 'string') return replaceString(current, path);
    if (current === null || typeof current !== 'object') return current;
    if (depth >= maximumReferenceDepth) {
      invalid.push({ token: '', path, reason: 'tooDeep' });
      return current;
    }
    if (isArray(current)) return current.map((item, index) => replace(item, path + pointerSegment(index), depth + 1));
    // `Object.fromEntries` defines its keys, so a key `__proto__` stays an ordinary key.
    return Object.fromEntries(
      Object.keys(current).map((key) => [key, replace(current[key] as Json, path + pointerSegment(key), depth + 1)]),
    );
  };

  return { value: replace(value, '', 0), missing: [...missing], invalid };
}

type FoundToken = Token & { readonly token: string };

/** Cuts a string into plain text and tokens, in order; no part is empty. */
function splitTokens(text: string): readonly (string | FoundToken)[] {
  const parts: (string | FoundToken)[] = [];
  let taken = 0;
  let from = text.indexOf('@<');
  while (from !== -1) {
    const end = text.indexOf('>', from + 2);
    if (end === -1) break;
    const start = text.lastIndexOf('@<', end - 2);
    const token = parseToken(text.slice(start, end + 1));
    if (token !== undefined) {
      if (start > taken) parts.push(text.slice(taken, start));
      parts.push(token);
      taken = end + 1;
    }
    from = text.indexOf('@<', end + 1);
  }
  if (taken < text.length) parts.push(text.slice(taken));
  return parts;
}

function parseToken(token: string): FoundToken | undefined {
  const inside = token.slice(2, -1);
  const colons = inside.indexOf('::');
  const mark = inside.indexOf('?', colons === -1 ? 0 : colons + 2);
  const name = inside.slice(0, colons !== -1 ? colons : mark !== -1 ? mark : undefined);
  if (name.trim() === '') return undefined;
  return {
    token,
    name,
    ...(colons === -1 ? {} : { pointer: inside.slice(colons + 2, mark === -1 ? undefined : mark) }),
    ...(mark === -1 ? {} : { fallback: inside.slice(mark + 1) || null }),
  };
}
