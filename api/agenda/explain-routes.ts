/** Why is my Agenda waiting, over HTTP. */
import { explainAgenda } from '../../db/insight/explain.ts';
import { type Api, type ApiParts, addEndpoint, type CallOf, defineEndpoint } from '../http/endpoint.ts';
import { notFound } from '../http/problem.ts';
import { explanationExample, explanationSchema } from './explanation-schema.ts';
import { explanationView } from './explanation-view.ts';
import { visibleAgenda } from './visible-agenda.ts';

const described = defineEndpoint({
  method: 'get',
  path: '/agenda/{id}/explain',
  tag: 'Agenda',
  summary: 'Why an Agenda waits',
  description:
    'What stands in its way first, who goes before it, how its customer stands and when it may start. Of Agendas and ' +
    'customers that the caller may not see there are counts only.',
  scope: 'read',
  answers: { 200: { description: 'The explanation', schema: explanationSchema, example: explanationExample } },
});

/** Adds the endpoint that explains. */
export function addExplainRoutes(api: Api, parts: ApiParts): void {
  addEndpoint(api, parts, described, explain);
}

async function explain(
  { c, access, id }: CallOf<typeof described>,
  { database, countPoolWorkers }: ApiParts,
): Promise<Response> {
  await visibleAgenda(database, access, id);
  const explanation = await explainAgenda({ database, countPoolWorkers }, id);
  if (explanation === undefined) throw notFound('Agenda', id);
  return c.json(explanationView(explanation, access));
}
