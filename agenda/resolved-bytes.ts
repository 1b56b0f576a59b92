import { jsonBytes } from './json-bytes.ts';
import { findReferences, type Known } from './references.ts';
import type { Json } from './types.ts';

/** Bytes a payload has once its references are replaced, and how many of them each name brings. */
export interface ResolvedBytes {
  readonly bytes: number;
  readonly names: readonly { readonly name: string; readonly bytes: number }[];
}

/**
 * Measures what `replaceReferences` would give, without making it: a small payload that names one large result many
 * times would need more memory than there is. Tokens that cannot be replaced count as they stand.
 */
export function resolvedBytes(value: Json, lookup: (name: string) => Known | undefined): ResolvedBytes {
  const measured = new Map<Json, number>();
  const bytesOf = (found: Json): number => {
    const known = measured.get(found);
    if (known !== undefined) return known;
    const bytes = jsonBytes(found);
    measured.set(found, bytes);
    return bytes;
  };
  const names = new Map<string, number>();
  let total = jsonBytes(value);
  for (const { name, pointer, fallback, token, whole } of findReferences(value)) {
    const known = lookup(name);
    const present = known?.(pointer ?? '');
    const found = known !== undefined && present === undefined ? fallback : present;
    if (found === undefined) continue;
    if (!whole && found !== null && typeof found === 'object') continue;
    const inside = whole ? bytesOf(found) : bytesOf(typeof found === 'string' ? found : String(found)) - quotes;
    names.set(name, (names.get(name) ?? 0) + inside);
    total += inside - (bytesOf(token) - (whole ? 0 : quotes));
  }
  return { bytes: total, names: [...names].map(([name, bytes]) => ({ name, bytes })) };
}

const quotes = 2;
