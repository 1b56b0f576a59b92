/** What pool workers tell of themselves: who is there, and what their registries serve. */
import { registryHours, type WorkerReport } from '../../messages/resource-pool.ts';
import type { Database, Statements } from '../connect.ts';

/** Takes in what a worker tells. One that leaves is forgotten at once; what its registry serves is not. */
export async function tellWorker(database: Database, resourcePoolId: string, report: WorkerReport): Promise<void> {
  const sql = database.$client;
  const { worker, version, slots, startedTime, registryDigest, types, registryProblem = null } = report;
  await sql`
    /* tellWorker: registry and worker */
    with told as (
      insert into pool_registry (resource_pool_id, digest, types)
      values (${resourcePoolId}, ${registryDigest}, ${JSON.stringify(types)}::text::jsonb)
      on conflict (resource_pool_id, digest) do update set types = excluded.types, seen_time = clock_timestamp()),
    gone as (
      delete from pool_worker
      where ${report.leaving === true}::boolean and resource_pool_id = ${resourcePoolId} and name = ${worker})
    insert into pool_worker (resource_pool_id, name, version, slots, digest, registry_problem, started_time)
    select ${resourcePoolId}, ${worker}, ${version}, ${slots}::int, ${registryDigest}, ${registryProblem}::text,
      to_timestamp(${startedTime}::float8 / 1000)
    where not ${report.leaving === true}::boolean
    on conflict (resource_pool_id, name) do update set
      version = excluded.version,
      slots = excluded.slots,
      digest = excluded.digest,
      registry_problem = excluded.registry_problem,
      started_time = excluded.started_time,
      seen_time = clock_timestamp()`;
}

/** Forgets workers and registries that were not seen for long. */
export const forgetOldWorkers = (sql: Statements) => [
  sql`
    /* sweep: old pool workers */
    delete from pool_worker where seen_time < clock_timestamp() - make_interval(hours => ${registryHours})`,
  sql`
    /* sweep: old registries */
    delete from pool_registry where seen_time < clock_timestamp() - make_interval(hours => ${registryHours})`,
];
