/** The claim of an attempt by a workflow run. */
import type { Database } from '../connect.ts';
import { type AttemptKey, type ClaimingRun, isOfChain } from './attempt.ts';

/** Whether the caller has the attempt. */
export type Claim =
  | { readonly kind: 'claimed'; readonly resourcePoolId: string; readonly cancelled: boolean }
  /** Another run holds it; whether that run is still open is Temporal's to say. */
  | {
      readonly kind: 'heldBy';
      readonly runId: string;
      readonly workflowId: string | null;
      readonly firstRunId: string | null;
    }
  | { readonly kind: 'over' };

/**
 * Claims the attempt for a workflow run, in place of another of its chain, or of `insteadOf` when the chain of that run
 * is known to be closed.
 */
export async function claimAttempt(
  database: Database,
  key: AttemptKey & ClaimingRun & { readonly insteadOf?: string },
): Promise<Claim> {
  const { agendaId, attempt, runId, workflowId = null, firstRunId = null, insteadOf = null } = key;
  const sql = database.$client;
  const [row] = await sql<{ resourcePoolId: string }[]>`
    /* claimAttempt: claim */
    update running_agenda set
      run_id = ${runId},
      workflow_id = ${workflowId},
      first_run_id = ${firstRunId},
      seen_time = clock_timestamp(),
      started_time = coalesce(started_time, clock_timestamp())
    where agenda_id = ${agendaId} and attempt = ${attempt}
      and (run_id is null or ${isOfChain(sql, key)} or run_id = ${insteadOf})
    returning resource_pool_id as "resourcePoolId"`;
  if (row !== undefined) {
    // A statement of its own: the update may have waited for a cancel, which one that began before it would not see.
    const [agenda] = await sql<{ cancelled: boolean }[]>`
      /* claimAttempt: cancelled */
      select cancel_requested_time is not null as cancelled from agenda where id = ${agendaId}`;
    return { kind: 'claimed', resourcePoolId: row.resourcePoolId, cancelled: agenda?.cancelled === true };
  }
  const [held] = await sql<{ runId: string; workflowId: string | null; firstRunId: string | null }[]>`
    /* claimAttempt: held by */
    select run_id as "runId", workflow_id as "workflowId", first_run_id as "firstRunId" from running_agenda
    where agenda_id = ${agendaId} and attempt = ${attempt} and run_id is not null`;
  return held === undefined ? { kind: 'over' } : { kind: 'heldBy', ...held };
}

/** Reads the pool in which this attempt runs; undefined when it is not the running one. */
export async function readPool(database: Database, { agendaId, attempt }: AttemptKey): Promise<string | undefined> {
  const [row] = await database.$client<{ resourcePoolId: string }[]>`
    /* readPool: of attempt */
    select resource_pool_id as "resourcePoolId" from running_agenda
    where agenda_id = ${agendaId} and attempt = ${attempt}`;
  return row?.resourcePoolId;
}
