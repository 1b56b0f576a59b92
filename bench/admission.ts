/**
 * Admission with deep queues, on one machine (`npm run bench:admission`, `-- --json`).
 *
 *   --waiting 100000,1000000   depths, one after the other on the same record
 *   --customers 10000          weights 1 to 10; --needs 1, --priorities 1: distinct ones among their Agendas
 *   --only decisions           a part: decisions, algorithms, pulls, starts, places, explanations; several with commas
 *   --spans                    also tells, on stderr, what each SQL statement took
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { type Database, openDatabase } from '../db/connect.ts';
import { System } from '../machine/system.ts';
import { plainNames } from '../workflows/names.ts';
import { AdmissionAlone } from './admission-alone.ts';
import { AdmissionLive } from './admission-live.ts';
import { BareWorkers } from './bare-workers.ts';
import { compared, plain, type Row, report } from './report.ts';
import { StatementSpans } from './statement-spans.ts';
import { WaitingRecord } from './waiting-record.ts';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean' },
    waiting: { type: 'string', default: '100000,1000000' },
    customers: { type: 'string', default: '10000' },
    needs: { type: 'string', default: '1' },
    priorities: { type: 'string', default: '1' },
    only: { type: 'string' },
    spans: { type: 'boolean' },
  },
});

const say = (line: string) => process.stderr.write(`${line}\n`);
const parts = ['decisions', 'algorithms', 'pulls', 'starts', 'places', 'explanations'] as const;
const chosen: readonly string[] = options.only?.split(',') ?? parts;
const depths = options.waiting.split(',').map(Number);
const fairness = { schedulingAlgorithm: 'Fairness', costModel: 'shareTime' };
const otherAlgorithms = ['Priority', 'RoundRobin', 'FirstInFirstOut'];

async function main(): Promise<void> {
  const unknown = chosen.find((part) => !(parts as readonly string[]).includes(part));
  if (unknown !== undefined) throw new Error(`no part ${unknown}; there are ${parts.join(', ')}`);
  const home = await mkdtemp(join(tmpdir(), 'pop-bench-'));
  const registry = join(home, 'registry.json');
  await writeFile(
    registry,
    JSON.stringify({ basePodConfig: {}, noOp: { podConfig: { launch: 'inProcess', function: 'noOp' } } }),
  );
  const system = await System.start({ home, registry, without: ['temporal', 'api', 'control', 'pool'] });
  const database = openDatabase(system.urls.database, { connections: 1, applicationName: 'bench-record' });
  try {
    const spans = options.spans === true ? await StatementSpans.enable(system, database) : undefined;
    const record = new WaitingRecord(database, {
      poolId: system.poolId,
      customers: Number(options.customers),
      needs: Number(options.needs),
      priorities: Number(options.priorities),
    });
    await record.prepare();
    const alone = new AdmissionAlone({
      record,
      url: system.urls.database,
      say,
      ...(spans === undefined ? {} : { spans }),
    });
    const rows: Row[] = [plain('calibration: commits of one row', await commitsPerSecond(database), '/s')];
    const notes: string[] = [];
    for (const depth of depths) {
      say(`filling up to ${depth} waiting`);
      await record.fillTo(depth);
      rows.push(...(await measureAlone(alone, depth)));
      if (chosen.some((part) => ['starts', 'places', 'explanations'].includes(part))) {
        await record.reset(fairness);
        await record.limit(0);
        rows.push(...(await measureLive({ system, record, notes, ...(spans === undefined ? {} : { spans }) })));
      }
    }
    rows.push(...deepAgainstShallow(rows), plain('memory of this process', process.memoryUsage().rss / 1e6, 'MB'));
    report(
      'admission',
      rows,
      ['Absolute values: best of 3 rounds; started Agendas: medians of 3 alternating rounds.', ...notes].join('\n'),
    );
  } finally {
    await database[Symbol.asyncDispose]();
    await system.stopAll();
    await rm(home, { recursive: true, force: true });
  }
}

async function measureAlone(alone: AdmissionAlone, depth: number): Promise<Row[]> {
  const rows: Row[] = [];
  const atLeast = depth > 100_000 ? 1_000 : 2_000;
  if (chosen.includes('decisions')) {
    for (const costModel of ['count', 'shareTime'])
      rows.push(...(await alone.decisions({ ...fairness, costModel }, { atLeast })));
  }
  if (chosen.includes('algorithms')) {
    for (const schedulingAlgorithm of otherAlgorithms)
      rows.push(...(await alone.decisions({ ...fairness, schedulingAlgorithm }, {})));
  }
  if (chosen.includes('pulls')) rows.push(...(await alone.pulls(fairness)));
  return rows;
}

interface LiveRecord {
  readonly system: System;
  readonly record: WaitingRecord;
  readonly notes: string[];
  readonly spans?: StatementSpans;
}

/** With Temporal, api and control worker, which run as long as this measures. */
async function measureLive({ system, record, notes, spans }: LiveRecord): Promise<Row[]> {
  await using database = openDatabase(system.urls.database, { applicationName: 'bench-live' });
  const spanned = async <T>(title: string, work: () => Promise<T>): Promise<T> => {
    await spans?.begin();
    const answer = await work();
    await spans?.tell(`${record.depth.toLocaleString('en')} waiting, ${title}`);
    return answer;
  };
  say('starting Temporal, api and control worker');
  await system.start('temporal');
  await Promise.all([system.start('api'), system.start('control')]);
  const connection = await Connection.connect({ address: system.urls.temporal });
  try {
    const live = new AdmissionLive({
      system,
      client: Object.assign(new Client({ connection }), { names: plainNames }),
      database,
      record,
      say,
    });
    const rows: Row[] = [];
    // What waits is taken in by the control worker itself, paused.
    await live.settled();
    if (chosen.includes('starts')) {
      await using _ = await BareWorkers.start(system.urls.temporal, ['workflows']);
      rows.push(await spanned('starts', () => live.starts()));
    }
    if (chosen.includes('places')) rows.push(...(await spanned('free places', () => live.freePlaces())));
    if (chosen.includes('explanations')) rows.push(...(await spanned('explanations', () => live.explanations())));
    rows.push(
      plain(
        `${record.depth.toLocaleString('en')} waiting: memory of the control worker`,
        residentBytes(system.pid('control')) / 1e6,
        'MB',
      ),
    );
    notes.push(...live.notes);
    return rows;
  } finally {
    await connection.close();
    for (const part of ['control', 'api', 'temporal'] as const) await system.stop(part);
  }
}

