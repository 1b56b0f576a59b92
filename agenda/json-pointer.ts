import type { Json } from './types.ts';

/** One key or index as a segment of a JSON pointer, with its leading slash (RFC 6901). */
export function pointerSegment(key: string | number): string {
  return `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** The value at `pointer`, or undefined when the path is absent. The leading slash may be left out; empty and `/` mean the whole value. Own properties only. */
export function valueAt(value: Json, pointer: string): Json | undefined {
  const path = pointer.startsWith('/') ? pointer.slice(1) : pointer;
  if (path === '') return value;
  let current: Json = value;
  for (const segment of path.split('/')) {
    const key = segment.replaceAll('~1', '/').replaceAll('~0', '~');
    const next = child(current, key);
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
