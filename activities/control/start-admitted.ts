/**
 * Starts the workflows of admitted Agendas. Any start may be repeated: the claim in `loadPlan` makes one run of them
 * count.
 */
import { Context } from '@temporalio/activity';
import { finishAgenda } from '../../db/agenda/finish-agenda.ts';
import {
  type AdmittedAgenda,
  countUnstarted,
  freeClaim,
  markStarted,
  postpone,
  readAdmitted,
} from '../../db/agenda/start-outbox.ts';
import { startAgenda } from '../../temporal/agenda-workflows.ts';
import type { ControlParts } from './parts.ts';

type StartResult = 'started' | 'left' | 'refused';

/**
 * Starts up to `most` admitted Agendas, whatever batch admitted them; answers how many more there are to try. Those
 * that could be started are marked also when others fail, so that one bad start holds up no other.
 */
export async function startAdmitted(parts: ControlParts, { insightId, most }: { insightId: string; most: number }) {
  const agendas = await readAdmitted(parts.database, { insightId, most });
  const results = await Promise.allSettled(agendas.map((agenda) => startOne(parts, agenda)));
  const those = (wanted: (result: PromiseSettledResult<StartResult>) => boolean) =>
    agendas.filter((_, n) => wanted(results[n] as never));
  const started = those((result) => result.status === 'fulfilled' && result.value === 'started');
  const left = those((result) => result.status === 'rejected' || result.value === 'left');
  await markStarted(parts.database, started);
  for (const { operationTypes, title, ...ids } of started) parts.log.info(ids, 'agenda admitted');
  await postpone(parts.database, left);
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  // All that is left was postponed: do not retry at once.
  const remaining =
    agendas.length < most || left.length === most
      ? 0
      : Math.max(0, (await countUnstarted(parts.database, insightId)) - left.length);
  return { started: started.length, remaining };
}

/** As `startAdmitted` until none remains to try or its workflow run is over, with a heartbeat after each portion. */
export async function startAllAdmitted(parts: ControlParts, { insightId }: { insightId: string }) {
  let all = 0;
  for (;;) {
    const { started, remaining } = await startAdmitted(parts, { insightId, most: 25 });
    all += started;
    const { heartbeat, cancellationSignal } = Context.current();
    heartbeat({ started: all });
    if (started === 0 || remaining === 0 || cancellationSignal.aborted) return { started: all, remaining };
  }
}

/**
 * Starts the workflow of an attempt that was started before: Temporal does not know that workflow, or it is `stalled`
 * and is terminated in the same step. The new run takes what has ended from the record. Undefined when the attempt has
 * ended or another run holds it.
 */
export async function startAgain(
  parts: ControlParts,
  { stalled, ...run }: { agendaId: string; attempt: number; runId: string | null; stalled: boolean },
): Promise<StartResult | undefined> {
  // First the claim: should this process die now, the next sweep finds the attempt as it was, whatever runs were
  // started for it.
  const agenda = await freeClaim(parts.database, run);
  return agenda && startOne(parts, agenda, { insteadOfOpen: stalled });
}

async function startOne(
  { client, database, log, wake }: ControlParts,
  agenda: AdmittedAgenda,
  options: { readonly insteadOfOpen: boolean } = { insteadOfOpen: false },
): Promise<StartResult> {
  const start = await startAgenda(client, agenda, options);
  if (start.kind === 'started') return 'started';
  if (start.kind === 'otherAttemptIsOpen') return 'left';
  const { agendaId, attempt, cid } = agenda;
  const { error } = start;
  const message = `Temporal refused to start this Agenda: ${error.message}`;
  log.error({ err: error, agendaId, cid }, 'start refused');
  const { wakeInsights } = await finishAgenda(database, { agendaId, attempt }, { outcome: 'failed', message });
  wake(wakeInsights);
  return 'refused';
}
