/**
 * What happened since the last batch of an Insight, told to its admission: rows written in the transaction in which it
 * happened. After its commit the Insights are woken. Writing one waits for nobody, and only admission takes them away.
 *
 *   ready    an Agenda waits, or waits with another priority (make-ready.ts, change-priority.ts)
 *   gone     one that waited does not any more (cancel-agenda.ts)
 *   ended    one that ran has (finish-agenda.ts)
 *   changed  settings of the customer; without a customer: of the Insight or its pool (insight.ts, customer.ts,
 *            resource-pool.ts)
 */
import type { Statements, Writer } from '../connect.ts';
import { settlement } from '../schema.ts';

/** A waiting Agenda as admission counts it. */
export interface WaitingEntry {
  readonly insightId: string;
  readonly customerId: string;
  readonly promoted: number;
  readonly need: string;
  readonly priority: number;
}

/** Tells that an Agenda waits with this priority now. */
export const settleReady = (sql: Statements, { insightId, customerId, promoted, need, priority }: WaitingEntry) => sql`
  /* settle: ready */
  insert into settlement (insight_id, customer_id, kind, promoted, need, priority)
  values (${insightId}, ${customerId}, 'ready', ${promoted}, ${need}, ${priority})`;

/** Tells that an Agenda waits no more, and was not admitted. */
export const settleGone = (
  sql: Statements,
  { insightId, customerId, promoted, need, priority, agendaId }: WaitingEntry & { readonly agendaId: string },
) => sql`
  /* settle: gone */
  insert into settlement (insight_id, customer_id, kind, promoted, need, priority, agenda_id)
  values (${insightId}, ${customerId}, 'gone', ${promoted}, ${need}, ${priority}, ${agendaId})`;

/**
 * Tells that an attempt has ended that held capacity. Where its customer is limited over all Insights, those in which
 * it waits are told, too.
 */
export const settleEnded = (
  sql: Statements,
  ended: {
    readonly insightId: string;
    readonly resourcePoolId: string;
    readonly customerId: string;
    readonly agendaId: string;
    readonly attempt: number;
  },
) => sql`
  /* settle: ended */
  insert into settlement (insight_id, customer_id, kind, agenda_id, attempt)
  select ${ended.insightId}, ${ended.customerId}, 'ended', ${ended.agendaId}, ${ended.attempt}::int
  union all
  select i.id, c.id, 'changed', null, null
  from customer c
    join insight i on i.resource_pool_id = ${ended.resourcePoolId}
    -- With a limit it stays one look per Insight, however many of one customer wait.
    cross join lateral (
      select from ready_agenda w where w.insight_id = i.id and w.customer_id = c.id and w.is_due limit 1) waits
  where c.id = ${ended.customerId} and c.maximum_running is not null and i.id <> ${ended.insightId}`;

/** Tells that settings changed: of these customers, or without any of the Insights themselves or their pool. */
export async function settleChanged(
  writer: Writer,
  insightIds: readonly string[],
  customerIds: readonly (string | null)[] = [null],
): Promise<void> {
  const rows = insightIds.flatMap((insightId) =>
    customerIds.map((customerId) => ({ insightId, customerId, kind: 'changed' as const })),
  );
  // So many at once as parameters go into one statement.
  for (let from = 0; from < rows.length; from += 1_000)
    await writer.insert(settlement).values(rows.slice(from, from + 1_000));
}

/** Whether any of these settings is another one now. */
export function differ<Row>(before: Row, after: Row, fields: readonly (keyof Row)[]): boolean {
  return fields.some((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]));
}
