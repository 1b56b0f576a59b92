/** What pool workers ask: the work of an Operation, and where to report it. The pool is the key's, never the request's. */
import { z } from '@hono/zod-openapi';
import { finishOperations } from '../../db/operation/finish-operations.ts';
import { reportProgress } from '../../db/operation/report-progress.ts';
import { startOperations } from '../../db/operation/start-operations.ts';
import type { FinishVerdict, ProgressVerdict, StartVerdict } from '../../messages/resource-pool.ts';
import type { Access } from '../auth/authorize.ts';
import { type Api, type ApiParts, addEndpoint } from '../http/endpoint.ts';
import { forbidden } from '../http/problem.ts';
import { finishOperationSchema, reportProgressSchema, startOperationSchema } from './service-schema.ts';

const tag = 'ResourcePool service';

const verdicts = z.object({
  items: z
    .array(z.looseObject({ verdict: z.string() }))
    .openapi({ description: 'One per item of the request, in the same order.' }),
});

const fenceExample = {
  agendaId: '0197f3c2-6d1e-7c4a-9b1f-2f6f1f0a7a11',
  attempt: 1,
  operation: 'hello',
  operationAttempt: 1,
  launch: 1,
};

export function addResourcePoolServiceRoutes(api: Api, parts: ApiParts): void {
  const { database } = parts;

  addEndpoint(
    api,
    parts,
    {
      method: 'post',
      path: '/resourcepool/service/startOperation',
      tag,
      summary: 'Take Operations to run',
      description:
        'Hands out resolved payloads and launch numbers. Asking again for the same Operation from the same place gives the same launch.',
      scope: 'pool',
      body: {
        schema: startOperationSchema,
        anyText: true,
        example: {
          items: [
            {
              agendaId: fenceExample.agendaId,
              attempt: 1,
              operation: 'hello',
              place: 'local:host-a:/var/lib/pop/runs',
              worker: 'host-a:4711',
            },
          ],
        },
      },
      answers: {
        200: {
          description: 'Verdicts',
          schema: verdicts,
          example: {
            items: [
              {
                verdict: 'run',
                operationAttempt: 1,
                launch: 1,
                type: 'sample',
                cid: 'nightly-2026-07-01',
                customerId: 'acme',
                operationId: 'hello',
                progressId: '0197f3c2-6d1e-7c4a-9b1f-32c5a0c4d9f0-hello',
                payload: '{"actions":[]}',
              },
            ],
          },
        },
      },
    },
    async ({ c, access, body }) => {
      const started = await startOperations(database, poolOf(access), body.items);
      if (started.wakeInsights.length > 0) parts.wake(started.wakeInsights);
      return c.json({ items: started.verdicts satisfies readonly StartVerdict[] });
    },
  );

  addEndpoint(
    api,
    parts,
    {
      method: 'post',
      path: '/resourcepool/service/reportProgress',
      tag,
      summary: 'Report how far Operations are',
      scope: 'pool',
      body: {
        schema: reportProgressSchema,
        anyText: true,
        example: { items: [{ ...fenceExample, percentComplete: 40, message: 'encoding' }] },
      },
      answers: { 200: { description: 'Verdicts', schema: verdicts, example: { items: [{ verdict: 'ok' }] } } },
    },
    async ({ c, access, body }) => {
      const items: readonly ProgressVerdict[] = await reportProgress(database, poolOf(access), body.items);
      return c.json({ items });
    },
  );

  addEndpoint(
    api,
    parts,
    {
      method: 'post',
      path: '/resourcepool/service/finishOperation',
      tag,
      summary: 'Report how Operations ended',
      description: 'To be repeated until it is answered: a repeat is told what was stored.',
      scope: 'pool',
      body: {
        schema: finishOperationSchema,
        anyText: true,
        example: {
          items: [
            {
              ...fenceExample,
              outcome: 'succeeded',
              result: '{"greeted":"world"}',
              log: { output: 'hello\n', totalBytes: 6 },
            },
          ],
        },
      },
      answers: {
        200: {
          description: 'Verdicts',
          schema: verdicts,
          example: { items: [{ verdict: 'stored', outcome: 'succeeded' }] },
        },
      },
    },
    async ({ c, access, body }) => {
      const items: readonly FinishVerdict[] = await finishOperations(database, poolOf(access), body.items);
      return c.json({ items });
    },
  );
}

function poolOf({ pool }: Access): string {
  if (pool === undefined) throw forbidden('This needs a credential with a scope pool:<id>.');
  return pool;
}
