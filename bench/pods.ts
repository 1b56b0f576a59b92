/**
 * Pods through one pool worker (`npm run bench:pods`, `-- --json`), beside a bare loop of the same client library, on a
 * cluster whose Pods are on paper: they are scheduled and end, and nothing runs. So what is measured is what it costs
 * to launch and to see the end, on both sides, and not what handlers do.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { labels } from '../k8s/names.ts';
import { launchKey } from '../launchers/launch-key.ts';
import { plainNames } from '../workflows/names.ts';
import { BarePods } from './bare-pod-orders.ts';
import { PodPool, type Submitted } from './pod-pool.ts';
import { processorSeconds, residentBytes } from './process-use.ts';
import { bounded, compared, median, plain, quantile, type Row, report } from './report.ts';

const rounds = numberOf('rounds', 3);
const fanWidth = numberOf('width', 500);
const loneAgendas = 60;
const waitingOperations = 2_000;
const mostOperations = 500;
const idleSeconds = 40;

const say = (line: string) => process.stderr.write(`${line}\n`);
const only = optionOf('only');

function optionOf(name: string): string | undefined {
  const start = `--${name}=`;
  return process.argv.find((argument) => argument.startsWith(start))?.slice(start.length);
}

function numberOf(name: string, usual: number): number {
  const given = Number(optionOf(name) ?? usual);
  if (Number.isInteger(given) && given > 0) return given;
  throw new Error(`--${name} takes a whole number from 1 on.`);
}

async function main(): Promise<void> {
  await using pool = await PodPool.start();
  await using bare = await BarePods.start(pool.bareEnvironment);
  const connection = await Connection.connect({ address: pool.system.urls.temporal });
  try {
    const bench = new PodBench(pool, bare, new Client({ connection }));
    const rows: Row[] = [];
    const wanted = (part: string) => only === undefined || only === part;
    if (wanted('waiting')) rows.push(...(await bench.waiting()));
    if (wanted('latency')) rows.push(...(await bench.latency()));
    if (wanted('throughput')) rows.push(...(await bench.throughput()));
    report('pods', rows, `medians of ${rounds} alternating rounds of ${fanWidth} Pods`);
  } finally {
    await connection.close();
  }
}

class PodBench {
  readonly #pool: PodPool;
  readonly #bare: BarePods;
  readonly #client: Client;

  constructor(pool: PodPool, bare: BarePods, client: Client) {
    this.#pool = pool;
    this.#bare = bare;
    this.#client = client;
  }

  /** A fan of Pods that end at once, against the bare loop. */
  async throughput(): Promise<Row[]> {
    say('warming up');
    await this.#fan(50);
    await this.#bare.fan(50, false);
    const ours: number[] = [];
    const bare: number[] = [];
    const bareWithSecrets: number[] = [];
    const requests: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      say(`throughput, round ${round} of ${rounds}`);
      const before = (await this.#pool.requests()).length;
      const idle = this.#pool.processorSeconds(this.#bare.pid);
      ours.push(await this.#fan(fanWidth));
      const afterOurs = this.#pool.processorSeconds(this.#bare.pid);
      const asked = new Set((await this.#pool.requests()).slice(before).map(({ auditID }) => auditID));
      requests.push(asked.size / fanWidth);
      const beforeBare = this.#pool.processorSeconds(this.#bare.pid);
      bare.push(await this.#bare.fan(fanWidth, false));
      const afterBare = this.#pool.processorSeconds(this.#bare.pid);
      for (const [part, seconds] of afterOurs)
        say(
          `    ${part}: ${(((seconds - (idle.get(part) ?? 0)) * 1000) / fanWidth).toFixed(2)} ms, bare ${((((afterBare.get(part) ?? 0) - (beforeBare.get(part) ?? 0)) * 1000) / fanWidth).toFixed(2)} ms`,
        );
      bareWithSecrets.push(await this.#bare.fan(fanWidth, true));
      say(`  ${ours.at(-1)} ${bare.at(-1)} ${bareWithSecrets.at(-1)}`);
    }
    return [
      compared('Pods, scheduled to end noticed', median(ours), '/s', median(bare), { atLeast: 0.8 }),
      plain('bare loop with Secrets', median(bareWithSecrets), '/s'),
      bounded('API-server requests per Pod', median(requests), '', { atMost: 6 }),
    ];
  }

  async #fan(width: number): Promise<number> {
    const agenda = await this.#pool.submit('ends', width);
    await this.#pool.untilComplete(agenda);
    const launches = await this.#pool.launches([agenda]);
    if (launches.length !== width) throw new Error(`${launches.length} launches of ${width} Operations`);
    const begun = Math.min(...launches.map(({ scheduledTime }) => scheduledTime));
    const ended = Math.max(...launches.map(({ noticedTime }) => noticedTime ?? Number.NaN));
    return (width * 1_000) / (ended - begun);
  }

  /** From the end of a Pod, as a bare watch sees it, to the Operation's end in Temporal. */
  async latency(): Promise<Row[]> {
    say('latency');
    const selector = labels.key;
    await this.#bare.watch(this.#pool.namespace, selector);
    const agendas: Submitted[] = [];
    for (let n = 0; n < loneAgendas; n++) {
      const agenda = await this.#pool.submit('endsLater', 1);
      await this.#pool.untilComplete(agenda);
      agendas.push(agenda);
    }
    const lone = await this.#delays(agendas);
    return [
      bounded('end of a Pod seen by a bare watch to Operation complete, p50', quantile(lone, 0.5), 'ms', {
        atMost: 150,
      }),
      plain('the same, p99', quantile(lone, 0.99), 'ms'),
    ];
  }

  async #delays(agendas: readonly Submitted[]): Promise<number[]> {
    const seen = await this.#bare.seen();
    const delays: number[] = [];
    for (const { id } of agendas) {
      const history = await this.#client.workflow.getHandle(plainNames.agendaWorkflow(id)).fetchHistory();
      const completed = history.events?.find(({ activityTaskCompletedEventAttributes: done }) => done != null);
      const { seconds, nanos } = completed?.eventTime ?? {};
      const key = launchKey({ agendaId: id, attempt: 1, operation: 'o0', operationAttempt: 1, launch: 1 });
      delays.push(Number(seconds) * 1_000 + Number(nanos) / 1e6 - (seen[key] ?? Number.NaN));
    }
    return delays;
  }

  /** What a pool worker needs while nothing happens: with nothing to wait for, and with many. */
  async waiting(): Promise<Row[]> {
    say('an idle pool worker');
    await this.#pool.renewWorker();
    await delay(5_000);
    const idle = await this.#use();
    say(`idle: ${JSON.stringify(idle)}`);
    const agendas: Submitted[] = [];
    for (let left = waitingOperations; left > 0; left -= mostOperations)
      agendas.push(await this.#pool.submit('stays', Math.min(left, mostOperations)));
    say(`${waitingOperations} Operations begin`);
    const begun = performance.now();
    for (;;) {
      const running = (await this.#pool.launches(agendas)).filter(({ startedTime }) => startedTime !== null).length;
      if (running === waitingOperations) break;
      say(`  ${running}`);
      await delay(1_000);
    }
    say(`${waitingOperations} Operations run after ${((performance.now() - begun) / 1_000).toFixed(1)} s`);
    await delay(5_000);
    const waiting = await this.#use();
    say(`waiting: ${JSON.stringify(waiting)}`);
    for (const { id } of agendas) await this.#pool.call('POST', `/agenda/${id}/cancel`);
    const megabytes = (waiting.bytes - idle.bytes) / 1e6;
    return [
      bounded('memory with 2,000 Operations waiting, above idle', megabytes, 'MB', { atMost: 200 }),
      bounded('processor with 2,000 Operations waiting', waiting.percent, '% of a core', { atMost: 8 }),
      bounded('processor with none', idle.percent, '% of a core', { atMost: 1 }),
    ];
  }

  async #use(): Promise<{ percent: number; bytes: number }> {
    const pid = this.#pool.worker;
    const begun = performance.now();
    const before = processorSeconds(pid);
    let bytes = 0;
    for (let second = 0; second < idleSeconds; second++) {
      await delay(1_000);
      bytes = Math.max(bytes, residentBytes(pid));
    }
    const seconds = (performance.now() - begun) / 1_000;
    return { percent: ((processorSeconds(pid) - before) / seconds) * 100, bytes };
  }
}

await main();
