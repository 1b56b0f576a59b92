/**
 * What the sweep finds in the record: the net under lost wakes, lost starts, lost workflows and lost cancels.
 * One control worker at a time gets the lock; the others find nothing to do.
 */
import { headroomOf } from './admission/admit-batch.ts';
import type { Database } from './connect.ts';

export interface SweepFindings {
  /** Insights with work to do and no recent tick. */
  readonly wake: readonly string[];
  /** Of these, the ones whose admission workflow let several sweeps pass. */
  readonly replace: readonly string[];
  /** Started Agendas without a sign of life: is their workflow still there? */
  readonly quiet: readonly { readonly agendaId: string; readonly attempt: number; readonly runId: string | null }[];
  /** Running Agendas whose cancel was asked for a while ago. */
  readonly cancelling: readonly string[];
}

/** Sweeps an admission workflow may miss before it is replaced. */
const mostMissedSweeps = 3;
const mostPerSweep = 100;
/** Answers of admission batches are kept this long: no batch is repeated later. */
const batchesKept = '1 day';
const idempotencyKept = '24 hours';

/** Undefined when another control worker sweeps right now. */
export async function sweep(
  database: Database,
  { quietSeconds, sweepSeconds }: { quietSeconds: number; sweepSeconds: number },
): Promise<SweepFindings | undefined> {
  return database.$client.begin(async (sql) => {
    const [lock] = await sql<{ got: boolean }[]>`select pg_try_advisory_xact_lock(hashtextextended('sweep', 0)) as got`;
    if (lock?.got !== true) return undefined;
    const [missed, quiet, cancelling] = await Promise.all([
      sql<{ insight_id: string; missed_sweeps: number }[]>`
        -- 0 again when it is replaced: the new one gets as long.
        update insight_wake k set missed_sweeps = (k.missed_sweeps + 1) % ${mostMissedSweeps + 1}
        from insight i left join resource_pool p on p.id = i.resource_pool_id
        where i.id = k.insight_id
          and (k.last_tick_time is null or k.last_tick_time < clock_timestamp() - make_interval(secs => ${sweepSeconds}))
          and ((exists (select 1 from ready_agenda w where w.insight_id = i.id and w.is_due) and ${headroomOf(sql)} > 0)
            or exists (select 1 from ready_agenda w where w.insight_id = i.id and not w.is_due and w.ready_time < clock_timestamp())
            or exists (select 1 from settlement s where s.insight_id = i.id)
            or exists (select 1 from running_agenda r where r.insight_id = i.id and r.started_time is null
              and r.admitted_time < clock_timestamp() - make_interval(secs => 2)))
        returning k.insight_id, k.missed_sweeps`,
      sql<{ agendaId: string; attempt: number; runId: string | null }[]>`
        update running_agenda set seen_time = clock_timestamp() where agenda_id in (
          select agenda_id from running_agenda
          where started_time is not null and seen_time < clock_timestamp() - make_interval(secs => ${quietSeconds})
          order by seen_time limit ${mostPerSweep} for update skip locked)
        returning agenda_id as "agendaId", attempt, run_id as "runId"`,
      sql<{ id: string }[]>`
        select a.id from running_agenda r join agenda a on a.id = r.agenda_id
        where a.cancel_requested_time < clock_timestamp() - make_interval(secs => ${sweepSeconds})
        order by a.cancel_requested_time limit ${mostPerSweep}`,
      sql`delete from admission_batch where added_time < clock_timestamp() - ${batchesKept}::interval`,
      sql`delete from idempotency where added_time < clock_timestamp() - ${idempotencyKept}::interval`,
    ]);
    return {
      wake: missed.map((row) => row.insight_id),
      replace: missed.filter((row) => row.missed_sweeps === 0).map((row) => row.insight_id),
      quiet: [...quiet],
      cancelling: cancelling.map((row) => row.id),
    };
  }) as Promise<SweepFindings | undefined>;
}
