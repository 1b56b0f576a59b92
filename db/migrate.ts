/** Brings a database to the current schema: the checked-in SQL of `db/migrations/`, each file once. */
import { fileURLToPath } from 'node:url';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate } from 'drizzle-orm/postgres-js/migrator';
import postgres from 'postgres';

/** The folder of the checked-in SQL. */
export const migrationsFolder = fileURLToPath(new URL('./migrations', import.meta.url));
/** Any constant; every program that migrates takes this advisory lock. */
const migrationLock = 7_067_001;

/** Runs the migrations that are missing; of several callers at once one works and the others wait for it. */
export async function migrateDatabase(url: string): Promise<void> {
  // One connection, so that the session's advisory lock covers the migration's transaction.
  const client = postgres(url, {
    max: 1,
    connect_timeout: 10,
    connection: { application_name: 'pop migrate' },
    onnotice: () => undefined,
  });
  try {
    await client`/* migrate: lock */ select pg_advisory_lock(${migrationLock})`;
    await migrate(drizzle(client), { migrationsFolder });
  } finally {
    await client.end({ timeout: 5 });
  }
}
