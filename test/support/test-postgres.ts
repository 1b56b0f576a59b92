/** The Postgres of a test run: one server for all test files, and in it a migrated database to clone. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { migrateDatabase, migrationsFolder } from '../../db/migrate.ts';
import { type EmbeddedPostgres, startPostgres } from '../../machine/embedded-postgres.ts';
import { freePort } from '../../machine/free-port.ts';

const run = promisify(execFile);
/** Name of the migrated database that tests clone. */
export const templateDatabase = 'pop_template';
/** Environment variable by which test files find the run's server. */
export const testPostgresVariable = 'POP_TEST_POSTGRES_URL';
/** Tests lose nothing when the machine loses power. */
const settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '400' };

/** A Postgres server of the test run. */
export interface TestPostgres extends AsyncDisposable {
  readonly url: string;
}

/**
 * Starts a server on a copy of a prepared data directory (kept in `.pop/test`, made again when a migration changes).
 */
export async function startTestPostgres(): Promise<TestPostgres> {
  const prepared = await prepareDirectory();
  const directory = await mkdtemp(join(tmpdir(), 'pop-test-postgres-'));
  const dataDirectory = join(directory, 'data');
  // `cp` keeps the owner, which is not ours when we are root.
  await run('cp', ['-Rp', join(prepared, 'data'), dataDirectory]);
  await run('cp', ['-p', join(prepared, 'data.password'), `${dataDirectory}.password`]);
  await run('chmod', ['755', directory]);
  const server = await startOnFreePort(dataDirectory);
  return {
    url: server.url('postgres'),
    async [Symbol.asyncDispose]() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function prepareDirectory(): Promise<string> {
  const home = resolve(process.env.POP_HOME ?? '.pop', 'test');
  const target = join(home, `postgres-${await migrationsHash()}`);
  if (existsSync(target)) return target;
  await mkdir(home, { recursive: true });
  const fresh = await mkdtemp(join(home, '.new-'));
  await run('chmod', ['755', fresh]);
  const server = await startOnFreePort(join(fresh, 'data'));
  try {
    await server.ensureDatabase(templateDatabase);
    await migrateDatabase(server.url(templateDatabase));
  } finally {
    await server.stop();
  }
  try {
    await rename(fresh, target);
  } catch (error) {
    // Another run was first; its directory is as good.
    await rm(fresh, { recursive: true, force: true });
    if (!existsSync(target)) throw error;
  }
  return target;
}

async function startOnFreePort(dataDirectory: string): Promise<EmbeddedPostgres> {
  return startPostgres({ dataDirectory, port: await freePort(0), settings, logFile: `${dataDirectory}.log` });
}

async function migrationsHash(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of (await readdir(migrationsFolder)).filter((name) => name.endsWith('.sql')).sort()) {
    hash.update(file).update(await readFile(join(migrationsFolder, file)));
  }
  return hash.digest('hex').slice(0, 12);
}
