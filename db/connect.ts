/** Connections to Postgres: Drizzle for ordinary queries, its `$client` (postgres.js) where the SQL matters. */
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import * as schema from './schema.ts';

export type Database = PostgresJsDatabase<typeof schema> & { readonly $client: postgres.Sql } & AsyncDisposable;
/** What runs statements of one transaction: `database.$client.begin(async (sql: Statements) => …)`. */
export type Statements = postgres.TransactionSql;

export interface DatabaseOptions {
  /** Most connections of this process; default 10. */
  readonly connections?: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string;
}

/** Connects lazily; queries made while Postgres is away fail and the next one connects again. */
export function openDatabase(url: string, options: DatabaseOptions = {}): Database {
  const client = postgres(url, {
    max: options.connections ?? 10,
    connect_timeout: 5,
    // A fresh connection now and then keeps server-side memory of prepared statements bounded.
    max_lifetime: 30 * 60,
    connection: { application_name: options.applicationName ?? 'pop' },
    onnotice: () => undefined,
  });
  const database = drizzle(client, { schema });
  return Object.assign(database, { [Symbol.asyncDispose]: async () => client.end({ timeout: 5 }) });
}
