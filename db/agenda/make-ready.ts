/**
 * Puts an Agenda in the waiting list: the row that may be admitted, and the settlement that tells admission of it. Both
 * are paragraphs of one statement, so that whoever makes an Agenda ready does so in the same step in which it decides
 * to:
 *
 *   with at as materialized (select clock_timestamp() as now),
 *   chosen as (… the Insight: id, resource_pool_id …),
 *   ${makeReady(sql, entry)},
 *   ${settleWaiting(sql)}
 *
 * The Insight is to be woken after the commit.
 */
import type { Statements } from '../connect.ts';

/** What becomes ready. */
export interface ReadyEntry {
  readonly agendaId: string;
  readonly customerId: string;
  readonly attempt: number;
  readonly priority: number;
  /** As `keyOfNeed` writes it. */
  readonly need: string;
  readonly agendaType: string;
  readonly expectedSeconds: number | null;
  /** It is due then, as ISO 8601; null or past = at once. */
  readonly notBefore: string | null;
}

/** The row in the waiting list; without an Insight in `chosen`, or when it is not `isReady`, nothing is added. */
export const makeReady = (sql: Statements, entry: ReadyEntry, isReady = true) => sql`
  waiting as (
    insert into ready_agenda (
      agenda_id,
      insight_id,
      resource_pool_id,
      customer_id,
      attempt,
      ready_time,
      moved_time,
      is_due,
      priority,
      need,
      agenda_type,
      expected_seconds)
    select
      ${entry.agendaId},
      chosen.id,
      chosen.resource_pool_id,
      ${entry.customerId},
      ${entry.attempt}::int,
      due.time,
      due.time,
      due.time = at.now,
      ${entry.priority}::int,
      ${entry.need},
      ${entry.agendaType},
      ${entry.expectedSeconds}::float8
    from chosen, at, lateral (select greatest(at.now, ${entry.notBefore}::timestamptz) as time) due
    where ${isReady}::boolean
    returning insight_id, customer_id, promoted, need, priority)`;

/** Tells admission of what `makeReady` put in the list. */
export const settleWaiting = (sql: Statements) => sql`
  settled as (
    insert into settlement (insight_id, customer_id, kind, promoted, need, priority)
    select insight_id, customer_id, 'ready', promoted, need, priority from waiting)`;
