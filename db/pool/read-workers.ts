/** The pool workers of a ResourcePool, as they told of themselves. */
import { aliveSeconds, type TypeNeeds } from '../../messages/resource-pool.ts';
import type { Database } from '../connect.ts';

/** One pool worker; times are epoch milliseconds. */
export interface PoolWorkerRow {
  readonly name: string;
  readonly version: string;
  readonly slots: number;
  readonly digest: string;
  readonly types: Readonly<Record<string, TypeNeeds>>;
  readonly registryProblem: string | null;
  readonly startedTime: number;
  readonly seenTime: number;
  /** It was seen so lately that it counts as being there. */
  readonly isAlive: boolean;
}

/** Most that are read: one that starts again and again has another name each time. */
const mostWorkers = 1_000;

/** Reads those that were seen last, by name. */
export async function readWorkers(database: Database, resourcePoolId: string): Promise<readonly PoolWorkerRow[]> {
  return database.$client<PoolWorkerRow[]>`
    /* readWorkers: all */
    select w.name, w.version, w.slots, w.digest, r.types,
      w.registry_problem as "registryProblem",
      floor(extract(epoch from w.started_time) * 1000)::float8 as "startedTime",
      floor(extract(epoch from w.seen_time) * 1000)::float8 as "seenTime",
      w.seen_time > clock_timestamp() - make_interval(secs => ${aliveSeconds}) as "isAlive"
    from (
      select * from pool_worker where resource_pool_id = ${resourcePoolId} order by seen_time desc limit ${mostWorkers}
    ) w join pool_registry r on r.resource_pool_id = w.resource_pool_id and r.digest = w.digest
    order by w.name`;
}
