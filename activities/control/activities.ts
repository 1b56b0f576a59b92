/** The control activities as the workflows call them. */
import { cancelAgenda } from '../../db/agenda/cancel-agenda.ts';
import { finishAgenda } from '../../db/agenda/finish-agenda.ts';
import { settleOperations } from '../../db/agenda/settle-operations.ts';
import type { ControlActivities } from '../../workflows/activities.ts';
import { admitBatch } from './admit-batch.ts';
import { loadPlan } from './load-plan.ts';
import type { ControlParts } from './parts.ts';
import { readPiece } from './plan-piece.ts';
import { runResident } from './run-resident.ts';
import { startAdmitted, startAllAdmitted } from './start-admitted.ts';

/** The activities of the control worker, as its workflows call them. */
export function controlActivities(parts: ControlParts): ControlActivities {
  const { database, log } = parts;
  return {
    admitBatch: (input) => admitBatch(parts, input),
    startAdmitted: (input) => startAdmitted(parts, input),
    startAllAdmitted: (input) => startAllAdmitted(parts, input),
    loadPlan: (input) => loadPlan(parts, input),
    loadPlanPiece: ({ from, ...key }) => readPiece(parts, key, from),
    settleOperations: ({ agendaId, attempt, operations }) =>
      settleOperations(database, { agendaId, attempt }, operations),
    runResident: (input) => runResident(parts, input),
    async requestCancel({ agendaId }) {
      await cancelAgenda(database, { agendaId, actor: 'temporal' });
    },
    async finishAgenda({ outcome, message, ...run }) {
      const { agendaId, attempt } = run;
      const answer = await finishAgenda(database, run, { outcome, ...(message === undefined ? {} : { message }) });
      if (answer.line !== undefined) log.info({ agendaId, attempt, outcome, ...answer.line }, 'agenda ended');
      parts.wake(answer.wakeInsights);
      return { outcome: answer.outcome };
    },
  };
}
