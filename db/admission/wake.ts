/**
 * The wake flag of an Insight. Whoever flips it from false to true signals the admission workflow; everybody else's wake
 * is covered by that signal. It is cleared in a committed statement of its own before a batch reads, so a row that comes
 * after the read finds it false again.
 */
import type { Database } from '../connect.ts';

/** Flips the flags that were false and returns those Insights: they are the caller's to signal. */
export async function flipWake(database: Database, insightIds: readonly string[]): Promise<string[]> {
  if (insightIds.length === 0) return [];
  const rows = await database.$client<{ insight_id: string }[]>`
    update insight_wake set wake_pending = true
    where insight_id in (
      -- In one order for everybody: two that flip the same flags never wait for each other.
      select insight_id from insight_wake where insight_id = any(${insightIds as string[]}) and not wake_pending order by insight_id for update)
    returning insight_id`;
  return rows.map((row) => row.insight_id);
}

/** To be called, and committed, before a batch reads what waits. */
export async function clearWake(database: Database, insightId: string): Promise<void> {
  await database.$client`update insight_wake set wake_pending = false where insight_id = ${insightId} and wake_pending`;
}
