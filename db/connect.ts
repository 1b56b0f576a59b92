/**
 * Connections to Postgres: Drizzle for ordinary queries by key and for lists, its `$client` (postgres.js) where the
 * plan, a lock, the order of statements or one round trip matters; and what the errors of both mean.
 *
 * A statement in SQL begins with its name, `/* family: what *\/`, which Postgres shows and the fault tests use. It
 * gives its columns in camelCase. A fragment begins with something else than a verb: a column, a parenthesis, or the
 * name of a paragraph (`waiting as (…`).
 */
import { DrizzleQueryError, sql } from 'drizzle-orm';
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import * as schema from './schema.ts';

/** The record: Drizzle with the raw client below it; closes its connections when it is disposed of. */
export type Database = PostgresJsDatabase<typeof schema> & { readonly $client: postgres.Sql } & AsyncDisposable;
/** What runs statements of one transaction: `database.$client.begin(async (sql: Statements) => …)`. */
export type Statements = postgres.TransactionSql;
/** What runs raw statements, in a transaction or each for itself. */
export type Sql = Statements | Database['$client'];
/** What Drizzle writes with, in a transaction or each statement for itself. */
export type Writer = Pick<Database, 'insert' | 'update' | 'delete' | 'select' | 'execute'>;

/** Settings of the connections of one process. */
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

/** Asks Postgres for nothing. @throws what the database throws when it does not answer */
export async function ping(database: Database): Promise<void> {
  await database.execute(sql`/* record: ping */ select 1`);
}

/** Codes of Node and of the driver that mean: no connection. */
const connectionCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'EPIPE',
  'ENOENT',
  'CONNECT_TIMEOUT',
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
]);
/** SQLSTATEs of such failures. */
const passingStates = /^(08...|57P0[123]|53[0-9]{3}|40001|40P01)$/;

/**
 * Whether trying again later may help: the connection was lost or refused, Postgres starts or stops or has no
 * connection left, or the transaction collided with another and may simply be repeated.
 */
export function isDatabaseAway(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth += 1) {
    const code = 'code' in cause ? cause.code : undefined;
    // ENOENT is a missing socket only when it comes from connecting.
    if (code === 'ENOENT' && !('syscall' in cause && cause.syscall === 'connect')) continue;
    if (typeof code === 'string' && (connectionCodes.has(code) || passingStates.test(code))) return true;
  }
  return false;
}

/**
 * Of an error that is a failed query: its text and what went wrong, without its parameters, which are customers' data.
 */
export function failedQuery(error: unknown): { readonly query: string; readonly cause: unknown } | undefined {
  return error instanceof DrizzleQueryError ? { query: error.query, cause: error.cause } : undefined;
}
/** A template tag of either library. */
type Tag<Statement> = (text: TemplateStringsArray, ...values: string[]) => Statement;

/**
 * Takes the lock of the pool that an Insight belongs to, until the transaction ends. Whoever admits for a pool, or
 * deletes an Insight with what admission remembers of it, holds it. Both libraries take the same text: `lockPool(sql,
 * id)` of either is the statement.
 */
export const lockPool = <Statement>(tag: Tag<Statement>, insightId: string): Statement => tag`
  /* lockPool: of an Insight */
  select pg_advisory_xact_lock(hashtextextended('resource-pool:' || resource_pool_id, 0))
  from insight where id = ${insightId}`;
