/**
 * Submission. The Insight is chosen from what the same transaction reads; then all is written by one statement. Should
 * the Insight vanish before the write, or the customer move to another pool (the write locks their rows against both),
 * the choice is made again.
 */
import type { Database, Statements } from '../connect.ts';
import { pickInsight, readCandidates } from './choose-insight.ts';
import { earlierAnswer } from './idempotency.ts';
import { reusedProgress, type SubmitAnswer } from './submit-answer.ts';
import { type Submission, writeAgenda } from './write-agenda.ts';

/** Writes a checked Agenda with its progress, its waiting entry, its idempotency record and its audit entry. */
export async function submitAgenda(database: Database, submission: Submission): Promise<SubmitAnswer> {
  const { agenda, idempotency } = submission;
  if (agenda.progressId !== undefined) return reusedProgress;
  return (await database.$client.begin(async (sql: Statements): Promise<SubmitAnswer> => {
    // Not awaited one by one: the statements travel together and run in this order.
    const [earlier, candidates] = await Promise.all([
      earlierAnswer(sql, agenda.customerId, idempotency),
      readCandidates(sql, agenda),
    ]);
    if (earlier !== undefined) return earlier;
    let insight = pickInsight(submission, candidates);
    while (insight.kind === 'chosen') {
      const written = await writeAgenda(sql, submission, insight);
      if (written !== undefined) return written;
      insight = pickInsight(submission, await readCandidates(sql, agenda));
    }
    return insight;
  })) as SubmitAnswer;
}
