/** What was admitted and is to be started: an outbox, emptied by `startAdmitted`. */
import type { Database } from '../connect.ts';
import type { AttemptKey } from './attempt.ts';

/** An admitted Agenda whose workflow is to be started, with what its workflow shows. */
export interface AdmittedAgenda {
  readonly agendaId: string;
  readonly attempt: number;
  readonly customerId: string;
  readonly insightId: string;
  readonly resourcePoolId: string;
  readonly cid: string;
  readonly linkId: string | null;
  readonly title: string | null;
  readonly progressId: string;
  readonly batchId: string;
  /** From its submission to its admission. */
  readonly waitedSeconds: number;
  /** Distinct types in order of their first Operation, at most 20. */
  readonly operationTypes: readonly string[];
}

/**
 * Reads admitted Agendas not yet marked started, whatever their batch: oldest first, those that were postponed last.
 */
export async function readAdmitted(
  database: Database,
  { insightId, most }: { insightId: string; most: number },
): Promise<AdmittedAgenda[]> {
  return database.$client<AdmittedAgenda[]>`
    /* startAdmitted: read */
    select ${shownOf(database.$client)}
    from running_agenda r join agenda a on a.id = r.agenda_id
    where r.insight_id = ${insightId} and r.started_time is null
    order by r.seen_time limit ${most}`;
}

/** Counts the admitted Agendas of the Insight whose workflow is not yet marked started. */
export async function countUnstarted(database: Database, insightId: string): Promise<number> {
  const [row] = await database.$client<{ count: number }[]>`
    /* startAdmitted: count */
    select count(*)::int as count from running_agenda where insight_id = ${insightId} and started_time is null`;
  return row?.count ?? 0;
}

/** Notes that their workflows exist. Rows that have ended meanwhile, or hold another attempt, stay as they are. */
export async function markStarted(database: Database, agendas: readonly AttemptKey[]): Promise<void> {
  if (agendas.length === 0) return;
  await database.$client`
    /* startAdmitted: mark started */
    update running_agenda set started_time = clock_timestamp(), seen_time = clock_timestamp()
    where agenda_id in ${lockNotStarted(database.$client, agendas)}`;
}

/** Notes that their workflows cannot be started now: they stay, behind all others. */
export async function postpone(database: Database, agendas: readonly AttemptKey[]): Promise<void> {
  if (agendas.length === 0) return;
  await database.$client`
    /* startAdmitted: postpone */
    update running_agenda set seen_time = clock_timestamp()
    where agenda_id in ${lockNotStarted(database.$client, agendas)}`;
}

/**
 * Takes the claim of a run that does not count any more, so that whichever run is started next may claim the attempt.
 * Answers what its workflow shows; undefined when the attempt has ended or another run holds it.
 */
export async function freeClaim(
  database: Database,
  { agendaId, attempt, runId }: AttemptKey & { readonly runId: string | null },
): Promise<AdmittedAgenda | undefined> {
  const sql = database.$client;
  const [agenda] = await sql<AdmittedAgenda[]>`
    /* agenda: free claim */
    with r as (
      update running_agenda set
        run_id = null,
        workflow_id = null,
        first_run_id = null,
        seen_time = clock_timestamp()
      where agenda_id = ${agendaId} and attempt = ${attempt} and run_id is not distinct from ${runId}
        and started_time is not null
      returning *)
    select ${shownOf(sql)} from r join agenda a on a.id = r.agenda_id`;
  return agenda;
}

/** The columns of an AdmittedAgenda, of `r`, its row among the running, and `a`, the Agenda. */
const shownOf = (sql: Database['$client']) => sql`
  r.agenda_id as "agendaId",
  r.attempt,
  r.customer_id as "customerId",
  r.insight_id as "insightId",
  r.resource_pool_id as "resourcePoolId",
  a.cid,
  a.link_id as "linkId",
  a.title,
  a.progress_id as "progressId",
  r.batch_id as "batchId",
  extract(epoch from r.admitted_time - a.added_time)::float8 as "waitedSeconds",
  array(
    select o.type from operation o where o.agenda_id = r.agenda_id
    group by o.type order by min(o.index) limit 20) as "operationTypes"`;

/** Locks in the order that everybody takes, by id: their Operations may be starting already. */
const lockNotStarted = (sql: Database['$client'], agendas: readonly AttemptKey[]) => sql`(
  select r.agenda_id from running_agenda r
  join unnest(
      ${agendas.map((a) => a.agendaId)}::text[],
      ${agendas.map((a) => a.attempt)}::int[]
    ) as s(agenda_id, attempt)
    on r.agenda_id = s.agenda_id and r.attempt = s.attempt
  where r.started_time is null order by r.agenda_id for update of r)`;
