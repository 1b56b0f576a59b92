/** The sweep of a control worker: acts on what `db/sweep.ts` finds, each few seconds, whatever failed the last time. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ControlParts } from '../activities/control/parts.ts';
import { startAgain } from '../activities/control/start-admitted.ts';
import { deleteOldAdmissions } from '../db/admission/old-admissions.ts';
import { fillOutcomes } from '../db/agenda/fill-outcomes.ts';
import { finishAgenda } from '../db/agenda/finish-agenda.ts';
import { type SweepFindings, sweep } from '../db/sweep.ts';
import { replaceAdmission } from '../temporal/admission-workflows.ts';
import { tellCancel } from '../temporal/agenda-workflows.ts';
import { runStateOf } from '../temporal/run-state.ts';
import { signalWoken } from '../temporal/signal-insights.ts';

/** Sweeps until the signal aborts. */
export async function runSweeper(parts: ControlParts, signal: AbortSignal): Promise<void> {
  let failing = false;
  while (!signal.aborted) {
    try {
      const findings = await sweep(parts.database, parts.settings);
      if (findings !== undefined) {
        await actOn(parts, findings);
        await deleteOldAdmissions(parts.database, parts.settings.admissionsDays);
        await fillOutcomes(parts.database);
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
    await replaceAdmission(client, insightId);
  }
  await signalWoken(
    client,
    wake.filter((insightId) => !replace.includes(insightId)),
  );
  for (const agenda of quiet) await reconcile(parts, agenda);
  for (const agendaId of cancelling) {
    await tellCancel(client, agendaId).catch((error: unknown) =>
      log.debug({ err: error, agendaId }, 'cancel not delivered'),
    );
  }
}

/**
 * A workflow that is closed never runs its last step: the Agenda is ended for it. One that is missing or stalled, as
 * when Temporal's server has an older state than the record, is started again.
 */
async function reconcile(parts: ControlParts, quiet: SweepFindings['quiet'][number]): Promise<void> {
  const { agendaId, attempt, runId } = quiet;
  const state = await runStateOf(parts.client, quiet);
  if (state === 'open') return;
  if (state !== 'closed') {
    const result = await startAgain(parts, { ...quiet, stalled: state === 'stalled' });
    if (result !== undefined)
      parts.log.warn({ agendaId, attempt, runId, result }, `workflow is ${state}; started it again`);
    return;
  }
  // Of this run only: another may have claimed the attempt meanwhile.
  const key = runId === null ? { agendaId, attempt } : { agendaId, attempt, runId };
  const answer = await finishAgenda(parts.database, key, { outcome: 'failed', message: 'workflow terminated' });
  if (answer.outcome === 'over') return;
  parts.log.warn(
    { agendaId, attempt, outcome: answer.outcome, ...answer.line },
    'agenda ended: its workflow was closed',
  );
  parts.wake(answer.wakeInsights);
}
