/** The control activities as the workflows call them. */
import { admitBatch, countAdmitted } from '../../db/admission.ts';
import { finishAgenda, settleOperations } from '../../db/agenda-run.ts';
import { cancelAgenda } from '../../db/cancel-agenda.ts';
import { clearWake } from '../../db/wake.ts';
import type { ControlActivities } from '../../workflows/messages.ts';
import { loadPlan } from './load-plan.ts';
import type { ControlParts } from './parts.ts';
import { runResident } from './run-resident.ts';
import { startAdmitted, startAllAdmitted } from './start-admitted.ts';

export function controlActivities(parts: ControlParts): ControlActivities {
  const { database, log } = parts;
  return {
    async admitBatch({ insightId, batchId }) {
      await clearWake(database, insightId);
      const { admitted, more } = await admitBatch(database, { insightId, batchId });
      if (admitted > 0) log.debug({ insightId, batchId, admitted }, 'batch admitted');
      return { admitted, more, unstarted: await countAdmitted(database, insightId) };
    },
    startAdmitted: (input) => startAdmitted(parts, input),
    startAllAdmitted: (input) => startAllAdmitted(parts, input),
    loadPlan: (input) => loadPlan(parts, input),
    settleOperations: ({ agendaId, attempt, operations }) => settleOperations(database, { agendaId, attempt }, operations),
    runResident: (input) => runResident(parts, input),
    async requestCancel({ agendaId }) {
      await cancelAgenda(database, { agendaId, actor: 'temporal' });
    },
    async finishAgenda({ agendaId, attempt, runId, outcome, message }) {
      const answer = await finishAgenda(database, { agendaId, attempt, runId }, { outcome, ...(message === undefined ? {} : { message }) });
      if (answer.line !== undefined) log.info({ agendaId, attempt, outcome, ...answer.line }, 'agenda ended');
      parts.wake(answer.wakeInsights);
      return { outcome: answer.outcome };
    },
  };
}
