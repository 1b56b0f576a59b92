/** Which Operation types a pool serves, by the registries that its workers told of late. */
import { aliveSeconds, registryHours, type TypeNeeds } from '../../messages/resource-pool.ts';
import { resourceNames } from '../../scheduling/need.ts';
import type { Database, Sql } from '../connect.ts';

/** What a registry says of the types that were asked for. */
export interface ToldRegistry {
  /** A worker with it was seen so lately that it counts as being there. */
  readonly isLive: boolean;
  /** Of those asked for, the ones that it serves; null when it serves none of them. */
  readonly types: Readonly<Record<string, TypeNeeds>> | null;
}

/** The registries of a pool as a JSON column, the one seen last first; null when there is none. */
export const toldRegistries = (sql: Sql, poolId: ReturnType<Sql>, types: readonly string[]) => sql`(
  select json_agg(
    json_build_object(
      'isLive', r.seen_time > clock_timestamp() - make_interval(secs => ${aliveSeconds}),
      'types', (
        select json_object_agg(t.type, r.types -> t.type) from unnest(${types as string[]}::text[]) as t(type)
        where r.types ? t.type))
    order by r.seen_time desc)
  from pool_registry r where r.resource_pool_id = ${poolId} and ${isRemembered(sql)})`;

/** Whether the registry `r` counts still. */
const isRemembered = (sql: Sql) => sql`r.seen_time > clock_timestamp() - make_interval(hours => ${registryHours})`;

/**
 * What a run of the type needs; undefined when no registry serves it. Where registries differ it is the most that those
 * of living workers say, for any of them may get it; else what was said last.
 */
export function toldNeeds(registries: readonly ToldRegistry[], type: string): TypeNeeds | undefined {
  const serving = registries.filter(({ types }) => types !== null && Object.hasOwn(types, type));
  const live = serving.filter(({ isLive }) => isLive);
  const said = (live.length === 0 ? serving.slice(0, 1) : live).map(({ types }) => types?.[type] ?? {});
  if (said.length === 0) return undefined;
  const most = resourceNames.flatMap((name) => {
    const amounts = said.flatMap((needs) => needs[name] ?? []);
    return amounts.length === 0 ? [] : [[name, Math.max(...amounts)] as const];
  });
  return Object.fromEntries(most);
}

/** Reads the names of all types that the pool serves, or served of late. */
export async function readKnownTypes(database: Database, resourcePoolId: string): Promise<readonly string[]> {
  const sql = database.$client;
  const rows = await sql<{ type: string }[]>`
    /* readKnownTypes: all */
    select distinct jsonb_object_keys(r.types) as type from pool_registry r
    where r.resource_pool_id = ${resourcePoolId} and ${isRemembered(sql)} order by type`;
  return rows.map(({ type }) => type);
}

/** Who serves some types. */
export interface TypeService {
  readonly type: string;
  /** Another worker than the one asking serves it, and is there. */
  readonly isServed: boolean;
  /** A registry served it of late. */
  readonly isKnown: boolean;
}

/** Reads who serves these types beside the worker that asks. */
export async function readTypeService(
  sql: Sql,
  resourcePoolId: string,
  { types, worker }: { readonly types: readonly string[]; readonly worker: string },
): Promise<ReadonlyMap<string, TypeService>> {
  const rows = await sql<TypeService[]>`
    /* readTypeService: types */
    select t.type,
      exists (
        select 1 from pool_worker w
          join pool_registry r on r.resource_pool_id = w.resource_pool_id and r.digest = w.digest
        where w.resource_pool_id = ${resourcePoolId} and w.name <> ${worker} and r.types ? t.type
          and w.seen_time > clock_timestamp() - make_interval(secs => ${aliveSeconds})) as "isServed",
      exists (
        select 1 from pool_registry r
        where r.resource_pool_id = ${resourcePoolId} and r.types ? t.type and ${isRemembered(sql)}) as "isKnown"
    from unnest(${types as string[]}::text[]) as t(type)`;
  return new Map(rows.map((row) => [row.type, row]));
}
