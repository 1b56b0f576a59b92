/** The pool workers of a ResourcePool over HTTP: who is there, with which registry, and what is amiss. */
import { z } from '@hono/zod-openapi';
import { type PoolWorkerRow, readWorkers } from '../../db/pool/read-workers.ts';
import { readResourcePool } from '../../db/settings/resource-pool.ts';
import { aliveSeconds, registryHours } from '../../messages/resource-pool.ts';
import { mayRead } from '../auth/authorize.ts';
import { type Api, type ApiParts, addEndpoint, type CallOf, defineEndpoint } from '../http/endpoint.ts';
import { epochMillisecondsSchema } from '../http/schemas.ts';
import { registriesDiffer } from './registries-differ.ts';
import { typeNeedsSchema } from './service-schema.ts';

const workerView = z
  .object({
    name: z.string(),
    version: z.string(),
    slots: z.number().int().openapi({ description: 'Operations that it runs at once.' }),
    alive: z.boolean().openapi({
      description: `It was seen within the last ${aliveSeconds} seconds. One that ends in order is listed no more.`,
    }),
    startedTime: epochMillisecondsSchema,
    lastSeenTime: epochMillisecondsSchema,
    registryDigest: z.string().openapi({ description: 'The same for workers whose registries say the same.' }),
    registryProblem: z
      .string()
      .optional()
      .openapi({ description: 'Its registry file was edited and is broken; the one before it is in use.' }),
    types: z
      .record(z.string(), typeNeedsSchema)
      .openapi({ description: 'What its registry in use serves, with what a run of each needs.' }),
  })
  .openapi('PoolWorker');

const example = {
  name: 'host-a:4711:0c1d2e',
  version: '0.2.0',
  slots: 8,
  alive: true,
  startedTime: 1_782_864_000_000,
  lastSeenTime: 1_782_867_600_000,
  registryDigest: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  types: { sample: {}, transcode: { cpu: 4, memory: 4_294_967_296 } },
};
const otherExample = {
  ...example,
  name: 'host-b:815:3f4a5b',
  registryDigest: '60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752',
  registryProblem: '/etc/pop/registry.json:12 /transcode/podConfig/needs/cpu: must be from 0 to 1000000',
  types: { sample: {} },
};

const described = defineEndpoint({
  method: 'get',
  path: '/resourcepool/{id}/workers',
  tag: 'ResourcePool',
  summary: 'Its pool workers, and what they serve',
  description:
    `As they told of themselves, those seen within the last ${registryHours} hours. Workers of version 0.1.0 tell ` +
    'nothing and are not listed.',
  scope: 'read',
  answers: {
    200: {
      description: 'The workers, by name',
      schema: z.object({
        cid: z.string(),
        count: z.number().int(),
        all: z.array(workerView),
        registriesDiffer: z.string().optional().openapi({
          description:
            'Where workers that are there have different registries: how many, and what is not served by all.',
        }),
      }),
      example: {
        cid: 'nightly-2026-07-01',
        count: 2,
        all: [example, otherExample],
        registriesDiffer:
          'The 2 pool workers that are there have 2 different registries. Not served by all: "transcode".',
      },
    },
  },
});

/** Adds the endpoint that lists a pool's workers. */
export function addPoolWorkersRoutes(api: Api, parts: ApiParts): void {
  addEndpoint(api, parts, described, list);
}

async function list({ c, access, cid, id }: CallOf<typeof described>, { database }: ApiParts): Promise<Response> {
  mayRead(access, 'ResourcePool', id, await readResourcePool(database, id));
  const workers = await readWorkers(database, id);
  const differ = registriesDiffer(workers.filter(({ isAlive }) => isAlive));
  return c.json({
    cid,
    count: workers.length,
    all: workers.map(viewOf),
    ...(differ === undefined ? {} : { registriesDiffer: differ }),
  });
}

const viewOf = (row: PoolWorkerRow) => ({
  name: row.name,
  version: row.version,
  slots: row.slots,
  alive: row.isAlive,
  startedTime: row.startedTime,
  lastSeenTime: row.seenTime,
  registryDigest: row.digest,
  ...(row.registryProblem === null ? {} : { registryProblem: row.registryProblem }),
  types: row.types,
});
