/**
 * How long each migration since 0.1.0 takes on a record of a million Operations (`npm run bench:migrations`, `-- --rows
 * 100000`, `-- --json`), beside one look at each row of `operation_progress` in the same run, before it. Those that run
 * outside a transaction hold nobody up; the others hold their locks for as long as the table says.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDatabase } from '../db/connect.ts';
import { isOutsideTransaction, migrateDatabase, readMigrations } from '../db/migrate.ts';
import { System } from '../machine/system.ts';
import { plain, type Row, report } from './report.ts';

const { values: options } = parseArgs({
  options: { json: { type: 'boolean' }, rows: { type: 'string', default: '1000000' } },
});
/** Migrations of 0.1.0. */
const ofFirstRelease = 5;
/**
 * Longest time a migration in one transaction may take: everybody who wants its tables waits as long. In milliseconds.
 */
const lockBar = 1_000;
const operationsPerAgenda = 10;

const say = (line: string) => process.stderr.write(`${line}\n`);

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

async function main(): Promise<void> {
  const operations = Number(options.rows);
  if (!Number.isSafeInteger(operations) || operations < operationsPerAgenda)
    throw new Error(`--rows must be a whole number from ${operationsPerAgenda} on, not "${options.rows}"`);
  const home = await mkdtemp(join(tmpdir(), 'pop-bench-'));
  const registry = join(home, 'registry.json');
  await writeFile(registry, JSON.stringify({ basePodConfig: {} }));
  const system = await System.start({ home, registry, without: ['temporal', 'api', 'control', 'pool'] });
  const database = openDatabase(system.urls.database, { connections: 1, applicationName: 'bench-migrations' });
  const sql = database.$client;
  try {
    const migrations = readMigrations();
    await sql.unsafe('drop schema public cascade; create schema public; drop schema drizzle cascade');
    await migrateDatabase(system.urls.database, migrations.slice(0, ofFirstRelease));
    say(`filling ${operations} Operations`);
    await sql.unsafe(`
      insert into agenda_progress (id, cid, customer_id, agenda_id, processing_state, processing_state_message)
        select n::text, 'c', 'o', n::text, 'COMPLETE', 'failed'
        from generate_series(1, ${Math.floor(operations / operationsPerAgenda)}) n;
      insert into operation_progress (agenda_id, index, id, agenda_progress_id, customer_id, cid, operation,
          processing_state, processing_state_message)
        select (n / ${operationsPerAgenda})::text, n % ${operationsPerAgenda}, n::text,
          (n / ${operationsPerAgenda})::text, 'o', 'c', n::text, 'COMPLETE', 'succeeded'
        from generate_series(1, ${operations}) n`);
    await sql.unsafe('vacuum analyze agenda_progress, operation_progress');
    const rows: Row[] = [];
    for (const [n, migration] of [...migrations.entries()].slice(ofFirstRelease)) {
      say(`migration ${n}`);
      const scan = await milliseconds(() => sql`select count(distinct cid) from operation_progress`);
      const took = await milliseconds(() => migrateDatabase(system.urls.database, migrations.slice(0, n + 1)));
      const outside = isOutsideTransaction(migration);
      const bar = outside ? {} : { bar: `<= ${lockBar}`, ok: took <= lockBar };
      const name = `migration ${n}, ${outside ? 'outside a transaction' : 'in one transaction'}`;
      rows.push({ ...plain(name, took, 'ms'), baseline: scan, ratio: took / scan, ...bar });
    }
    report(
      'migrations',
      rows,
      `Baseline: one look at each of ${operations.toLocaleString('en')} rows of operation_progress. One round.`,
    );
  } finally {
    await database[Symbol.asyncDispose]();
    await system.stopAll();
    await rm(home, { recursive: true, force: true });
  }
}

await main();
