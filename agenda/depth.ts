import { pointerSegment } from './json-pointer.ts';
import { type Json, maximumReferenceDepth } from './types.ts';

/** JSON pointers to the outermost lists and objects that stand inside `limit` others or more. Does not recurse. */
export function tooDeepAt(value: Json, limit: number = maximumReferenceDepth): string[] {
  const found: string[] = [];
  const open: { value: Json; path: string; depth: number }[] = [{ value, path: '', depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value: container, path, depth } = next;
    if (container === null || typeof container !== 'object') continue;
    if (depth >= limit) {
      found.push(path);
      continue;
    }
    for (const [key, item] of Object.entries(container)) {
      if (item !== null && typeof item === 'object') open.push({ value: item, path: path + pointerSegment(key), depth: depth + 1 });
    }
  }
  return found.reverse();
}
