/** The end of an attempt, and of an Agenda in every way in which one ends. */
import { type AgendaEnd, type FirstFailure, firstFailureOf, whyNotStarted, withCause } from '../../agenda/end-words.ts';
import type { AgendaOutcome } from '../../agenda/outcomes.ts';
import type { DiagnosticEvent } from '../../agenda/types.ts';
import { settleEnded } from '../admission/settlement.ts';
import { insightsThatWait } from '../admission/wake.ts';
import type { Database, Statements } from '../connect.ts';
import { agendaEvents } from '../event/write-events.ts';
import { abandonExecuting } from '../operation/end-unreported.ts';
import { storable } from '../storable.ts';
import { type AttemptKey, type ClaimingRun, eventsText, isOfChain } from './attempt.ts';
import { skipWaiting } from './skip-waiting.ts';

/** Who is told after an end. */
export interface FinishAnswer {
  readonly outcome: AgendaOutcome | 'over';
  /** Insights with waiting Agendas that the freed capacity may serve. */
  readonly wakeInsights: readonly string[];
  /** For the log line of the end. */
  readonly line?: EndedProgress & { readonly insightId: string };
}

interface Held {
  readonly resourcePoolId: string;
  readonly insightId: string;
  readonly customerId: string;
  /** Operations have no end yet, or one of an older version. Whoever gives them one holds this row as well. */
  readonly hasUnended: boolean;
}

/**
 * Ends the attempt: state, attempts, the capacity given back, what admission is to know, audit, in one transaction.
 * With `runId` only for the run that claimed it, or another of its chain (or before any claim); without, for the sweep,
 * whatever run held it.
 */
export async function finishAgenda(
  database: Database,
  key: AttemptKey & Partial<ClaimingRun>,
  end: AgendaEnd,
): Promise<FinishAnswer> {
  const ended = (await database.$client.begin(async (sql) => {
    const held = await lockAttempt(sql, key);
    if (held === undefined) return undefined;
    const cause = end.outcome === 'failed' ? await firstCause(sql, key.agendaId) : undefined;
    const told = withCause(end, cause);
    const [, , , line] = await Promise.all([
      // A submission of a limited customer that is under way shares its customer's row. It is waited for, so that its
      // Insight is told of this end.
      sql`
        /* finishAgenda: wait for submissions */
        select from customer where id = ${held.customerId} and maximum_running is not null for update`,
      // Sent at once, for the ends of its Operations come before its own.
      held.hasUnended ? abandonExecuting(sql, key).execute() : undefined,
      held.hasUnended ? skipWaiting(sql, { ...key, reason: whyNotStarted(end, cause) }).execute() : undefined,
      endProgress(sql, key.agendaId, told, 'system'),
      sql`
        /* finishAgenda: give capacity back */
        delete from running_agenda where agenda_id = ${key.agendaId}`,
      settleEnded(sql, { ...held, agendaId: key.agendaId, attempt: key.attempt }),
    ]);
    return { held, line };
  })) as { held: Held; line: EndedProgress | undefined } | undefined;
  if (ended === undefined) return { outcome: 'over', wakeInsights: [] };
  const { held, line } = ended;
  return {
    outcome: end.outcome,
    wakeInsights: await insightsThatWait(database.$client, held),
    ...(line === undefined ? {} : { line: { ...line, insightId: held.insightId } }),
  };
}

async function lockAttempt(
  sql: Statements,
  { agendaId, attempt, runId, ...chain }: AttemptKey & Partial<ClaimingRun>,
): Promise<Held | undefined> {
  const ofRun = runId === undefined ? sql`` : sql`and (run_id is null or ${isOfChain(sql, { runId, ...chain })})`;
  const [held] = await sql<Held[]>`
    /* finishAgenda: lock attempt */
    select resource_pool_id as "resourcePoolId", insight_id as "insightId", customer_id as "customerId",
      exists (select from operation_progress p where p.agenda_id = ${agendaId}
        and (p.processing_state <> 'COMPLETE' or p.outcome is null)) as "hasUnended"
    from running_agenda
    where agenda_id = ${agendaId} and attempt = ${attempt} ${ofRun}
    for update`;
  return held;
}

/** The first Operation that failed, so that nobody has to look for it. */
async function firstCause(sql: Statements, agendaId: string): Promise<FirstFailure | undefined> {
  const [failed] = await sql<{ operation: string; isTimedOut: boolean; events: readonly DiagnosticEvent[] | null }[]>`
    /* finishAgenda: first cause */
    select operation, outcome is not distinct from 'timedOut' as "isTimedOut", diagnostic_events as events
    from operation_progress
    where agenda_id = ${agendaId} and processing_state = 'COMPLETE' and processing_state_message = 'failed'
    order by completed_time, index limit 1`;
  if (failed === undefined) return undefined;
  return firstFailureOf(failed);
}

/** What an end tells the log: all ids of the Agenda, and seconds since its submission. */
export interface EndedProgress {
  readonly cid: string;
  readonly progressId: string;
  readonly customerId: string;
  readonly linkId: string | null;
  readonly externalId: string | null;
  readonly seconds: number;
}

/** Ends the AgendaProgress, with its audit entry; shared by every way in which an Agenda ends. */
export async function endProgress(
  sql: Statements,
  agendaId: string,
  { outcome, message: given }: AgendaEnd,
  actor: string,
): Promise<EndedProgress | undefined> {
  const message = given === undefined ? undefined : storable(given);
  const events = message === undefined ? null : eventsText({ message, code: outcome, time: Date.now() });
  const after = JSON.stringify({ outcome, ...(message === undefined ? {} : { message }) });
  const ofEnded = sql`(select a.id as agenda_id, a.attempt from ended join agenda a on a.id = ended.agenda_id)`;
  const [row] = await sql<EndedProgress[]>`
    /* endProgress: end */
    with ended as (
      update agenda_progress set
        processing_state = 'COMPLETE',
        processing_state_message = ${outcome},
        outcome = ${outcome},
        percent_complete = case when ${outcome} = 'succeeded' then 100 else percent_complete end,
        attempts_completed = attempts_completed + 1,
        completed_time = clock_timestamp(),
        updated_time = clock_timestamp(),
        admitted_time = (select r.admitted_time from running_agenda r where r.agenda_id = ${agendaId}),
        diagnostic_events = case when ${events}::text is null then diagnostic_events
          else (coalesce(diagnostic_events::jsonb, '[]') || ${events}::text::jsonb)::json end
      where agenda_id = ${agendaId} and processing_state <> 'COMPLETE'
      returning
        id,
        agenda_id,
        cid,
        customer_id,
        link_id,
        external_id,
        extract(epoch from clock_timestamp() - added_time)::float8 as seconds),
    told as (${agendaEvents(sql, 'agenda.complete', ofEnded, { outcome, message: message ?? null })}),
    audited as (
      insert into audit_entry (customer_id, actor, action, object_id, cid, after)
      select customer_id, ${actor}, 'agenda.end', agenda_id, cid, ${after}::json from ended)
    select
      cid,
      id as "progressId",
      customer_id as "customerId",
      link_id as "linkId",
      external_id as "externalId",
      seconds
    from ended`;
  return row;
}
