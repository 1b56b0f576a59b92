/**
 * Admission: the one transaction that turns waiting rows into running ones. It holds the pool's advisory lock, so what it
 * counts stays true until it commits, whoever else admits for that pool. What it decided is stored under the batch's id:
 * a repeat of the batch returns the stored answer and admits nothing.
 */
import { createAlgorithm } from '../scheduling/index.ts';
import type { Database, Statements } from './connect.ts';

/** Algorithms that admission can run so far: those whose whole state is the waiting rows. The others keep state between batches. */
export const admissionAlgorithms: readonly string[] = ['FirstInFirstOut'];

/** Most Agendas of one batch. */
export const mostPerBatch = 500;

export interface BatchAnswer {
  readonly admitted: number;
  /** The batch was full: there is room and more waits. */
  readonly more: boolean;
}

interface Head {
  readonly agenda_id: string;
  readonly customer_id: string;
  readonly attempt: number;
  readonly ready_seconds: number;
}

/**
 * Free places of Insights: the least of what queueSize, the Insight's maximumRunning and the pool's slots leave.
 * Counted from rows; null limits do not limit.
 */
export function headroomOf(sql: Statements | Database['$client']) {
  return sql`least(
    i.queue_size - (select count(*) from running_agenda r where r.insight_id = i.id and r.left_queue_time is null),
    i.maximum_running - (select count(*) from running_agenda r where r.insight_id = i.id),
    (p.capacity->>'slots')::bigint - (select count(*) from running_agenda r where r.resource_pool_id = i.resource_pool_id)
  )::int`;
}

/** Admits what the Insight's algorithm chooses and the limits allow. Idempotent by `batchId`. */
export async function admitBatch(database: Database, { insightId, batchId }: { insightId: string; batchId: string }): Promise<BatchAnswer> {
  return (await database.$client.begin(async (sql) => {
    await sql`
      select pg_advisory_xact_lock(hashtextextended('resource-pool:' || resource_pool_id, 0)) from insight where id = ${insightId}`;
    // Statements of their own, after the lock: each sees what the lock's last holder committed.
    const [[stored], [insight]] = await Promise.all([
      sql<{ answer: BatchAnswer }[]>`select answer from admission_batch where id = ${batchId}`,
      sql<{ scheduling_algorithm: string; headroom: number }[]>`
        select i.scheduling_algorithm, ${headroomOf(sql)} as headroom
        from insight i left join resource_pool p on p.id = i.resource_pool_id where i.id = ${insightId}`,
      sql`update insight_wake set last_tick_time = clock_timestamp(), missed_sweeps = 0 where insight_id = ${insightId}`,
    ]);
    if (stored !== undefined) return stored.answer;
    if (insight === undefined || insight.headroom <= 0) return { admitted: 0, more: false };

    const most = Math.min(insight.headroom, mostPerBatch);
    const heads = await sql<Head[]>`
      select agenda_id, customer_id, attempt, extract(epoch from ready_time)::float8 as ready_seconds
      from ready_agenda where insight_id = ${insightId} order by ready_time, agenda_id limit ${most} for update`;
    const decisions = choose(insight.scheduling_algorithm, heads, insight.headroom, most);
    if (decisions.length === 0) return { admitted: 0, more: false };

    const answer: BatchAnswer = { admitted: decisions.length, more: decisions.length === mostPerBatch && most < insight.headroom };
    const agendaIds = decisions.map((decision) => decision.id);
    await Promise.all([
      // A microsecond apart, in the order of the decisions: so they are started.
      sql`
        with gone as (delete from ready_agenda where agenda_id = any(${agendaIds}) returning *)
        insert into running_agenda (agenda_id, insight_id, resource_pool_id, customer_id, attempt, batch_id, admitted_time, seen_time)
        select g.agenda_id, g.insight_id, g.resource_pool_id, g.customer_id, g.attempt, ${batchId}, at.time, at.time
        from (select clock_timestamp() as now) clock, unnest(${agendaIds}::text[]) with ordinality as d(agenda_id, number)
          join gone g using (agenda_id), lateral (select clock.now + d.number * interval '1 microsecond' as time) at`,
      sql`
        insert into admission_batch (id, insight_id, answer) values (${batchId}, ${insightId}, ${JSON.stringify(answer)})`,
    ]);
    return answer;
  })) as BatchAnswer;
}

/** Runs the pure algorithm over the heads. */
function choose(algorithm: string, heads: readonly Head[], headroom: number, most: number) {
  const scheduler = createAlgorithm(algorithm);
  for (const head of heads) scheduler.add({ id: head.agenda_id, customerId: head.customer_id, readyTime: head.ready_seconds });
  scheduler.begin(most);
  const decisions = [];
  for (let free = headroom; decisions.length < most; free--) {
    const decision = scheduler.next({ slots: free });
    if (decision === undefined) break;
    decisions.push(decision);
  }
  return decisions;
}

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

/** Admitted Agendas not yet marked started, whatever their batch: oldest first, those that were postponed last. */
export async function readAdmitted(
  database: Database,
  { insightId, most }: { insightId: string; most: number },
): Promise<AdmittedAgenda[]> {
  return database.$client<AdmittedAgenda[]>`
    select r.agenda_id as "agendaId", r.attempt, r.customer_id as "customerId", r.insight_id as "insightId",
      r.resource_pool_id as "resourcePoolId", a.cid, a.link_id as "linkId", a.title, a.progress_id as "progressId",
      r.batch_id as "batchId", extract(epoch from r.admitted_time - a.added_time)::float8 as "waitedSeconds",
      array(select o.type from operation o where o.agenda_id = r.agenda_id group by o.type order by min(o.index) limit 20) as "operationTypes"
    from running_agenda r join agenda a on a.id = r.agenda_id
    where r.insight_id = ${insightId} and r.started_time is null
    order by r.seen_time limit ${most}`;
}

/** How many admitted Agendas of the Insight are not yet marked started. */
export async function countAdmitted(database: Database, insightId: string): Promise<number> {
  const [row] = await database.$client<{ count: number }[]>`
    select count(*)::int as count from running_agenda where insight_id = ${insightId} and started_time is null`;
  return row?.count ?? 0;
}

/** Their workflows exist. Rows that have ended meanwhile, or hold another attempt, stay as they are. */
export async function markStarted(database: Database, agendas: readonly AttemptKey[]): Promise<void> {
  if (agendas.length === 0) return;
  await database.$client`
    update running_agenda set started_time = clock_timestamp(), seen_time = clock_timestamp()
    where agenda_id in (${lockNotStarted(database.$client, agendas)})`;
}

/** Their workflows cannot be started now: they stay, behind all others. */
export async function postpone(database: Database, agendas: readonly AttemptKey[]): Promise<void> {
  if (agendas.length === 0) return;
  await database.$client`
    update running_agenda set seen_time = clock_timestamp() where agenda_id in (${lockNotStarted(database.$client, agendas)})`;
}

interface AttemptKey {
  readonly agendaId: string;
  readonly attempt: number;
}

/** Locks in the order that everybody takes, by id: their Operations may be starting already. */
const lockNotStarted = (sql: Database['$client'], agendas: readonly AttemptKey[]) => sql`
  select r.agenda_id from running_agenda r
  join unnest(${agendas.map((a) => a.agendaId)}::text[], ${agendas.map((a) => a.attempt)}::int[]) as s(agenda_id, attempt)
    on r.agenda_id = s.agenda_id and r.attempt = s.attempt
  where r.started_time is null order by r.agenda_id for update of r`;
