/** Is it alive, can it serve, what is it: for probes and people, without a credential. */
import { z } from '@hono/zod-openapi';
import { ping } from '../../db/connect.ts';
import manifest from '../../package.json' with { type: 'json' };
import { type Api, type ApiParts, addEndpoint, type CallOf, defineEndpoint } from '../http/endpoint.ts';
import { unavailable } from '../http/problem.ts';

const tag = 'Health';
const okSchema = z.object({ status: z.literal('ok') }).openapi('Ok');

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

const versionDescribed = defineEndpoint({
  method: 'get',
  path: '/version',
  tag,
  summary: 'Name and version',
  scope: 'public',
  answers: {
    200: {
      description: 'Name and version',
      schema: z.object({ name: z.string(), version: z.string(), node: z.string() }).openapi('Version'),
      example: { name: manifest.name, version: manifest.version, node: 'v24.21.0' },
    },
  },
});

/** Adds the probes and the version. */
export function addHealthRoutes(api: Api, parts: ApiParts): void {
  addEndpoint(api, parts, livezDescribed, ({ c }) => c.json({ status: 'ok' }));
  addEndpoint(api, parts, readyzDescribed, readyz);
  addEndpoint(api, parts, versionDescribed, ({ c }) =>
    c.json({ name: manifest.name, version: manifest.version, node: process.version }),
  );
}

async function readyz({ c }: CallOf<typeof readyzDescribed>, { database, draining }: ApiParts): Promise<Response> {
  if (draining?.() === true) throw unavailable('Shutting down.');
  await ping(database);
  return c.json({ status: 'ok' });
}
