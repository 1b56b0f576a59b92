/** Is it alive, can it serve, what is it: for probes and people, without a credential. */

import { z } from '@hono/zod-openapi';
import { type Database, isDatabaseAway, ping } from '../../db/connect.ts';
import { readInstallation } from '../../db/installation.ts';
import { readSchemaVersion } from '../../db/schema-version.ts';
import { resourcePoolProtocol } from '../../messages/resource-pool.ts';
import manifest from '../../package.json' with { type: 'json' };
import { type Api, type ApiParts, addEndpoint, type CallOf, defineEndpoint } from '../http/endpoint.ts';
import { unavailable } from '../http/problem.ts';

const tag = 'Health';
const okSchema = z.object({ status: z.literal('ok') }).openapi('Ok');

/** What the database tells of itself is asked anew after this time: anybody may ask for it. */
const rememberedMilliseconds = 5_000;

const livezDescribed = defineEndpoint({
  method: 'get',
  path: '/livez',
  tag,
  summary: 'The process is alive',
  scope: 'public',
  answers: { 200: { description: 'Alive', schema: okSchema, example: { status: 'ok' } } },
});

const readyzDescribed = defineEndpoint({
  method: 'get',
  path: '/readyz',
  tag,
  summary: 'It can serve requests',
  description:
    'Asks Postgres. Temporal is not asked: submissions are accepted without it. Answers 503 while the process is ' +
    'shutting down.',
  scope: 'public',
  answers: { 200: { description: 'Ready', schema: okSchema, example: { status: 'ok' } } },
  problems: [503],
});

const versionSchema = z
  .object({
    name: z.string(),
    version: z.string(),
    node: z.string(),
    resourcePoolProtocol: z.int().openapi({ description: 'What the ResourcePool service understands.' }),
    installationId: z.string().optional().openapi({ description: 'Of the database.' }),
    schema: z.int().optional().openapi({ description: 'Migrations that the database has.' }),
  })
  .openapi('Version');

const versionDescribed = defineEndpoint({
  method: 'get',
  path: '/version',
  tag,
  summary: 'Name and version, and which installation this is',
  description: 'installationId and schema are absent while the database cannot be reached.',
  scope: 'public',
  answers: {
    200: {
      description: 'Name and version',
      schema: versionSchema,
      example: {
        name: manifest.name,
        version: manifest.version,
        node: 'v24.21.0',
        resourcePoolProtocol,
        installationId: '0f3a1c5e-8a51-4c8e-9d55-6a0c7d1f2b11',
        schema: 8,
      },
    },
  },
});

/** Adds the probes and the version. */
export function addHealthRoutes(api: Api, parts: ApiParts): void {
  const installed = rememberedVersion(parts.database);
  addEndpoint(api, parts, livezDescribed, ({ c }) => c.json({ status: 'ok' }));
  addEndpoint(api, parts, readyzDescribed, readyz);
  addEndpoint(api, parts, versionDescribed, async ({ c }) => {
    const { name, version } = manifest;
    return c.json({ name, version, node: process.version, resourcePoolProtocol, ...(await installed()) });
  });
}

async function readyz({ c }: CallOf<typeof readyzDescribed>, { database, drain }: ApiParts): Promise<Response> {
  if (drain?.aborted === true) throw unavailable('Shutting down.');
  await ping(database);
  return c.json({ status: 'ok' });
}

function rememberedVersion(database: Database): () => Promise<{ installationId?: string; schema?: number }> {
  let known: { readonly installationId: string; readonly schema: number } | undefined;
  let knownUntil = 0;
  return async () => {
    if (known !== undefined && performance.now() < knownUntil) return known;
    try {
      const [{ id }, { schema }] = await Promise.all([readInstallation(database), readSchemaVersion(database)]);
      known = { installationId: id, schema };
      knownUntil = performance.now() + rememberedMilliseconds;
      return known;
    } catch (error) {
      // What it was before it went away: which installation this is does not change with that.
      if (isDatabaseAway(error)) return known ?? {};
      throw error;
    }
  };
}
