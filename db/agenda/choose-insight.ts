/** Which Insight an Agenda goes to, from what the record says of its customer's pool. */
import { quoted } from '../../agenda/cut.ts';
import type { Agenda, Fault, Peak } from '../../agenda/types.ts';
import { chooseInsight, type MappedInsight } from '../../scheduling/insight-mapping.ts';
import { resourceNames } from '../../scheduling/need.ts';
import type { Database, Sql } from '../connect.ts';
import { type Refused, refused } from './submit-answer.ts';

/** The Insight with its pool, or why there is none for the Agenda. */
export type InsightForAgenda =
  | { readonly kind: 'chosen'; readonly insightId: string; readonly resourcePoolId: string }
  | Refused;

/** Tells which Insight this Agenda would go to; stores nothing. */
export async function insightForAgenda(database: Database, agenda: Agenda): Promise<InsightForAgenda> {
  return pickInsight(agenda, await readCandidates(database.$client, agenda.customerId));
}

/** A customer's pool with its Insights. */
export interface CandidateRow {
  readonly pool: string | null;
  readonly capacity: Peak | null;
  readonly insights: readonly (MappedInsight & { readonly maximum: number | null })[];
}

/** Reads the customer's pool and that pool's Insights; no row: there is no such customer. */
export function readCandidates(sql: Sql, customerId: string): Promise<readonly CandidateRow[]> {
  return sql<CandidateRow[]>`
    /* submitAgenda: Insights */
    select
      c.resource_pool_id as pool,
      (select p.capacity from resource_pool p where p.id = c.resource_pool_id) as capacity,
      coalesce(
        (select json_agg(json_build_object(
            'id', i.id,
            'title', i.title,
            'customerId', i.customer_id,
            'mappers', i.mappers,
            'isGlobal', i.is_global,
            'allowedCustomerIds', i.allowed_customer_ids,
            'order', i."order",
            'maximum', i.maximum,
            'addedTime', extract(epoch from i.added_time) * 1000))
          from insight i where i.resource_pool_id = c.resource_pool_id),
        '[]') as insights
    from customer c where c.id = ${customerId}`.execute();
}

/** Picks among what was read. */
export function pickInsight(agenda: Agenda, rows: readonly CandidateRow[]): InsightForAgenda {
  const row = rows[0];
  if (row === undefined)
    return refused('customerNotFound', `Customer not found for customerId ${agenda.customerId}`, '/customerId');
  const { pool, capacity, insights } = row;
  const choice = chooseInsight({ agenda, customerId: agenda.customerId, insights });
  if (choice.kind === 'chosen' && pool !== null) {
    const { insightId } = choice;
    const maximum = insights.find(({ id }) => id === insightId)?.maximum ?? undefined;
    const faults = [
      ...peakFaults(agenda.peak, capacity ?? {}, `the ResourcePool ${quoted(pool)} has`),
      ...peakFaults(
        agenda.peak,
        maximum === undefined ? {} : { slots: maximum },
        `the Insight ${quoted(insightId)} may hold`,
      ),
    ];
    if (faults.length === 0) return { kind: 'chosen', insightId, resourcePoolId: pool };
    return { kind: 'refused', code: 'peakTooLarge', message: faults.map(({ message }) => message).join(' '), faults };
  }
  if (choice.kind !== 'defaultInsightDoesNotMatch')
    return refused('noInsight', 'No available insights for processing agenda');
  const named = quoted(choice.defaultInsight);
  const message = `The Insight ${named} that params.defaultInsight names does not match this Agenda.`;
  return refused('defaultInsightDoesNotMatch', message, '/params/defaultInsight');
}

/** What could never be admitted. A limit that is lowered later makes it wait, and is told by its explanation. */
function peakFaults(peak: Peak | undefined, limits: Peak, who: string): Fault[] {
  return resourceNames.flatMap((resource) => {
    const [amount = 0, limit = Number.POSITIVE_INFINITY] = [peak?.[resource], limits[resource]];
    if (amount <= limit) return [];
    const message = `peak.${resource} is ${amount}; ${who} ${limit} in all.`;
    return [{ pointer: `/peak/${resource}`, code: 'peakTooLarge', message }];
  });
}
