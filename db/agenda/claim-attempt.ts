/** The claim of an attempt, and what its walker needs to know. */
import type { OperationTimeout } from '../../agenda/types.ts';
import type { Database } from '../connect.ts';
import type { AttemptKey } from './attempt.ts';

/** Whether the caller has the attempt. */
export type Claim =
  | { readonly kind: 'claimed'; readonly resourcePoolId: string; readonly cancelled: boolean }
  /** Another run holds it; whether that run is still open is Temporal's to say. */
  | { readonly kind: 'heldBy'; readonly runId: string }
  | { readonly kind: 'over' };

/** Claims the attempt for a workflow run, in place of `insteadOf` when that run is known to be closed. */
export async function claimAttempt(
  database: Database,
  { agendaId, attempt, runId, insteadOf = null }: AttemptKey & { runId: string; insteadOf?: string | null },
): Promise<Claim> {
  const sql = database.$client;
  const [row] = await sql<{ resourcePoolId: string }[]>`
    /* claimAttempt: claim */
    update running_agenda set
      run_id = ${runId},
      seen_time = clock_timestamp(),
      started_time = coalesce(started_time, clock_timestamp())
    where agenda_id = ${agendaId} and attempt = ${attempt}
      and (run_id is null or run_id = ${runId} or run_id = ${insteadOf})
    returning resource_pool_id as "resourcePoolId"`;
  if (row !== undefined) {
    // A statement of its own: the update may have waited for a cancel, which one that began before it would not see.
    const [agenda] = await sql<{ cancelled: boolean }[]>`
      /* claimAttempt: cancelled */
      select cancel_requested_time is not null as cancelled from agenda where id = ${agendaId}`;
    return { kind: 'claimed', resourcePoolId: row.resourcePoolId, cancelled: agenda?.cancelled === true };
  }
  const [held] = await sql<{ runId: string }[]>`
    /* claimAttempt: held by */
    select run_id as "runId" from running_agenda
    where agenda_id = ${agendaId} and attempt = ${attempt} and run_id is not null`;
  return held === undefined ? { kind: 'over' } : { kind: 'heldBy', runId: held.runId };
}

/** An Operation as the walker takes it. */
export interface PlannedOperation {
  readonly name: string;
  readonly type: string;
  readonly dependencies: readonly number[];
  readonly timeout: OperationTimeout | null;
  readonly state: string;
  readonly message: string;
}

/** What a walker needs to know of an Agenda. */
export interface AgendaPlan {
  readonly customerId: string;
  /** Its customer's in its Insight. */
  readonly weight: number;
  readonly parallelism: number | null;
  /** In the order of declaration. */
  readonly operations: readonly PlannedOperation[];
}

/** Reads the plan of an Agenda. */
export async function readPlan(database: Database, agendaId: string): Promise<AgendaPlan> {
  const sql = database.$client;
  const [[agenda], operations] = await Promise.all([
    sql<Omit<AgendaPlan, 'operations'>[]>`
      /* readPlan: Agenda */
      select
        a.customer_id as "customerId",
        a.parallelism,
        coalesce((i.customers->a.customer_id->>'weight')::float8, c.weight, 1) as weight
      from agenda a
        left join insight i on i.id = a.insight_id
        left join customer c on c.id = a.customer_id
      where a.id = ${agendaId}`,
    sql<PlannedOperation[]>`
      /* readPlan: Operations */
      select
        o.name,
        o.type,
        o.dependencies,
        o.timeout,
        p.processing_state as state,
        p.processing_state_message as message
      from operation o join operation_progress p on p.agenda_id = o.agenda_id and p.index = o.index
      where o.agenda_id = ${agendaId} order by o.index`,
  ]);
  if (agenda === undefined) throw new Error(`Agenda ${agendaId} is not in the record`);
  return { ...agenda, operations: [...operations] };
}

/** Reads the pool in which this attempt runs; undefined when it is not the running one. */
export async function readPool(database: Database, { agendaId, attempt }: AttemptKey): Promise<string | undefined> {
  const [row] = await database.$client<{ resourcePoolId: string }[]>`
    /* readPool: of attempt */
    select resource_pool_id as "resourcePoolId" from running_agenda
    where agenda_id = ${agendaId} and attempt = ${attempt}`;
  return row?.resourcePoolId;
}
