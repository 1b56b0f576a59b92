/** What an Agenda left behind: the output of its Operations and who did what with it. */
import { z } from '@hono/zod-openapi';
import { hasOperation, readAgenda, readAudit, readLogs } from '../../db/agenda/read-agenda.ts';
import { visibilityOf } from '../auth/authorize.ts';
import { type Api, type ApiParts, addEndpoint, type Call } from '../http/endpoint.ts';
import { readNumberCursor, writeNumberCursor } from '../http/number-cursor.ts';
import { notFound } from '../http/problem.ts';
import { epochMillisecondsSchema, listAnswerSchema, listQuerySchema } from '../http/schemas.ts';

const tag = 'Agenda';
/** A page of output ends before the launch that would bring it above this; it has one at least. */
const mostOutputBytes = 16 * 1024 * 1024;

const pageQuery = listQuerySchema.pick({ limit: true, cursor: true });

const logView = z
  .object({
    operation: z.string(),
    attempt: z.number().int().openapi({ description: 'Of the Agenda.' }),
    launch: z.number().int(),
    output: z.string().openapi({ description: 'What the handler wrote, cut when it was too much.' }),
    totalBytes: z
      .number()
      .int()
      .openapi({ description: 'What it wrote in all; more than `output` holds when that was cut.' }),
    addedTime: epochMillisecondsSchema,
  })
  .openapi('OperationLog');

const auditView = z
  .object({
    time: epochMillisecondsSchema,
    customerId: z.string(),
    actor: z.string().openapi({ description: "A key's prefix, `system`, or a pool." }),
    action: z.string().openapi({ example: 'agenda.submit' }),
    objectId: z.string(),
    cid: z.string(),
    before: z.unknown().optional(),
    after: z.unknown().optional(),
  })
  .openapi('AuditEntry');

export function addAgendaTrailRoutes(api: Api, parts: ApiParts): void {
  const { database } = parts;
  const mustSee = async ({ access, id }: Pick<Call<unknown, unknown>, 'access' | 'id'>): Promise<void> => {
    if ((await readAgenda(database, visibilityOf(access), id)) === undefined) throw notFound('Agenda', id);
  };

  addEndpoint(
    api,
    parts,
    {
      method: 'get',
      path: '/agenda/{id}/logs',
      tag,
      summary: "Read the output of an Agenda's Operations",
      description: 'Per launch that has ended, in the order of the Operations. Long output takes several pages.',
      scope: 'read',
      query: pageQuery.extend({
        operation: z
          .string()
          .max(2_000)
          .optional()
          .openapi({ description: 'Of this Operation only.', example: 'hello' }),
        attempt: z
          .string()
          .regex(/^[1-9]\d{0,8}$/)
          .transform(Number)
          .optional()
          .openapi({ type: 'integer', description: 'Of this attempt of the Agenda only.' }),
      }),
      answers: {
        200: {
          description: 'Output per launch',
          schema: listAnswerSchema(logView),
          example: {
            cid: 'nightly-2026-07-01',
            count: 1,
            all: [
              {
                operation: 'hello',
                attempt: 1,
                launch: 1,
                output: 'hello\n',
                totalBytes: 6,
                addedTime: 1_782_864_003_000,
              },
            ],
          },
        },
      },
    },
    async (call) => {
      const { c, cid, id, query } = call;
      await mustSee(call);
      const { operation, attempt, limit = 100 } = query;
      const [index = -1, ofAttempt = 0, launch = 0] =
        query.cursor === undefined ? [] : readNumberCursor(query.cursor, 3);
      const after = { index, attempt: ofAttempt, launch };
      const rows = await readLogs(database, id, { operation, attempt, after, limit, bytes: mostOutputBytes });
      if (rows.length === 0 && operation !== undefined && !(await hasOperation(database, id, operation))) {
        throw notFound('Operation', operation);
      }
      const all = rows.map(({ index: _, left: __, ...row }) => row);
      const last = rows.at(-1);
      const more = last !== undefined && last.left > rows.length;
      return c.json({
        cid,
        count: all.length,
        all,
        nextCursor: more ? writeNumberCursor(last.index, last.attempt, last.launch) : undefined,
      });
    },
  );

  addEndpoint(
    api,
    parts,
    {
      method: 'get',
      path: '/agenda/{id}/audit',
      tag,
      summary: 'Who did what with an Agenda',
      description: 'Oldest first.',
      scope: 'read',
      query: pageQuery,
      answers: {
        200: {
          description: 'The audit trail',
          schema: listAnswerSchema(auditView),
          example: {
            cid: 'nightly-2026-07-01',
            count: 1,
            all: [
              {
                time: 1_782_864_000_000,
                customerId: 'acme',
                actor: 'Zk3Qm1aTf0Xw',
                action: 'agenda.submit',
                objectId: '0197f3c2-6d1e-7c4a-9b1f-2f6f1f0a7a11',
                cid: 'nightly-2026-07-01',
                after: { insightId: 'encode', operations: 1 },
              },
            ],
          },
        },
      },
    },
    async (call) => {
      const { c, cid, id, query } = call;
      await mustSee(call);
      const { limit = 100 } = query;
      const [after = 0] = query.cursor === undefined ? [] : readNumberCursor(query.cursor, 1);
      const rows = await readAudit(database, id, { after, limit: limit + 1 });
      const all = rows.slice(0, limit).map(({ number: _, time, before, after: made, ...row }) => ({
        time: time.getTime(),
        ...row,
        before: before ?? undefined,
        after: made ?? undefined,
      }));
      const last = rows.length > limit ? rows[limit - 1] : undefined;
      return c.json({ cid, count: all.length, all, nextCursor: last && writeNumberCursor(last.number) });
    },
  );
}
