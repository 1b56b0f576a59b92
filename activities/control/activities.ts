/** The control activities as the workflows call them. */
import { admitBatch } from '../../db/admission/admit-batch.ts';
import { clearWake } from '../../db/admission/wake.ts';
import { cancelAgenda } from '../../db/agenda/cancel-agenda.ts';
import { finishAgenda } from '../../db/agenda/finish-agenda.ts';
import { settleOperations } from '../../db/agenda/settle-operations.ts';
import { countUnstarted } from '../../db/agenda/start-outbox.ts';
import { readStandingSummary } from '../../db/insight/standing-summary.ts';
import type { ControlActivities } from '../../workflows/activities.ts';
import type { QueueView } from '../../workflows/queue-view.ts';
import { loadPlan } from './load-plan.ts';
import type { ControlParts } from './parts.ts';
import { runResident } from './run-resident.ts';
import { startAdmitted, startAllAdmitted } from './start-admitted.ts';

export function controlActivities(parts: ControlParts): ControlActivities {
  const { database, log } = parts;
  return {
    async admitBatch({ insightId, batchId, view: wantsView = false }) {
      await clearWake(database, insightId);
      const begun = performance.now();
      const {
        admitted,
        more,
        againInSeconds,
        repeated = false,
        wake = [],
        reasons = {},
      } = await admitBatch(database, { insightId, batchId });
      const counted = repeated ? { admitted: 0, reasons: {} } : { admitted, reasons };
      parts.metrics?.batch(insightId, { seconds: (performance.now() - begun) / 1000, ...counted });
      parts.wake(wake);
      if (counted.admitted > 0) log.debug({ insightId, batchId, admitted }, 'batch admitted');
      const [unstarted, view] = await Promise.all([
        countUnstarted(database, insightId),
        wantsView ? viewForPeople(parts, insightId) : undefined,
      ]);
      return {
        ...{ admitted, more, unstarted },
        ...(againInSeconds === undefined ? {} : { againInSeconds }),
        ...(view === undefined ? {} : { view }),
      };
    },
    startAdmitted: (input) => startAdmitted(parts, input),
    startAllAdmitted: (input) => startAllAdmitted(parts, input),
    loadPlan: (input) => loadPlan(parts, input),
    settleOperations: ({ agendaId, attempt, operations }) =>
      settleOperations(database, { agendaId, attempt }, operations),
    runResident: (input) => runResident(parts, input),
    async requestCancel({ agendaId }) {
      await cancelAgenda(database, { agendaId, actor: 'temporal' });
    },
    async finishAgenda({ agendaId, attempt, runId, outcome, message }) {
      const answer = await finishAgenda(
        database,
        { agendaId, attempt, runId },
        { outcome, ...(message === undefined ? {} : { message }) },
      );
      if (answer.line !== undefined) log.info({ agendaId, attempt, outcome, ...answer.line }, 'agenda ended');
      parts.wake(answer.wakeInsights);
      return { outcome: answer.outcome };
    },
  };
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
