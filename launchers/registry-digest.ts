/** Tells registries apart: by what they say, not by how it is written or where the file lies. */
import { createHash } from 'node:crypto';

/** SHA-256 of a parsed document, in hex; the order of names makes no difference. */
export function digestOf(document: unknown): string {
  return createHash('sha256').update(canonical(document)).digest('hex');
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}
