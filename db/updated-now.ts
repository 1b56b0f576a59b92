import { type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';

/** Now, and later than the object was added also in whole milliseconds, which is what callers see. */
export function updatedNow(addedTime: PgColumn): SQL {
  return sql`greatest(clock_timestamp(), ${addedTime} + interval '1 millisecond')`;
}
