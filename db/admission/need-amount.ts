/** Amounts of the four resources in SQL, so that their names are written nowhere else. */
import { type Amounts, resourceNames } from '../../scheduling/need.ts';
import type { Sql } from '../connect.ts';

/**
 * How much of one resource a stored need asks for, as `keyOfNeed` wrote it; 0 where it was written before there was
 * such a resource.
 */
export const amountOfNeed = (sql: Sql, need: ReturnType<Sql>, resource: keyof Amounts) =>
  sql`coalesce(nullif(split_part(${need}, ',', ${resourceNames.indexOf(resource) + 1}::int), ''), '0')::float8`;

/** Sums of what rows of `running_agenda` hold, as Amounts; `which` is empty or a filter of the rows that count. */
export const sumsHeld = (sql: Sql, which: ReturnType<Sql>) =>
  sql`json_build_object(${resourceNames.map(
    (name, n) => sql`${n === 0 ? sql`` : sql`,`} ${name}::text, coalesce(sum(${sql(name)}) ${which}, 0)`,
  )})`;
