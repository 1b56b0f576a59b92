/** The endpoints that pools call, as the OpenAPI document shows them; `service-routes.ts` does what they say. */
import { z } from '@hono/zod-openapi';
import { defineEndpoint } from '../http/endpoint.ts';
import { pairingHeaders } from './pool-check.ts';
import {
  finishOperationSchema,
  reportProgressSchema,
  reportWorkerSchema,
  startOperationSchema,
} from './service-schema.ts';

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

const placeExample = 'local:2f6f1f0a-7a11-4c4a-9b1f-0197f3c26d1e@9f86d081884c7d65';

/** Tells a pool worker which ResourcePool its key is for. */
export const pool = defineEndpoint({
  method: 'get',
  path: '/resourcepool/service/pool',
  tag,
  summary: 'The ResourcePool of this key',
  description: 'For pool workers, to check their settings before they begin.',
  scope: 'pool',
  headers: pairingHeaders,
  answers: {
    200: {
      description: 'The ResourcePool',
      schema: z.object({ resourcePoolId: z.string() }),
      example: { resourcePoolId: 'pool-east' },
    },
  },
  problems: [409],
});

/** Takes what a pool worker tells of itself. */
export const worker = defineEndpoint({
  method: 'post',
  path: '/resourcepool/service/reportWorker',
  tag,
  summary: 'Tell which Operation types a pool worker serves',
  description:
    'Before it takes work, when its registry changes, and as a sign of life. Agendas of types that no registry of ' +
    'the last 24 hours serves are refused, and what a type needs is what admission charges for. `leaving`: it takes ' +
    'no more work.',
  scope: 'pool',
  headers: pairingHeaders,
  problems: [409],
  body: {
    schema: reportWorkerSchema,
    example: {
      worker: 'host-a:4711',
      version: '0.2.0',
      slots: 8,
      startedTime: 1_782_864_000_000,
      registryDigest: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
      types: { sample: {}, transcode: { cpu: 4, memory: 4_294_967_296 } },
    },
  },
  answers: { 200: { description: 'Taken', schema: z.object({ cid: z.string() }), example: { cid: 'worker-4711' } } },
});

/** Hands out Operations to run. */
export const start = defineEndpoint({
  method: 'post',
  path: '/resourcepool/service/startOperation',
  tag,
  summary: 'Take Operations to run',
  description:
    'Hands out resolved payloads and launch numbers. Asking again from a worker that reaches the place of the launch ' +
    'gives the same launch; `token` lets its handler report by itself.',
  scope: 'pool',
  headers: pairingHeaders,
  problems: [409],
  body: {
    schema: startOperationSchema,
    anyText: true,
    example: {
      items: [
        {
          agendaId: fenceExample.agendaId,
          attempt: 1,
          operation: 'hello',
          type: 'sample',
          launcher: 'local',
          place: placeExample,
          places: { local: placeExample },
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
            place: placeExample,
            type: 'sample',
            cid: 'nightly-2026-07-01',
            customerId: 'acme',
            insightId: 'nightly',
            operationId: 'hello',
            progressId: '0197f3c2-6d1e-7c4a-9b1f-32c5a0c4d9f0-hello',
            payload: '{"actions":[]}',
          },
        ],
      },
    },
  },
});

/** Takes reports of progress. */
export const report = defineEndpoint({
  method: 'post',
  path: '/resourcepool/service/reportProgress',
  tag,
  summary: 'Report how far Operations are',
  description:
    'With the token of a launch: of that launch only, without `worker`, `orphan` and `blocked`. ' +
    'A pool worker is told as `reportedTime` (epoch milliseconds) when the handler last reported by itself.',
  scope: 'pool',
  headers: pairingHeaders,
  problems: [409],
  launchToken: true,
  body: {
    schema: reportProgressSchema,
    anyText: true,
    example: { items: [{ ...fenceExample, percentComplete: 40, message: 'encoding' }] },
  },
  answers: {
    200: {
      description: 'Verdicts',
      schema: verdicts,
      example: { items: [{ verdict: 'ok', reportedTime: 1_782_864_000_000 }] },
    },
  },
});

/** Takes reports of how Operations ended. */
export const finish = defineEndpoint({
  method: 'post',
  path: '/resourcepool/service/finishOperation',
  tag,
  summary: 'Report how Operations ended',
  description:
    'To be repeated until it is answered: a repeat is told what was stored. With the token of a launch: of that ' +
    'launch only, without `log`, `ending`, `category` and `code`.',
  scope: 'pool',
  headers: pairingHeaders,
  problems: [409],
  launchToken: true,
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
});
