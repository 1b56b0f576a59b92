/**
 * Whether a program and a database fit: each knows how many migrations it knows of, and how many a program must know.
 */
import type { Database } from './connect.ts';
import { readMigrations } from './migrate.ts';

/** How the database stands to this program. */
export type SchemaVersion =
  | { readonly kind: 'fits'; readonly schema: number }
  /** Migrations are missing: whoever migrates has not done so yet. */
  | { readonly kind: 'behind'; readonly schema: number; readonly needed: number }
  /** A newer program took away what this one needs. */
  | { readonly kind: 'ahead'; readonly schema: number; readonly oldest: number; readonly known: number };

/** Postgres' code of a table that is not there. */
const noSuchTable = '42P01';

/**
 * Compares the migrations that were done with those this program brings along. A schema is numbered by its migrations,
 * from 1.
 */
export async function readSchemaVersion(database: Database): Promise<SchemaVersion> {
  const known = readMigrations();
  const needed = known.length;
  const [newest] = known.slice(-1);
  const done = await readDone(database);
  const isMissing = newest !== undefined && !done.includes(newest.folderMillis);
  if (isMissing) return { kind: 'behind', schema: done.length, needed };
  const [row] = await database.$client<{ oldest: number }[]>`
    /* schemaVersion: oldest program */
    select oldest_schema as oldest from installation`;
  const oldest = row?.oldest ?? 0;
  if (oldest > needed) return { kind: 'ahead', schema: done.length, oldest, known: needed };
  return { kind: 'fits', schema: done.length };
}

async function readDone(database: Database): Promise<number[]> {
  try {
    const rows = await database.$client<{ when: number }[]>`
      /* schemaVersion: done */
      select created_at::float8 as when from drizzle.__drizzle_migrations order by created_at`;
    return rows.map(({ when }) => when);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === noSuchTable) return [];
    throw error;
  }
}

/** The database is of a newer release, which took away what this program needs; waiting does not help. */
export class SchemaTooNewError extends Error {
  constructor({ oldest, known }: Extract<SchemaVersion, { kind: 'ahead' }>) {
    super(
      `The database needs programs that know ${oldest} migrations, this one knows ${known}: ` +
        'start the release that migrated it.',
    );
    this.name = 'SchemaTooNewError';
  }
}
