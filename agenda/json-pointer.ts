/** JSON pointers (RFC 6901): the one place that writes and reads them. */
import { cut, longestShown } from './cut.ts';
import type { Json } from './types.ts';

/** One key or index as a segment of a JSON pointer, with its leading slash. */
export function pointerSegment(key: PropertyKey): string {
  return `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/**
 * The JSON pointer of a path of keys and indexes, for a message; empty for the whole value. Cut like all that customers
 * wrote, and no more of it is looked at than is shown.
 */
export function pointerOf(path: readonly PropertyKey[]): string {
  let pointer = '';
  for (const part of path) {
    if (pointer.length > longestShown) break;
    // One character more than is shown tells that something was cut.
    pointer += pointerSegment(String(part).slice(0, longestShown + 1));
  }
  return cut(pointer);
}

/** The keys of a JSON pointer that begins with a slash or is empty: the reverse of `pointerOf`, indexes as text. */
export function pathOf(pointer: string): string[] {
  return pointer.split('/').slice(1).map(keyOf);
}

function keyOf(segment: string): string {
  return segment.replaceAll('~1', '/').replaceAll('~0', '~');
}

/**
 * The value at `pointer`, or undefined when the path is absent. Own properties only.
 * The leading slash may be left out; empty and `/` mean the whole value.
 */
export function valueAt(value: Json, pointer: string): Json | undefined {
  const path = pointer.startsWith('/') ? pointer.slice(1) : pointer;
  if (path === '') return value;
  let current: Json = value;
  for (const segment of path.split('/')) {
    const next = child(current, keyOf(segment));
    if (next === undefined) return undefined;
    current = next;
  }
  return current;
}

function child(value: Json, key: string): Json | undefined {
  if (isArray(value)) return /^(0|[1-9][0-9]{0,9})$/.test(key) ? value[Number(key)] : undefined;
  if (value !== null && typeof value === 'object') return Object.hasOwn(value, key) ? value[key] : undefined;
  return undefined;
}

/** `Array.isArray` that also narrows a readonly array. */
export function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
