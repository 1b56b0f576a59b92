/**
 * Whether a pool worker speaks to the right api with the right key. One that took Operations from elsewhere would be
 * told that they are nobody's, and their Agendas would fail; so it is refused before anything is looked up.
 */
import type { Context } from 'hono';
import { quoted } from '../../agenda/cut.ts';
import type { Database } from '../../db/connect.ts';
import { readInstallation } from '../../db/installation.ts';
import { installationHeader, poolHeader } from '../../messages/resource-pool.ts';
import type { Access } from '../auth/authorize.ts';
import type { ApiEnvironment } from '../http/endpoint.ts';
import { forbidden, ProblemError } from '../http/problem.ts';

/** So long the id is not read again. */
const believedMilliseconds = 5_000;

/** Documentation of the headers that are compared. */
export const pairingHeaders = [
  {
    name: installationHeader,
    description:
      'Id of the installation that the pool worker belongs to, of /version; another one than this is refused.',
    example: '0f3a1c5e-8a51-4c8e-9d55-6a0c7d1f2b11',
  },
  {
    name: poolHeader,
    description: 'The ResourcePool that the pool worker serves; another one than the key is for is refused.',
    example: 'pool-east',
  },
] as const;

/** Answers the pool that a request is for, which is the key's. @throws ProblemError wrongPool, wrongInstallation */
export type ServedPool = (c: Context<ApiEnvironment>, access: Access) => Promise<string>;

/** Compares what requests say of their pool worker with this api and the key. */
export function poolCheck(database: Database): ServedPool {
  let known: string | undefined;
  let knownUntil = 0;
  return async (c, { pool }) => {
    if (pool === undefined) throw forbidden('This needs a credential with a scope pool:<id>.');
    const servedPool = c.req.header(poolHeader);
    if (servedPool !== undefined && decoded(servedPool) !== pool)
      throw new ProblemError(
        'wrongPool',
        `The pool worker serves the ResourcePool ${quoted(decoded(servedPool))}, its key is for ${quoted(pool)}.`,
      );
    const installationId = c.req.header(installationHeader);
    if (installationId === undefined) return pool;
    if (installationId === known && performance.now() < knownUntil) return pool;
    // Read again before anybody is refused, and now and then: the id may have been renewed.
    known = (await readInstallation(database)).id;
    knownUntil = performance.now() + believedMilliseconds;
    if (installationId === known) return pool;
    throw new ProblemError(
      'wrongInstallation',
      `The pool worker belongs to the installation ${quoted(installationId)}, this api to ${quoted(known)}.`,
    );
  };
}

/** Headers hold no letters beyond ASCII, ids may: pool workers send them URL-encoded. */
function decoded(header: string): string {
  try {
    return decodeURIComponent(header);
  } catch {
    return header;
  }
}
