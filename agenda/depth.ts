import { type Json, maximumReferenceDepth } from './types.ts';

/** A path into a value: names and indexes from the outside in. */
export type Path = readonly (string | number)[];

/**
 * Calls `found` for each outermost list or object that stands inside `limit` others or more, in the order of the
 * document. The path changes after the call. Recurses no deeper than `limit`.
 */
export function findTooDeep(value: Json, found: (path: Path) => void, limit: number = maximumReferenceDepth): void {
  const path: (string | number)[] = [];
  const visit = (container: object): void => {
    if (path.length >= limit) {
      found(path);
    } else if (Array.isArray(container)) {
      for (let index = 0; index < container.length; index += 1) enter(index, container[index]);
    } else {
      for (const key of Object.keys(container)) enter(key, (container as Record<string, unknown>)[key]);
    }
  };
  const enter = (key: string | number, item: unknown): void => {
    if (typeof item !== 'object' || item === null) return;
    path.push(key);
    visit(item);
    path.pop();
  };
  if (typeof value === 'object' && value !== null) visit(value);
}

/** Whether a list or an object stands inside `limit` others or more. Recurses no deeper than `limit`. */
export function isDeeperThan(value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (limit <= 0) return true;
  const items: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  for (const item of items) {
    if (typeof item === 'object' && item !== null && isDeeperThan(item, limit - 1)) return true;
  }
  return false;
}
