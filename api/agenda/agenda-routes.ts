/** Agendas over HTTP: submit, read, list, cancel, their output and their audit trail. */
import { createHash } from 'node:crypto';
import { z } from '@hono/zod-openapi';
import { quoted } from '../../agenda/cut.ts';
import { maximumIdBytes } from '../../agenda/types.ts';
import { readAdmission } from '../../db/admission/admission-record.ts';
import { cancelAgenda } from '../../db/agenda/cancel-agenda.ts';
import { listAgendas } from '../../db/agenda/list-agenda.ts';
import { readAgenda, readOperations } from '../../db/agenda/read-agenda.ts';
import { insightForAgenda, type SubmitAnswer, submitAgenda } from '../../db/agenda/submit-agenda.ts';
import { type Access, mayActFor, visibilityOf } from '../auth/authorize.ts';
import { type Api, type ApiParts, addEndpoint } from '../http/endpoint.ts';
import { fieldsQuery, onlyFields } from '../http/list-fields.ts';
import { badParameter, conflict, invalid, notFound, ProblemError } from '../http/problem.ts';
import { byQuery, listAnswerSchema, listQuerySchema } from '../http/schemas.ts';
import { admissionExample, admissionView } from './admission-view.ts';
import { agendaBodySchema, agendaDetailSchema, agendaInsightSchema, agendaViewSchema } from './agenda-schema.ts';
import { agendaView, operationOfRow, submittedAgendaView, type View } from './agenda-view.ts';
import { checkAgenda } from './check-agenda.ts';

const tag = 'Agenda';
export const stateQuery = z.enum(['WAITING', 'EXECUTING', 'COMPLETE']).optional();

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

export function addAgendaRoutes(api: Api, parts: ApiParts): void {
  const { database } = parts;

  addEndpoint(
    api,
    parts,
    {
      method: 'post',
      path: '/agenda',
      tag,
      summary: 'Submit an Agenda',
      description:
        'Checks the whole graph and reports its faults (the first ten, and how many there are), chooses the Insight, and stores the Agenda with its progress in one transaction. Ids are made by the server. Runs as soon as its Insight admits it, unless `params` has the key `doNotRun`.',
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
    },
    async ({ c, access, cid, log, body, bodyText, unknownFields }) => {
      const { agenda, dependencies } = checkAgenda(body, unknownFields);
      mayActFor(access, agenda.customerId);
      const key = idempotencyKeyOf(c.req.header('idempotency-key'));
      const answer = await submitAgenda(database, {
        agenda,
        dependencies,
        actor: access.userId,
        cid,
        ...(key === undefined ? {} : { idempotency: { key, requestHash: hashOf('POST', c.req.path, bodyText) } }),
      });
      switch (answer.kind) {
        case 'refused':
          throw problemOf(answer);
        case 'replayed': {
          const view = await wholeAgenda(parts, access, answer.agendaId);
          return c.json(view, 201, { Location: `${c.req.path}/${answer.agendaId}`, 'Idempotent-Replayed': 'true' });
        }
        case 'created': {
          const { agendaId, insightId } = answer;
          if (answer.ready) parts.wake([insightId]);
          log.info(
            { agendaId, insightId, customerId: agenda.customerId, operations: agenda.operations.length },
            'agenda submitted',
          );
          return c.json(submittedAgendaView(agenda, { ...answer, cid }), 201, {
            Location: `${c.req.path}/${agendaId}`,
          });
        }
      }
    },
  );

  addEndpoint(
    api,
    parts,
    {
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
    },
    async ({ c, access, cid, body, unknownFields }) => {
      const { agenda, dependencies } = checkAgenda(body, unknownFields);
      mayActFor(access, agenda.customerId);
      const insight = await insightForAgenda(database, agenda);
      if (insight.kind === 'refused') throw problemOf(insight);
      const { resourcePoolId, insightId } = insight;
      const operations = agenda.operations.map(({ name }, index) => ({
        name,
        dependencies: (dependencies[index] ?? []).map((on) => agenda.operations[on]?.name),
      }));
      return c.json({ cid, valid: true, agendaInsight: { resourcePoolId, insightId }, operations });
    },
  );

  addEndpoint(
    api,
    parts,
    {
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
    },
    async ({ c, access, cid, query }) => {
      const { fields } = query;
      const whole = fields?.has('operations') === true;
      const page = await listAgendas(database, visibilityOf(access), query, whole);
      const operations = whole
        ? await readOperations(
            database,
            page.all.map((row) => row.id),
          )
        : [];
      const byAgenda = Map.groupBy(operations, (operation) => operation.agendaId);
      const all = page.all.map((row) =>
        onlyFields(agendaView(row, whole ? (byAgenda.get(row.id) ?? []).map(operationOfRow) : undefined), fields),
      );
      return c.json({ cid, count: page.count, all, nextCursor: page.nextCursor });
    },
  );

  addEndpoint(
    api,
    parts,
    {
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
    },
    async ({ c, access, id }) => {
      const view = await wholeAgenda(parts, access, id);
      const admission = await readAdmission(database, id, view.attempt as number);
      return c.json({ ...view, admission: admission && admissionView(admission) });
    },
  );

  addEndpoint(
    api,
    parts,
    {
      method: 'post',
      path: '/agenda/{id}/cancel',
      tag,
      summary: 'Cancel an Agenda',
      description:
        'One that waits ends at once; of one that runs, nothing more is started, what runs is stopped, and then it ends as `cancelled`.',
      scope: 'operate',
      answers: {
        202: {
          description: '`ended`: it waited and is over. `requested`: it runs and is being stopped.',
          schema: z.object({ cid: z.string(), id: z.string(), state: z.enum(['ended', 'requested']) }),
          example: { cid: agendaExample.cid, id: agendaExample.id, state: 'requested' },
        },
      },
      problems: [409],
    },
    async ({ c, access, cid, id }) => {
      if ((await readAgenda(database, visibilityOf(access), id)) === undefined) throw notFound('Agenda', id);
      const { state, wakeInsights } = await cancelAgenda(database, { agendaId: id, actor: access.userId, cid });
      if (state === 'over') throw conflict(`The Agenda ${quoted(id)} has ended already.`);
      if (wakeInsights.length > 0) parts.wake(wakeInsights);
      if (state === 'requested') parts.tellCancel?.(id);
      return c.json({ cid, id, state }, 202);
    },
  );
}

async function wholeAgenda({ database }: ApiParts, access: Access, id: string): Promise<View> {
  const row = await readAgenda(database, visibilityOf(access), id);
  if (row === undefined) throw notFound('Agenda', id);
  return agendaView(row, (await readOperations(database, [id])).map(operationOfRow));
}

function idempotencyKeyOf(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const bytes = Buffer.byteLength(header);
  if (bytes < 1 || bytes > maximumIdBytes)
    throw badParameter('Idempotency-Key', `Idempotency-Key must have 1 to ${maximumIdBytes} bytes, has ${bytes}.`);
  return header;
}

function hashOf(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('hex');
}

function problemOf({ code, message, faults }: Extract<SubmitAnswer, { kind: 'refused' }>): ProblemError {
  switch (code) {
    case 'noInsight':
    case 'idempotencyKeyReused':
    case 'idempotencyKeyRunning':
      return new ProblemError(
        code,
        message,
        code === 'idempotencyKeyRunning' ? { headers: { 'Retry-After': '1' } } : {},
      );
    case 'idempotentAgendaGone':
      return conflict(message);
    case 'customerNotFound':
    case 'defaultInsightDoesNotMatch':
    case 'peakTooLarge':
    case 'progressIdNotSupported':
      return invalid(faults);
  }
}
