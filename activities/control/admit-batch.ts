/**
 * One turn of an Insight's admission, as its workflow asks for it:
 *
 *   clear the wake ─▶ decide (db/admission/admit-batch.ts) ─▶ tell metrics, log and other Insights
 *                  ─▶ count what is still to be started, and read the queue for people when asked
 *
 * A repeat after a crash gets the stored decision; what is told and read around it may be told and read again.
 */
import { admitBatch as decideBatch } from '../../db/admission/admit-batch.ts';
import { clearWake } from '../../db/admission/wake.ts';
import { countUnstarted } from '../../db/agenda/start-outbox.ts';
import { readStandingSummary } from '../../db/insight/standing-summary.ts';
import type { ControlActivities } from '../../workflows/activities.ts';
import type { QueueView } from '../../workflows/queue-view.ts';
import type { ControlParts } from './parts.ts';

/** The activity `admitBatch`. */
export async function admitBatch(
  parts: ControlParts,
  { insightId, batchId, view: wantsView = false }: Parameters<ControlActivities['admitBatch']>[0],
): ReturnType<ControlActivities['admitBatch']> {
  // Committed before the batch reads: an Agenda that comes after that finds the flag false and wakes again.
  await clearWake(parts.database, insightId);
  const { admitted, more, againInSeconds } = await decide(parts, { insightId, batchId });
  const [unstarted, view] = await Promise.all([
    countUnstarted(parts.database, insightId),
    wantsView ? viewForPeople(parts, insightId) : undefined,
  ]);
  return {
    admitted,
    more,
    unstarted,
    ...(againInSeconds === undefined ? {} : { againInSeconds }),
    ...(view === undefined ? {} : { view }),
  };
}

/** Decides, and tells who is to know of it. */
async function decide({ database, metrics, wake, log }: ControlParts, batch: { insightId: string; batchId: string }) {
  const begun = performance.now();
  const answer = await decideBatch(database, batch);
  const { admitted, reasons = {} } = answer;
  // A repeat was counted when it was decided.
  const counted = answer.repeated === true ? { admitted: 0, reasons: {} } : { admitted, reasons };
  metrics?.batch(batch.insightId, { seconds: (performance.now() - begun) / 1000, ...counted });
  wake(answer.wake ?? []);
  if (counted.admitted > 0) log.debug({ ...batch, admitted }, 'batch admitted');
  return answer;
}

/** Admission goes on when there is nothing to show. */
async function viewForPeople({ database, log }: ControlParts, insightId: string): Promise<QueueView | undefined> {
  try {
    return await readStandingSummary(database, insightId);
  } catch (error) {
    log.warn({ err: error, insightId }, 'the queue could not be read for the Web UI');
    return undefined;
  }
}
