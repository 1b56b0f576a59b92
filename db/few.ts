/** A paragraph for statements that join what they were given with large tables. */
import type postgres from 'postgres';
import type { Sql } from './connect.ts';

/**
 * All of `rows`, such as a call of `unnest`, in a way that makes Postgres plan for a few. The limit, their number,
 * leaves none out; of a limit in a parameter a plan for any values expects a tenth. So each row is looked up by an
 * index, where the whole would be read of a table that is young, small and not analysed yet, and would be while it
 * grows. And the plan is made once for a connection, where one for these values would seem cheaper and be made anew at
 * each call.
 */
export const few = (sql: Sql, rows: postgres.PendingQuery<postgres.Row[]>, number: number) =>
  sql`(select * from ${rows} limit ${number}::int)`;
