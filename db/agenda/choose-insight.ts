/** Which Insight an Agenda goes to, from what the record says of its customer's pool. */
import { quoted } from '../../agenda/cut.ts';
import type { Agenda, Peak } from '../../agenda/types.ts';
import { chooseInsight, type MappedInsight } from '../../scheduling/insight-mapping.ts';
import type { Database, Sql } from '../connect.ts';
import { type ToldRegistry, toldRegistries } from '../pool/told-types.ts';
import { type Demand, type Demanding, demandOf } from './agenda-demand.ts';
import { type Refused, refused } from './submit-answer.ts';

/** The Insight with its pool, or why there is none for the Agenda. */
export type InsightForAgenda =
  | ({ readonly kind: 'chosen'; readonly insightId: string; readonly resourcePoolId: string } & Omit<Demand, 'faults'>)
  | Refused;

/** Tells which Insight this Agenda would go to; stores nothing. */
export async function insightForAgenda(database: Database, given: Demanding): Promise<InsightForAgenda> {
  return pickInsight(given, await readCandidates(database.$client, given.agenda));
}

/** A customer's pool with its Insights. */
export interface CandidateRow {
  readonly pool: string | null;
  readonly capacity: Peak | null;
  /** What workers of the pool told of the Agenda's types; null when none told anything. */
  readonly registries: readonly ToldRegistry[] | null;
  readonly insights: readonly (MappedInsight & { readonly maximum: number | null })[];
}

/**
 * Reads the customer's pool, that pool's Insights and what it serves of the Agenda's types; no row: there is no such
 * customer.
 */
export function readCandidates(sql: Sql, { customerId, operations }: Agenda): Promise<readonly CandidateRow[]> {
  const types = [...new Set(operations.map(({ type }) => type))];
  return sql<CandidateRow[]>`
    /* submitAgenda: Insights */
    select
      c.resource_pool_id as pool,
      (select p.capacity from resource_pool p where p.id = c.resource_pool_id) as capacity,
      ${toldRegistries(sql, sql`c.resource_pool_id`, types)} as registries,
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
export function pickInsight(given: Demanding, rows: readonly CandidateRow[]): InsightForAgenda {
  const { agenda } = given;
  const row = rows[0];
  if (row === undefined)
    return refused('customerNotFound', `Customer not found for customerId ${agenda.customerId}`, '/customerId');
  const { pool, capacity, insights, registries } = row;
  const choice = chooseInsight({ agenda, customerId: agenda.customerId, insights });
  if (choice.kind === 'chosen' && pool !== null) {
    const { insightId } = choice;
    const maximum = insights.find(({ id }) => id === insightId)?.maximum ?? undefined;
    const { faults, ...demand } = demandOf(given, pool, registries, [
      { amounts: capacity ?? {}, who: `the ResourcePool ${quoted(pool)} has` },
      { amounts: maximum === undefined ? {} : { slots: maximum }, who: `the Insight ${quoted(insightId)} may hold` },
    ]);
    if (faults.length === 0) return { kind: 'chosen', insightId, resourcePoolId: pool, ...demand };
    const message = faults.map((fault) => fault.message).join(' ');
    return { kind: 'refused', code: 'demandRefused', message, faults, resourcePoolId: pool };
  }
  if (choice.kind !== 'defaultInsightDoesNotMatch')
    return refused('noInsight', 'No available insights for processing agenda');
  const named = quoted(choice.defaultInsight);
  const message = `The Insight ${named} that params.defaultInsight names does not match this Agenda.`;
  return refused('defaultInsightDoesNotMatch', message, '/params/defaultInsight');
}
