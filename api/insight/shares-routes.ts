/** What customers of an Insight were entitled to and what they got, over HTTP. */
import { readLags, readShares } from '../../db/insight/shares.ts';
import { type Api, type ApiParts, addEndpoint, type CallOf, defineEndpoint } from '../http/endpoint.ts';
import { sharesExample, sharesSchema } from './shares-schema.ts';
import { seenShares, windowView } from './shares-view.ts';
import { visibleCustomers, visibleStanding } from './visible-standing.ts';

/** In seconds, as both windows are. */
const hour = 3_600;

const described = defineEndpoint({
  method: 'get',
  path: '/insight/{id}/shares',
  tag: 'Insight',
  summary: 'What its customers were entitled to and what they got',
  description:
    'Over the last hour and the last 24 hours, from the record of admissions. Who may only use the Insight sees the ' +
    'rows of its own customers.',
  scope: 'read',
  answers: { 200: { description: 'Shares', schema: sharesSchema, example: sharesExample } },
});

/** Adds the endpoint of the shares of an Insight's customers. */
export function addInsightSharesRoutes(api: Api, parts: ApiParts): void {
  addEndpoint(api, parts, described, read);
}

async function read({ c, access, cid, id }: CallOf<typeof described>, { database }: ApiParts): Promise<Response> {
  const standing = await visibleStanding(database, access, id);
  const visible = visibleCustomers(access, standing, undefined);
  const [hourOfAll, dayOfAll] = await Promise.all([
    readShares(database, standing, hour),
    readShares(database, standing, 24 * hour),
  ]);
  const ofHour = seenShares(hourOfAll, visible);
  const ofDay = seenShares(dayOfAll, visible);
  const shown = new Set([...ofHour.customers, ...ofDay.customers].map(({ customerId }) => customerId));
  const lags = standing.state === null ? new Map<string, number>() : await readLags(database, id, [...shown]);
  return c.json({
    ...{ cid, insightId: id, schedulingAlgorithm: standing.algorithm },
    hour: windowView(ofHour, lags, visible === undefined),
    day: windowView(ofDay, lags, visible === undefined),
  });
}
