/**
 * The way from submission to result beside bare Temporal, on one machine (`npm run bench:path`, `-- --json`). Both
 * sides use the same server, the same worker options and the same split into a workflow and an activity process; rounds
 * alternate.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { System } from '../machine/system.ts';
import { plainNames } from '../workflows/names.ts';
import { BareWorkers } from './bare-workers.ts';
import { inParallel } from './in-parallel.ts';
import { bounded, compared, median, quantile, type Row, report } from './report.ts';

const rounds = 5;
const concurrency = 100;
const throughputAgendas = 150;
const submissions = 3_000;

interface Submitted {
  readonly id: string;
  readonly progressId: string;
}
interface Progress {
  readonly processingState: string;
  readonly processingStateMessage: string;
  readonly operationProgress: readonly { readonly startedTime: number }[];
}

const say = (line: string) => process.stderr.write(`${line}\n`);

async function main(): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'pop-bench-'));
  const registry = join(home, 'registry.json');
  await writeFile(
    registry,
    JSON.stringify({ basePodConfig: {}, noOp: { podConfig: { launch: 'inProcess', function: 'noOp' } } }),
  );
  process.env.POP_CONCURRENCY = String(concurrency);
  const begun = performance.now();
  const system = await System.start({ home, registry });
  const startSeconds = (performance.now() - begun) / 1000;
  const connection = await Connection.connect({ address: system.urls.temporal });
  try {
    await using _ = await BareWorkers.start(system.urls.temporal, ['workflows', 'activities']);
    const bench = new PathBench(system, new Client({ connection }));
    await bench.prepare();
    const rows: Row[] = [bounded('start-up to ready', startSeconds, 's', { atMost: 10 })];
    rows.push(...(await bench.latency()), ...(await bench.shapes()), ...(await bench.throughput()));
    await system.stop('temporal');
    rows.push(await bench.submissions());
    report(
      'path',
      rows,
      `medians of ${rounds} alternating rounds; ` +
        'chain, fan: workflow start to close as the Temporal server recorded it; submissions: best of 3.',
    );
  } finally {
    await connection.close();
    await system.stopAll();
    await rm(home, { recursive: true, force: true });
  }
}

class PathBench {
  readonly #system: System;
  readonly #client: Client;
  #number = 0;

  constructor(system: System, client: Client) {
    this.#system = system;
    this.#client = client;
  }

  async prepare(): Promise<void> {
    await this.#call('POST', '/resourcepool', { id: this.#system.poolId, customerId: 'bench', title: 'bench' });
    await this.#call('POST', '/customer', {
      id: 'bench',
      customerId: 'bench',
      title: 'bench',
      resourcePoolId: this.#system.poolId,
    });
    await this.#call('POST', '/insight', {
      customerId: 'bench',
      title: 'all',
      resourcePoolId: this.#system.poolId,
      queueSize: 100_000,
      mappers: { operationType: ['noOp'] },
    });
    say('warming up');
    for (let n = 0; n < 5; n++) {
      await this.#untilComplete(await this.#submit(fan(10)));
      await this.#bare('bareFan', { width: 10 });
    }
  }

  /** Submit to first Operation started, one Agenda at a time on an idle system. */
  async latency(): Promise<Row[]> {
    say('latency');
    const values: number[] = [];
    for (let n = 0; n < 60; n++) {
      const begun = Date.now();
      const submitted = await this.#submit(fan(1));
      const { operationProgress } = await this.#untilComplete(submitted);
      values.push((operationProgress[0]?.startedTime ?? Number.NaN) - begun);
    }
    return [
      bounded('submit to first Operation started, p50', quantile(values, 0.5), 'ms', { atMost: 150 }),
      bounded('submit to first Operation started, p99', quantile(values, 0.99), 'ms', { atMost: 500 }),
    ];
  }

  /** A chain and a fan, the whole workflow. */
  async shapes(): Promise<Row[]> {
    const ours: Record<'chain' | 'fan', number[]> = { chain: [], fan: [] };
    const bare: Record<'chain' | 'fan', number[]> = { chain: [], fan: [] };
    for (let round = 0; round < rounds; round++) {
      say(`shapes, round ${round + 1} of ${rounds}`);
      ours.chain.push(await this.#agendaMilliseconds(chain(20)));
      bare.chain.push(await this.#bare('bareChain', { length: 20 }));
      ours.fan.push(await this.#agendaMilliseconds(fan(100)));
      bare.fan.push(await this.#bare('bareFan', { width: 100 }));
    }
    return [
      compared('chain of 20 no-op Operations', median(ours.chain), 'ms', median(bare.chain), { atMost: 1.5 }),
      compared('fan of 100 no-op Operations', median(ours.fan), 'ms', median(bare.fan), { atMost: 1.5 }),
    ];
  }

  /** One-Operation Agendas from HTTP to complete, against starting as many one-activity workflows. */
  async throughput(): Promise<Row[]> {
    const ours: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < 3; round++) {
      say(`throughput, round ${round + 1} of 3`);
      let begun = performance.now();
      const all = await inParallel(throughputAgendas, 16, () => this.#submit(fan(1)));
      await this.#untilAllComplete(all);
      ours.push((throughputAgendas * 1000) / (performance.now() - begun));
      begun = performance.now();
      const handles = await inParallel(throughputAgendas, 16, () => this.#startBare('bareFan', { width: 1 }));
      await Promise.all(handles.map((handle) => handle.result()));
      bare.push((throughputAgendas * 1000) / (performance.now() - begun));
    }
    return [compared('one-Operation Agendas, HTTP to complete', median(ours), '/s', median(bare), { atLeast: 0.7 })];
  }

  /** The api and Postgres alone: Temporal is stopped. */
  async submissions(): Promise<Row> {
    const rates: number[] = [];
    for (let round = 0; round < 3; round++) {
      say(`submissions, round ${round + 1} of 3`);
      const begun = performance.now();
      await inParallel(submissions, 32, () => this.#submit(fan(1)));
      rates.push((submissions * 1000) / (performance.now() - begun));
    }
    return bounded('submissions with Temporal stopped, best of 3', Math.max(...rates), '/s', { atLeast: 500 });
  }

  async #agendaMilliseconds(agenda: object): Promise<number> {
    const submitted = await this.#submit(agenda);
    await this.#untilComplete(submitted);
    return this.#recordedMilliseconds(plainNames.agendaWorkflow(submitted.id));
  }

  async #startBare(type: string, input: object) {
    return this.#client.workflow.start(type, {
      taskQueue: 'bare',
      workflowId: `bare-${++this.#number}`,
      args: [input],
    });
  }

  async #bare(type: string, input: object): Promise<number> {
    const handle = await this.#startBare(type, input);
    await handle.result();
    return this.#recordedMilliseconds(handle.workflowId);
  }

  async #recordedMilliseconds(workflowId: string): Promise<number> {
    const handle = this.#client.workflow.getHandle(workflowId);
    await handle.result();
    const { startTime, closeTime } = await handle.describe();
    if (closeTime === undefined) throw new Error(`${workflowId} has no close time`);
    return closeTime.getTime() - startTime.getTime();
  }

  #submit(agenda: object): Promise<Submitted> {
    return this.#call<Submitted & { id: string }>('POST', '/agenda', agenda);
  }

  async #untilComplete({ progressId }: Submitted): Promise<Progress> {
    for (;;) {
      const progress = await this.#call<Progress>('GET', `/progress/agenda/${progressId}?wait=30s`);
      if (progress.processingState !== 'COMPLETE') continue;
      if (progress.processingStateMessage !== 'succeeded')
        throw new Error(`an Agenda ended as ${JSON.stringify(progress)}`);
      return progress;
    }
  }

  async #untilAllComplete(all: readonly Submitted[]): Promise<void> {
    await Promise.all(all.map((submitted) => this.#untilComplete(submitted)));
  }

  async #call<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${this.#system.urls.api}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#system.keys.operator}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Answer;
  }
}

const noOp = (name: string, dependsOn: readonly string[] = []) => ({
  name,
  type: 'noOp',
  payload: { name },
  dependsOn,
});
const fan = (width: number) => ({
  customerId: 'bench',
  operations: Array.from({ length: width }, (_, n) => noOp(`o${n}`)),
});
const chain = (length: number) => ({
  customerId: 'bench',
  operations: Array.from({ length }, (_, n) => noOp(`o${n}`, n === 0 ? [] : [`o${n - 1}`])),
});

await main();
