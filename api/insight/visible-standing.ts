/** Which Insights, and which customers of them, a caller may ask about. */
import type { Database } from '../../db/connect.ts';
import { type InsightStanding, readStanding } from '../../db/insight/insight-standing.ts';
import { readInsight } from '../../db/settings/insight.ts';
import { type Access, mayRead, ownedBy } from '../auth/authorize.ts';
import { notFound } from '../http/problem.ts';

/** How an Insight that the caller may see stands. @throws ProblemError 404 */
export async function visibleStanding(database: Database, access: Access, id: string): Promise<InsightStanding> {
  mayRead(access, 'Insight', id, await readInsight(database, id));
  const standing = await readStanding(database, id);
  if (standing === undefined) throw notFound('Insight', id);
  return standing;
}

/**
 * The customers whose rows the caller may see, kept to the one that was asked for, if any. Undefined means all of them,
 * which is for who owns the Insight; others see the customers that they act for.
 */
export function visibleCustomers(
  access: Access,
  insight: { customerId: string },
  asked: string | undefined,
): readonly string[] | undefined {
  if (ownedBy(access, insight.customerId)) return asked === undefined ? undefined : [asked];
  return access.accounts.filter((account) => asked === undefined || account === asked);
}
