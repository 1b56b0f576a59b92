/** Versions of settings objects, for changes that must not undo somebody else's (`ETag`, `If-Match`; RFC 9110). */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../../agenda/types.ts';
import { ProblemError } from '../http/problem.ts';

/** Entity tag of a version: a digest of what callers see of it. */
export function tagOf(view: JsonObject): string {
  return `"${createHash('sha256').update(JSON.stringify(view)).digest('hex').slice(0, 16)}"`;
}

/** The version that a request means is the present one, or it does not say. @throws ProblemError 412 */
export function requireMatch(header: string | undefined, view: JsonObject): void {
  if (header === undefined || header.trim() === '*') return;
  const tag = tagOf(view);
  if (header.split(',').some((candidate) => candidate.trim() === tag)) return;
  throw new ProblemError('preconditionFailed', `If-Match names another version; the present one is ${tag}.`, {
    headers: { ETag: tag },
  });
}
