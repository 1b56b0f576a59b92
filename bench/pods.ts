/**
 * Pods through one pool worker (`npm run bench:pods`, `-- --json`), beside a bare loop of the same client library, on a
 * cluster whose Pods are on paper: they are scheduled and end, and nothing runs. So what is measured is what it costs
 * to launch and to see the end, on both sides, and not what handlers do.
 */
import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { labels } from '../k8s/names.ts';
import { launchKey } from '../launchers/launch-key.ts';
import { plainNames } from '../workflows/names.ts';
import { ArgoFan } from './argo-fan.ts';
import { BarePods } from './bare-pod-orders.ts';
import { PodPool, type Submitted } from './pod-pool.ts';
import { processorSeconds, residentBytes } from './process-use.ts';
import { bounded, compared, median, plain, quantile, type Row, report } from './report.ts';

const rounds = numberOf('rounds', 3);
const fanWidth = numberOf('width', 500);
const loneAgendas = 60;
const waitingOperations = 2_000;
/** As many of an Agenda's Operations are in flight at most. */
const mostInFlight = 200;
const idleSeconds = 30;
/** After a start, and after a burst, code is compiled and memory given back for some seconds. */
const settlingMilliseconds = 20_000;

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
    if (wanted('argo')) rows.push(...(await bench.argo()));
    const load = loadavg()[0]?.toFixed(1);
    report(
      'pods',
      rows,
      `medians of ${rounds} alternating rounds of ${fanWidth} Pods; load of the machine at the end: ${load}. The ` +
        'bare loop creates the same Pods with their Secrets, 20 at once, sees them end in one watch and deletes them.',
    );
  } finally {
    await connection.close();
  }
}

/** Pods a second, and milliseconds of processor time for a Pod by the part that used them. */
interface Round {
  readonly rate: number;
  readonly processor: ReadonlyMap<string, number>;
}

const rateOf = (all: readonly Round[]): number => median(all.map(({ rate }) => rate));
const processorOf = (all: readonly Round[], part: string): number =>
  median(all.map(({ processor }) => processor.get(part) ?? Number.NaN));
/** A comparison that informs and has no bar. */
const beside = (name: string, value: number, unit: string, baseline: number): Row => ({
  ...plain(name, value, unit),
  baseline,
  ...(baseline > 0 && { ratio: value / baseline }),
});

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
    for (let n = 0; n < 2; n++) {
      await this.#fan(Math.min(fanWidth, 100));
      await this.#bare.fan(Math.min(fanWidth, 100), true);
    }
    const ours: Round[] = [];
    const bare: Round[] = [];
    const podsAlone: Round[] = [];
    const requests: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      const before = (await this.#pool.requests()).length;
      ours.push(await this.#round(() => this.#fan(fanWidth)));
      const asked = new Set((await this.#pool.requests()).slice(before).map(({ auditID }) => auditID));
      requests.push(asked.size / fanWidth);
      bare.push(await this.#round(() => this.#bare.fan(fanWidth, true)));
      podsAlone.push(await this.#round(() => this.#bare.fan(fanWidth, false)));
      const rates = [ours, bare, podsAlone].map((each) => each.at(-1)?.rate.toFixed(1)).join(', ');
      say(`throughput, round ${round} of ${rounds}: ${rates} Pods/s (ours, bare, bare without Secrets)`);
    }
    const [rate, bareRate] = [rateOf(ours), rateOf(bare)];
    return [
      compared('Pods, scheduled to end noticed', rate, '/s', bareRate, { atLeast: 0.8 }),
      beside('  beside a bare loop of Pods without Secrets', rate, '/s', rateOf(podsAlone)),
      ...[...(ours[0]?.processor.keys() ?? [])].map((part) =>
        beside(`  processor time for a Pod: ${part}`, processorOf(ours, part), 'ms', processorOf(bare, part)),
      ),
      bounded('API-server requests for a Pod', median(requests), '', { atMost: 6 }),
    ];
  }

  /** The rate that `work` answers, and what each part used for it. */
  async #round(work: () => Promise<number>): Promise<Round> {
    const before = this.#pool.processorSeconds(this.#bare.pid);
    const rate = await work();
    const after = this.#pool.processorSeconds(this.#bare.pid);
    const milliseconds = ([part, seconds]: [string, number]): [string, number] => [
      part,
      ((seconds - (before.get(part) ?? 0)) * 1_000) / fanWidth,
    ];
    return { rate, processor: new Map([...after].map(milliseconds)) };
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

  /** The same fan as an Agenda and as a Workflow of Argo, each from its submission to the end of the whole. */
  async argo(): Promise<Row[]> {
    await using argo = await ArgoFan.prepare(this.#pool.cluster, say);
    const rows: Row[] = [];
    for (const pace of ['unbounded', 'as installed'] as const) {
      say(`warming up, with Argo ${pace}`);
      await argo.run(pace);
      await argo.fan(20);
      await this.#wholeFan(20);
      const ours: number[] = [];
      const theirs: number[] = [];
      const bare: number[] = [];
      for (let round = 1; round <= rounds; round++) {
        ours.push(await this.#wholeFan(fanWidth));
        theirs.push(await argo.fan(fanWidth));
        bare.push(await this.#bare.fan(fanWidth, false));
        const rates = [ours, theirs, bare].map((each) => each.at(-1)?.toFixed(1)).join(', ');
        say(`round ${round} of ${rounds}: ${rates} Pods/s (ours, Argo ${pace}, bare)`);
      }
      const name = `Pods of a whole Agenda, beside Argo Workflows ${pace}`;
      rows.push(compared(name, median(ours), '/s', median(theirs), { atLeast: 2 }));
      rows.push(beside(`  Argo Workflows ${pace}, beside a bare loop of Pods`, median(theirs), '/s', median(bare)));
    }
    return rows;
  }

  async #wholeFan(width: number): Promise<number> {
    const begun = performance.now();
    await this.#pool.untilComplete(await this.#pool.submit('ends', width));
    return (width * 1_000) / (performance.now() - begun);
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
    await delay(settlingMilliseconds);
    const idle = await this.#use();
    say(`idle: ${JSON.stringify(idle)}`);
    const agendas: Submitted[] = [];
    for (let left = waitingOperations; left > 0; left -= mostInFlight)
      agendas.push(await this.#pool.submit('stays', Math.min(left, mostInFlight)));
    say(`${waitingOperations} Operations begin`);
    const begun = performance.now();
    for (;;) {
      const running = (await this.#pool.launches(agendas)).filter(({ startedTime }) => startedTime !== null).length;
      if (running === waitingOperations) break;
      say(`  ${running}`);
      await delay(1_000);
    }
    say(`${waitingOperations} Operations run after ${((performance.now() - begun) / 1_000).toFixed(1)} s`);
    await delay(settlingMilliseconds);
    const waiting = await this.#use();
    say(`waiting: ${JSON.stringify(waiting)}`);
    for (const { id } of agendas) await this.#pool.call('POST', `/agenda/${id}/cancel`);
    await this.#pool.untilIdle();
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
