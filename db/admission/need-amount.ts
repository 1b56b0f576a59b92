import { type Amounts, resourceNames } from '../../scheduling/need.ts';
import type { Sql } from '../connect.ts';

/**
 * How much of one resource a stored need asks for, as `keyOfNeed` wrote it; 0 where it was written before there was
 * such a resource.
 */
export const amountOfNeed = (sql: Sql, need: ReturnType<Sql>, resource: keyof Amounts) =>
  sql`coalesce(nullif(split_part(${need}, ',', ${resourceNames.indexOf(resource) + 1}::int), ''), '0')::float8`;
