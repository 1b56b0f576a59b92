/** The endpoints of Agendas as the OpenAPI document shows them; `agenda-routes.ts` does what they say. */
import { z } from '@hono/zod-openapi';
import { defineEndpoint } from '../http/endpoint.ts';
import { fieldsQuery } from '../http/list-fields.ts';
import { byQuery, listAnswerSchema, listQuerySchema } from '../http/schemas.ts';
import { admissionExample } from './admission-view.ts';
import {
  agendaBodySchema,
  agendaDetailSchema,
  agendaInsightSchema,
  agendaViewSchema,
  stateQuery,
} from './agenda-schema.ts';

const tag = 'Agenda';

const submissionExample = {
  customerId: 'acme',
  title: 'Say hello',
  operations: [
    { name: 'hello', type: 'sample', payload: { actions: [{ action: 'log', paramsMap: { logMessage: 'hello' } }] } },
  ],
};

const agendaExample = {
  id: '0197f3c2-6d1e-7c4a-9b1f-2f6f1f0a7a11',
  cid: 'nightly-2026-07-01',
  customerId: 'acme',
  title: 'Say hello',
  addedTime: 1_782_864_000_000,
  updatedTime: 1_782_864_000_000,
  progressId: '0197f3c2-6d1e-7c4a-9b1f-32c5a0c4d9f0',
  params: {},
  priority: 0,
  agendaInsight: { resourcePoolId: 'pool-east', insightId: 'encode' },
  attempt: 1,
  operations: submissionExample.operations,
};

const listQuery = listQuerySchema.extend({
  ...byQuery('byId', 'byCid', 'byLinkId', 'byCustomerId', 'byTitle', 'byInsightId', 'byResourcePoolId'),
  byState: stateQuery,
  fields: fieldsQuery(agendaViewSchema),
});

/** Checks and stores an Agenda. */
export const submit = defineEndpoint({
  method: 'post',
  path: '/agenda',
  tag,
  summary: 'Submit an Agenda',
  description:
    'Checks the whole graph and reports its faults (the first ten, and how many there are), chooses the Insight, and ' +
    'stores the Agenda with its progress in one transaction. Ids are made by the server. Runs as soon as its Insight ' +
    'admits it, unless `params` has the key ' +
    '`doNotRun`.',
  scope: 'submit',
  headers: [
    {
      name: 'Idempotency-Key',
      description: 'The same key and body again, within 24 hours, returns the first answer and creates nothing.',
      example: 'order-4711',
    },
  ],
  body: { schema: z.unknown(), documented: agendaBodySchema, example: submissionExample },
  answers: {
    201: { description: 'Stored; its path is in Location', schema: agendaViewSchema, example: agendaExample },
  },
  problems: [404, 409],
});

/** Checks an Agenda without storing it. */
export const validate = defineEndpoint({
  method: 'post',
  path: '/agenda/service/validate',
  tag,
  summary: 'Check an Agenda without storing it',
  description: 'Answers what a submission would: the faults, or the Insight it would go to.',
  scope: 'submit',
  body: { schema: z.unknown(), documented: agendaBodySchema, example: submissionExample },
  answers: {
    200: {
      description: 'It could be submitted',
      schema: z.object({
        cid: z.string(),
        valid: z.literal(true),
        agendaInsight: agendaInsightSchema,
        operations: z.array(
          z.object({
            name: z.string(),
            dependencies: z.array(z.string()).openapi({ description: 'Names of the Operations it waits for.' }),
          }),
        ),
      }),
      example: {
        cid: agendaExample.cid,
        valid: true,
        agendaInsight: agendaExample.agendaInsight,
        operations: [{ name: 'hello', dependencies: [] }],
      },
    },
  },
  problems: [404],
});

/** Lists Agendas, newest first. */
export const list = defineEndpoint({
  method: 'get',
  path: '/agenda',
  tag,
  summary: 'List Agendas',
  description: 'Newest first. Operations are left out unless `fields` names `operations`.',
  scope: 'read',
  query: listQuery,
  answers: {
    200: {
      description: 'Those that match and that the caller may see',
      schema: listAnswerSchema(agendaViewSchema.partial({ operations: true })),
      example: { cid: agendaExample.cid, count: 1, all: [{ ...agendaExample, operations: undefined }] },
    },
  },
});

/** Reads one Agenda with its Operations and its admission. */
export const read = defineEndpoint({
  method: 'get',
  path: '/agenda/{id}',
  tag,
  summary: 'Read an Agenda',
  scope: 'read',
  answers: {
    200: {
      description: 'The Agenda as stored, payloads as submitted',
      schema: agendaDetailSchema,
      example: { ...agendaExample, admission: admissionExample },
    },
  },
});

/** Cancels an Agenda that waits or runs. */
export const cancel = defineEndpoint({
  method: 'post',
  path: '/agenda/{id}/cancel',
  tag,
  summary: 'Cancel an Agenda',
  description:
    'One that waits ends at once; of one that runs, nothing more is started, what runs is stopped, and then it ends ' +
    'as `cancelled`.',
  scope: 'operate',
  answers: {
    202: {
      description: '`ended`: it waited and is over. `requested`: it runs and is being stopped.',
      schema: z.object({ cid: z.string(), id: z.string(), state: z.enum(['ended', 'requested']) }),
      example: { cid: agendaExample.cid, id: agendaExample.id, state: 'requested' },
    },
  },
  problems: [409],
});
