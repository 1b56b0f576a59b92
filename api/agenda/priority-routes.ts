/** The priority of an Agenda that waits. */
import { z } from '@hono/zod-openapi';
import { quoted } from '../../agenda/cut.ts';
import { changePriority } from '../../db/agenda/change-priority.ts';
import { readAgenda } from '../../db/agenda/read-agenda.ts';
import { visibilityOf } from '../auth/authorize.ts';
import { type Api, type ApiParts, addEndpoint } from '../http/endpoint.ts';
import { notFound, ProblemError } from '../http/problem.ts';
import { prioritySchema } from './agenda-schema.ts';

export function addAgendaPriorityRoutes(api: Api, parts: ApiParts): void {
  const { database } = parts;

  addEndpoint(
    api,
    parts,
    {
      method: 'post',
      path: '/agenda/{id}/priority',
      tag: 'Agenda',
      summary: 'Change the priority of an Agenda that waits',
      description:
        'Counts from the next admission on. It moves the Agenda among those of its own customer only, where the algorithm of its Insight is `Priority`. One that runs or has ended is refused with 409.',
      scope: 'operate',
      body: { schema: prioritySchema, example: { priority: 10 } },
      answers: {
        200: {
          description: 'It waits with this priority',
          schema: z.object({ cid: z.string(), id: z.string(), priority: z.number().int() }),
          example: { cid: 'nightly-2026-07-01', id: '0197f3c2-6d1e-7c4a-9b1f-2f6f1f0a7a11', priority: 10 },
        },
      },
      problems: [409],
    },
    async ({ c, access, cid, id, body: { priority } }) => {
      if ((await readAgenda(database, visibilityOf(access), id)) === undefined) throw notFound('Agenda', id);
      const { state, wakeInsights } = await changePriority(database, {
        agendaId: id,
        priority,
        actor: access.userId,
        cid,
      });
      if (state !== 'waits') {
        const now = state === 'running' ? 'runs already' : 'has ended';
        throw new ProblemError('notWaiting', `The Agenda ${quoted(id)} ${now}: its priority has no effect any more.`);
      }
      if (wakeInsights.length > 0) parts.wake(wakeInsights);
      return c.json({ cid, id, priority });
    },
  );
}