/** The deepest queue against the shallowest, for each rate that was measured at both. */
function deepAgainstShallow(rows: readonly Row[]): Row[] {
  const [shallow, deep] = [depths[0], depths.at(-1)].map((depth) => `${depth?.toLocaleString('en')} waiting, `);
  if (shallow === undefined || deep === undefined || shallow === deep) return [];
  return rows.flatMap((row) => {
    if (row.bar === undefined || !row.name.endsWith(': decisions') || !row.name.startsWith(deep)) return [];
    const other = rows.find(({ name }) => name === shallow + row.name.slice(deep.length));
    return other === undefined
      ? []
      : [compared(`${row.name}, against ${shallow.slice(0, -2)}`, row.value, row.unit, other.value, { atLeast: 0.5 })];
  });
}

/** Calibration: what Postgres commits here in a second, one row at a time, best of 3 rounds. */
async function commitsPerSecond({ $client: sql }: Database): Promise<number> {
  const commits = 300;
  await sql`create table bench_commit (number int)`;
  const rates: number[] = [];
  for (let round = 0; round < 3; round++) {
    const begun = performance.now();
    for (let number = 0; number < commits; number++) await sql`insert into bench_commit values (${number})`;
    rates.push((commits * 1000) / (performance.now() - begun));
  }
  return Math.max(...rates);
}

function residentBytes(pid: number | undefined): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) * 1024;
}

await main();
