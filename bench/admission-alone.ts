/** `admitBatch` by itself: no api, no Temporal, one connection. */
import { admitBatch, mostPerBatch } from '../db/admission/admit-batch.ts';
import { bounded, plain, quantile, type Row } from './report.ts';
import type { StatementSpans } from './statement-spans.ts';
import { TransactionMeter } from './transaction-meter.ts';
import type { InsightSettings, WaitingRecord } from './waiting-record.ts';

const rounds = 3;
const batchesPerRound = 20;
const pullsPerRound = 200;
const mostPerPull = 10;
/** Agendas that run while others are pulled. */
const runningWhilePulling = 200;
/** Longest time a batch may hold the pool, in milliseconds. */
const lockBar = 100;

/** Of several rounds of batches. */
interface Measured {
  /** Decisions per second, of the best round. */
  readonly rate: number;
  /** Milliseconds of the transactions, of the round whose longest was shortest. */
  readonly transactions: readonly number[];
  readonly rowsPerBatch: number;
}

/** What is measured, and where progress is told. */
export interface AloneParts {
  readonly record: WaitingRecord;
  readonly url: string;
  readonly say: (line: string) => void;
  readonly spans?: StatementSpans;
}

/** Rows of the table, measured one after the other on one record. */
export class AdmissionAlone {
  readonly #parts: AloneParts;
  #batches = 0;

  constructor(parts: AloneParts) {
    this.#parts = parts;
  }

