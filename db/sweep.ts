/**
 * What the sweep finds in the record: the net under lost wakes, lost starts, lost workflows and lost cancels.
 * One control worker at a time gets the lock; the others find nothing to do.
 */
import { agendasLeftSql, slotsLeftSql } from './admission/limits.ts';
import { idempotencyHours } from './agenda/idempotency.ts';
import type { Database, Statements } from './connect.ts';
import { forgetOldWorkers } from './pool/tell-worker.ts';

/**
 * A started Agenda without a sign of life, and which workflow run claimed it: null before any claim, and in part for a
 * claim of version 0.1.0.
 */
export interface QuietAgenda {
  readonly agendaId: string;
  readonly attempt: number;
  readonly runId: string | null;
  readonly workflowId: string | null;
  readonly firstRunId: string | null;
}

/** What there is to do, each for its own reason. */
export interface SweepFindings {
  /** Insights with work to do and no recent tick. */
  readonly wake: readonly string[];
  /** Of these, the ones whose admission workflow let several sweeps pass. */
  readonly replace: readonly string[];
  /** Started Agendas without a sign of life: is their workflow still there? */
  readonly quiet: readonly QuietAgenda[];
  /** Running Agendas whose cancel was asked for a while ago. */
  readonly cancelling: readonly string[];
}

/** Sweeps an admission workflow may miss before it is replaced. */
const mostMissedSweeps = 3;
const mostPerSweep = 100;
/** Answers of admission batches are kept this long: no batch is repeated later. */
const batchesKept = '1 day';

/** Looks once. Undefined when another control worker sweeps right now. */
export async function sweep(
  database: Database,
  { quietSeconds, sweepSeconds }: { quietSeconds: number; sweepSeconds: number },
): Promise<SweepFindings | undefined> {
  return database.$client.begin(async (sql) => {
    const [lock] = await sql<{ got: boolean }[]>`
      /* sweep: lock */
      select pg_try_advisory_xact_lock(hashtextextended('sweep', 0)) as got`;
    if (lock?.got !== true) return undefined;
    const [missed, quiet, cancelling] = await Promise.all([
      findForgotten(sql, sweepSeconds),
      findQuiet(sql, quietSeconds),
      findCancelling(sql, sweepSeconds),
      sql`
        /* sweep: old batches */
        delete from admission_batch where added_time < clock_timestamp() - ${batchesKept}::interval`,
      sql`
        /* sweep: old idempotency keys */
        delete from idempotency where added_time < clock_timestamp() - make_interval(hours => ${idempotencyHours})`,
      ...forgetOldWorkers(sql),
    ]);
    return {
      wake: missed.map((row) => row.insightId),
      replace: missed.filter((row) => row.missedSweeps === 0).map((row) => row.insightId),
      quiet: [...quiet],
      cancelling: cancelling.map((row) => row.id),
    };
  }) as Promise<SweepFindings | undefined>;
}

/**
 * Insights with something to do whose admission did not look for a while. The count begins anew when the workflow is
 * replaced.
 */
const findForgotten = (sql: Statements, sweepSeconds: number) => sql<{ insightId: string; missedSweeps: number }[]>`
  /* sweep: forgotten Insights */
  update insight_wake k set missed_sweeps = (k.missed_sweeps + 1) % ${mostMissedSweeps + 1}
  from insight i left join resource_pool p on p.id = i.resource_pool_id
  where i.id = k.insight_id
    and (k.last_tick_time is null
      or k.last_tick_time < clock_timestamp() - make_interval(secs => ${sweepSeconds}))
    and (
      (exists (select 1 from ready_agenda w where w.insight_id = i.id and w.is_due) and ${canGoOn(sql)})
      or exists (
        select 1 from ready_agenda w
        where w.insight_id = i.id and not w.is_due and w.ready_time < clock_timestamp())
      or exists (select 1 from settlement s where s.insight_id = i.id)
      or exists (
        select 1 from running_agenda r
        where r.insight_id = i.id and r.started_time is null
          and r.admitted_time < clock_timestamp() - make_interval(secs => 2)))
  returning k.insight_id as "insightId", k.missed_sweeps as "missedSweeps"`;

/** Whether the limits leave `insight i` room for something. */
function canGoOn(sql: Statements) {
  const agendas = agendasLeftSql(sql, {
    running: sql`(select count(*) from running_agenda r where r.insight_id = i.id)`,
    unstarted: sql`(
      select count(*) from running_agenda r where r.insight_id = i.id and r.left_queue_time is null)`,
  });
  const slots = slotsLeftSql(sql, {
    inPool: sql`(
      select coalesce(sum(r.slots), 0) from running_agenda r where r.resource_pool_id = i.resource_pool_id)`,
    here: sql`(select coalesce(sum(r.slots), 0) from running_agenda r where r.insight_id = i.id)`,
  });
  return sql`(${agendas}) > 0 and coalesce(${slots} > 0, true)`;
}

const findQuiet = (sql: Statements, quietSeconds: number) => sql<QuietAgenda[]>`
  /* sweep: quiet Agendas */
  update running_agenda set seen_time = clock_timestamp() where agenda_id in (
    select agenda_id from running_agenda
    where started_time is not null and seen_time < clock_timestamp() - make_interval(secs => ${quietSeconds})
    order by seen_time limit ${mostPerSweep} for update skip locked)
  returning
    agenda_id as "agendaId",
    attempt,
    run_id as "runId",
    workflow_id as "workflowId",
    first_run_id as "firstRunId"`;

const findCancelling = (sql: Statements, sweepSeconds: number) => sql<{ id: string }[]>`
  /* sweep: cancels under way */
  select a.id from running_agenda r join agenda a on a.id = r.agenda_id
  where a.cancel_requested_time < clock_timestamp() - make_interval(secs => ${sweepSeconds})
  order by a.cancel_requested_time limit ${mostPerSweep}`;
