/**
 * The wake flag of an Insight. Whoever flips it from false to true signals the admission workflow; everybody else's
 * wake is covered by that signal. It is cleared in a committed statement of its own before a batch reads, so a row that
 * comes after the read finds it false again.
 *
 * Whom to wake is asked after the commit that made room. An Agenda that became ready before that commit may have seen a
 * full pool; one that becomes ready later sends its own wake. Settings ask within their transaction; the sweep
 * finds what came in between.
 */
import { sql as drizzleSql } from 'drizzle-orm';
import { type Amounts, resourceNames } from '../../scheduling/need.ts';
import type { Database, Sql, Statements, Writer } from '../connect.ts';
import { few } from '../few.ts';
import { amountOfNeed } from './need-amount.ts';

/** Flips the flags that were false and returns those Insights: they are the caller's to signal. */
export async function flipWake(database: Database, insightIds: readonly string[]): Promise<string[]> {
  if (insightIds.length === 0) return [];
  const sql = database.$client;
  const given = sql`unnest(${insightIds as string[]}::text[]) as given(insight_id)`;
  const rows = await sql<{ insightId: string }[]>`
    /* wake: flip */
    update insight_wake set wake_pending = true
    where insight_id in (
      -- In one order for everybody: two that flip the same flags never wait for each other.
      select w.insight_id from insight_wake w join ${few(sql, given, insightIds.length)} i using (insight_id)
      where not w.wake_pending
      order by w.insight_id for update of w)
    returning insight_id as "insightId"`;
  return rows.map((row) => row.insightId);
}

/** Clears the flag; to be called, and committed, before a batch reads what waits. */
export async function clearWake(database: Database, insightId: string): Promise<void> {
  await database.$client`
    /* wake: clear */
    update insight_wake set wake_pending = false where insight_id = ${insightId} and wake_pending`;
}

/** Insights in which an Agenda waits: of a pool, or among these. Asked at every start and end, so it is prepared. */
export async function insightsThatWait(
  sql: Sql,
  among: { readonly resourcePoolId: string } | { readonly insightIds: readonly string[] },
): Promise<string[]> {
  const asked =
    'resourcePoolId' in among
      ? sql`(select id from insight where resource_pool_id = ${among.resourcePoolId})`
      : sql`(select id from unnest(${among.insightIds as string[]}::text[]) given(id))`;
  const rows = await sql<{ id: string }[]>`
    /* wake: that wait */
    select i.id from ${asked} i
    where exists (select 1 from ready_agenda w where w.insight_id = i.id)`;
  return rows.map((row) => row.id);
}

/** The same of a pool, within the transaction that changes settings. */
export async function insightsThatWaitNow(writer: Pick<Writer, 'execute'>, resourcePoolId: string): Promise<string[]> {
  const rows = await writer.execute<{ id: string }>(drizzleSql`
    /* wake: that wait now */
    select i.id from insight i
    where i.resource_pool_id = ${resourcePoolId} and exists (select 1 from ready_agenda w where w.insight_id = i.id)`);
  return rows.map((row) => row.id);
}

/** Other Insights of the pool with an Agenda that may go and fits what is left, as admission has written it. */
export async function insightsThatFit(
  sql: Statements,
  { insightId, resourcePoolId }: { readonly insightId: string; readonly resourcePoolId: string },
  left: Amounts,
): Promise<string[]> {
  const fitting = resourceNames
    .filter((name) => Number.isFinite(left[name]))
    .map((name) => {
      const amount = amountOfNeed(sql, sql`q.need`, name);
      return sql`and (${amount} = 0 or ${amount} <= ${left[name]}::float8)`;
    });
  const rows = await sql<{ id: string }[]>`
    /* wake: that fit */
    select id from insight i where i.resource_pool_id = ${resourcePoolId} and i.id <> ${insightId}
      and exists (select from waiting_queue q where q.insight_id = i.id and q.active ${fitting})`;
  return rows.map(({ id }) => id);
}
