/** The sweep of a control worker: acts on what `db/sweep.ts` finds, each few seconds, whatever failed the last time. */
import { setTimeout as delay } from 'node:timers/promises';
import { isOpen } from '../activities/control/load-plan.ts';
import type { ControlParts } from '../activities/control/parts.ts';
import { finishAgenda } from '../db/agenda-run.ts';
import { deleteOldAdmissions } from '../db/read-admission.ts';
import { type SweepFindings, sweep } from '../db/sweep.ts';
import { admissionTaskQueue, admissionWorkflowId, admissionWorkflowType, agendaWorkflowId } from '../workflows/messages.ts';
import { signalWoken } from './wake-insights.ts';

/** Sweeps until the signal aborts. */
export async function runSweeper(parts: ControlParts, signal: AbortSignal): Promise<void> {
  let failing = false;
  while (!signal.aborted) {
    try {
      const findings = await sweep(parts.database, parts.settings);
      if (findings !== undefined) {
        await actOn(parts, findings);
        await deleteOldAdmissions(parts.database, parts.settings.admissionsDays);
      }
      if (failing) parts.log.info('sweep works again');
      failing = false;
    } catch (error) {
      // Said once per outage: the sweep is what repairs, so it goes on.
      if (!failing) parts.log.warn({ err: error }, 'sweep failed; it goes on trying');
      failing = true;
    }
    await delay(parts.settings.sweepSeconds * 1000, undefined, { signal }).catch(() => undefined);
  }
}

async function actOn(parts: ControlParts, { wake, replace, quiet, cancelling }: SweepFindings): Promise<void> {
  const { client, log } = parts;
  for (const insightId of replace) {
    log.warn({ insightId }, 'admission workflow let sweeps pass without a tick; replacing it');
    await client.workflow.start(admissionWorkflowType, {
      workflowId: admissionWorkflowId(insightId),
      taskQueue: admissionTaskQueue,
      args: [{ insightId }],
      workflowIdConflictPolicy: 'TERMINATE_EXISTING',
    });
  }
  await signalWoken(
    client,
    wake.filter((insightId) => !replace.includes(insightId)),
  );
  for (const agenda of quiet) await reconcile(parts, agenda);
  for (const agendaId of cancelling) {
    await client.workflow
      .getHandle(agendaWorkflowId(agendaId))
      .cancel()
      .catch((error: unknown) => log.debug({ err: error, agendaId }, 'cancel not delivered'));
  }
}

/** A workflow that is closed or missing never runs its last step: the Agenda is ended for it. */
async function reconcile(parts: ControlParts, { agendaId, attempt, runId }: SweepFindings['quiet'][number]): Promise<void> {
  if (await isOpen(parts.client, agendaId, runId ?? undefined)) return;
  // Of this run only: another may have claimed the attempt meanwhile.
  const key = runId === null ? { agendaId, attempt } : { agendaId, attempt, runId };
  const answer = await finishAgenda(parts.database, key, { outcome: 'failed', message: 'workflow terminated' });
  if (answer.outcome === 'over') return;
  parts.log.warn({ agendaId, attempt, outcome: answer.outcome, ...answer.line }, 'agenda ended: its workflow was closed or missing');
  parts.wake(answer.wakeInsights);
}
