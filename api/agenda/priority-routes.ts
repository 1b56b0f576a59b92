/** The priority of an Agenda that waits, over HTTP. */
import { z } from '@hono/zod-openapi';
import { quoted } from '../../agenda/cut.ts';
import { changePriority } from '../../db/agenda/change-priority.ts';
import { type Api, type ApiParts, addEndpoint, type CallOf, defineEndpoint } from '../http/endpoint.ts';
import { ProblemError } from '../http/problem.ts';
import { prioritySchema } from './agenda-schema.ts';
import { visibleAgenda } from './visible-agenda.ts';

const described = defineEndpoint({
  method: 'post',
  path: '/agenda/{id}/priority',
  tag: 'Agenda',
  summary: 'Change the priority of an Agenda that waits',
  description:
    'Counts from the next admission on. It moves the Agenda among those of its own customer only, where the ' +
    'algorithm of its Insight is `Priority`. One that runs or has ended is refused with 409.',
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
});

/** Adds the endpoint that changes the priority. */
export function addAgendaPriorityRoutes(api: Api, parts: ApiParts): void {
  addEndpoint(api, parts, described, change);
}

async function change(
  { c, access, cid, id, body: { priority } }: CallOf<typeof described>,
  { database, wake }: ApiParts,
): Promise<Response> {
  await visibleAgenda(database, access, id);
  const actor = access.userId;
  const { state, wakeInsights } = await changePriority(database, { agendaId: id, priority, actor, cid });
  if (state !== 'waits') {
    const now = state === 'running' ? 'runs already' : 'has ended';
    const detail = `The Agenda ${quoted(id)} ${now}: its priority has no effect any more.`;
    throw new ProblemError('notWaiting', detail);
  }
  if (wakeInsights.length > 0) wake(wakeInsights);
  return c.json({ cid, id, priority });
}
