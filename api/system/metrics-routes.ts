/** Metrics for Prometheus. They name customers and Insights, so they are for super users only. */
import { z } from '@hono/zod-openapi';
import { type Api, type ApiParts, addEndpoint, type CallOf, defineEndpoint } from '../http/endpoint.ts';
import { forbidden } from '../http/problem.ts';

const example = `# HELP pop_waiting_agendas Agendas that wait in an Insight.
# TYPE pop_waiting_agendas gauge
pop_waiting_agendas{insight="encode",title="Encodes"} 1201
`;

const described = defineEndpoint({
  method: 'get',
  path: '/metrics',
  tag: 'Health',
  summary: 'Metrics in the text format of Prometheus',
  description:
    'For a key of a super user: give it to the collector as bearer token. What is about Insights and customers is ' +
    'the same from every process; requests and process metrics are of the process that answers.',
  scope: 'read',
  answers: {
    200: { description: 'Metrics', schema: z.string(), contentType: 'text/plain; version=0.0.4', example },
  },
});

/** Where the numbers of `/metrics` come from. */
interface Metrics {
  metrics(): Promise<string>;
  readonly contentType: string;
}

/** Adds `/metrics`, which tells what `registry` holds. */
export function addMetricsRoutes(api: Api, parts: ApiParts, registry: Metrics): void {
  addEndpoint(api, parts, described, (call) => read(call, registry));
}

async function read({ c, access }: CallOf<typeof described>, registry: Metrics): Promise<Response> {
  if (!access.superUser) throw forbidden('Metrics are of all customers: this needs a key of a super user.');
  return c.body(await registry.metrics(), 200, { 'Content-Type': registry.contentType });
}
