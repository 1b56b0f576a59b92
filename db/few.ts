/** A paragraph for statements that join what they were given with large tables. */
import type postgres from 'postgres';
import type { Statements } from './connect.ts';

/**
 * All of `rows`, such as a call of `unnest`, in a way that makes Postgres plan for a few: it looks each up by an index,
 * where it would read the whole of a table that is young, small and not analysed yet, and would go on to while that
 * grows. The limit, their number, leaves none out; of a limit in a parameter a plan for any values expects a tenth.
 */
export const few = (sql: Statements, rows: postgres.PendingQuery<postgres.Row[]>, number: number) =>
  sql`(select * from ${rows} limit ${number}::int)`;