  get #depth(): string {
    return `${this.#parts.record.depth.toLocaleString('en')} waiting`;
  }

  /**
   * Batches as large as they may be: taking in what waits, deciding while nothing ends, deciding while as much ends and
   * comes.
   */
  async decisions(settings: InsightSettings, bars: { readonly atLeast?: number }): Promise<Row[]> {
    const { record, url, say } = this.#parts;
    const name = `${this.#depth}, ${settings.schedulingAlgorithm}, ${settings.costModel}`;
    say(`${name}: preparing`);
    await record.reset(settings);
    await using meter = new TransactionMeter(url);
    const takingIn = await this.#spanned(`${name}: taking in`, () => this.#takeIn(meter));
    say(`${name}: deciding`);
    const plainBatches = await this.#rounds(meter, {
      title: `${name}: deciding`,
      batches: batchesPerRound,
      between: async () => undefined,
    });
    const steady = await this.#rounds(meter, {
      title: `${name}: deciding while as many end and come`,
      batches: batchesPerRound,
      between: () => record.replace(mostPerBatch),
    });
    const changed = await this.#changedSettings(meter, name);
    const { atLeast } = bars;
    const longest = (times: readonly number[]): number => Math.max(...times);
    const inTime = (what: string, value: number): Row =>
      atLeast === undefined ? plain(what, value, 'ms') : bounded(what, value, 'ms', { atMost: lockBar });
    return [
      atLeast === undefined
        ? plain(`${name}: decisions`, plainBatches.rate, '/s')
        : bounded(`${name}: decisions`, plainBatches.rate, '/s', { atLeast }),
      plain(`${name}: decisions, as many ending and coming`, steady.rate, '/s'),
      plain(`${name}: transaction, p50`, quantile(plainBatches.transactions, 0.5), 'ms'),
      inTime(`${name}: transaction, longest`, longest(plainBatches.transactions)),
      inTime(`${name}: transaction, as many ending and coming, longest`, longest(steady.transactions)),
      plain(`${name}: rows read per batch`, plainBatches.rowsPerBatch, 'rows'),
      plain(`${name}: taking in all queues`, takingIn.seconds, 's'),
      inTime(`${name}: transaction, taking in, longest`, longest(takingIn.transactions)),
      plain(`${name}: settings of the Insight changed, until it admits again`, changed, 'ms'),
    ];
  }

  /** Small batches one after the other, as a pool that pulls asks for, each after as many have ended and come. */
  async pulls(settings: InsightSettings): Promise<Row[]> {
    const { record, url, say } = this.#parts;
    const name = `${this.#depth}, pulls of 1 to ${mostPerPull}`;
    say(`${name}: preparing`);
    await record.reset(settings);
    await using meter = new TransactionMeter(url);
    await record.limit(runningWhilePulling);
    await this.#takeIn(meter);
    say(name);
    let size = 0;
    const measured = await this.#rounds(meter, {
      title: name,
      batches: pullsPerRound,
      between: () => {
        size = (size % mostPerPull) + 1;
        return record.replace(size);
      },
    });
    return [
      bounded(`${name}: decisions`, measured.rate, '/s', { atLeast: 500 }),
      plain(`${name}: transaction, p50`, quantile(measured.transactions, 0.5), 'ms'),
      plain(`${name}: transaction, p99`, quantile(measured.transactions, 0.99), 'ms'),
    ];
  }

  /** Each customer's place is worked out anew. */
  async #changedSettings(meter: TransactionMeter, name: string): Promise<number> {
    const { record } = this.#parts;
    await record.changeSettings();
    return this.#spanned(`${name}: settings changed`, async () => {
      const begun = performance.now();
      for (let batch = 0; batch < 1_000; batch++) if ((await this.#admit(meter)) > 0) return performance.now() - begun;
      throw new Error('nothing is admitted after settings changed');
    });
  }

  /** Batches until every queue is known to admission and nothing more is admitted that was to be taken in first. */
  async #takeIn(meter: TransactionMeter): Promise<{ seconds: number; transactions: number[] }> {
    const { record } = this.#parts;
    const begun = performance.now();
    for (let left = await record.unsettled(); left > 0; ) {
      await this.#admit(meter);
      const now = await record.unsettled();
      if (now >= left) throw new Error(`admission takes nothing in: ${now} settlements are left`);
      left = now;
    }
    return { seconds: (performance.now() - begun) / 1000, transactions: meter.take() };
  }

  /** Each round begins with the whole depth waiting and little running. */
  async #rounds(
    meter: TransactionMeter,
    {
      title,
      batches,
      between,
    }: { readonly title: string; readonly batches: number; readonly between: () => Promise<unknown> },
  ): Promise<Measured> {
    const { record, spans } = this.#parts;
    const all: Measured[] = [];
    for (let round = 0; round < rounds; round++) {
      await record.replace((await record.countRunning()).all);
      await this.#takeIn(meter);
      await record.flushCounts();
      const readBefore = await meter.rowsRead();
      await spans?.begin();
      const usedBefore = process.cpuUsage();
      let [decisions, milliseconds] = [0, 0];
      for (let batch = 0; batch < batches; batch++) {
        await between();
        const begun = performance.now();
        decisions += await this.#admit(meter);
        milliseconds += performance.now() - begun;
      }
      const transactions = meter.take();
      if (decisions === 0 || transactions.length < batches)
        throw new Error(`${batches} batches admitted ${decisions} Agendas`);
      if (round === rounds - 1) {
        const { user, system } = process.cpuUsage(usedBefore);
        const each = (milliseconds / batches).toFixed(1);
        const own = ((user + system) / 1000 / batches).toFixed(1);
        await spans?.tell(`${title}: ${each} ms a batch, processor of this process ${own} ms`);
      }
      all.push({
        rate: (decisions * 1000) / milliseconds,
        transactions,
        rowsPerBatch: ((await meter.rowsRead()) - readBefore) / batches,
      });
    }
    const best = (worth: (one: Measured) => number): Measured => all.reduce((a, b) => (worth(b) > worth(a) ? b : a));
    return {
      rate: best(({ rate }) => rate).rate,
      transactions: best(({ transactions }) => -Math.max(...transactions)).transactions,
      rowsPerBatch: best(({ rowsPerBatch }) => -rowsPerBatch).rowsPerBatch,
    };
  }

  async #admit({ database }: TransactionMeter): Promise<number> {
    const { insightId } = this.#parts.record;
    const { admitted } = await admitBatch(database, { insightId, batchId: `bench-${process.pid}:${++this.#batches}` });
    return admitted;
  }

  async #spanned<T>(title: string, work: () => Promise<T>): Promise<T> {
    const { spans } = this.#parts;
    await spans?.begin();
    const answer = await work();
    await spans?.tell(title);
    return answer;
  }
}
