/**
 * What the record says, as metrics: depth, oldest wait, running, shares. It is the same whichever process is asked, so
 * it is to be taken with `max`, not `sum`. The programs add it to what they count themselves.
 */
import type { Logger } from 'pino';
import { Gauge, type Registry } from 'prom-client';
import type { Database } from '../db/connect.ts';
import { type Gauges, readGauges } from '../db/insight/gauges.ts';

/**
 * What the record says is believed for so long, and longer where reading it takes long: it is never read more than 1/50
 * of the time.
 */
const believedMilliseconds = 5_000;
const mostOfTheTime = 50;

/** How the record is read for metrics. */
export interface RecordMetricsOptions {
  readonly log: Pick<Logger, 'warn'>;
  /** Customers of each Insight that shares are told of; default 20. */
  readonly mostCustomers?: number;
  /** Default 5,000. */
  readonly believedMilliseconds?: number;
}

/** Adds what the record says. While it cannot be read, `pop_record_up` is 0 and the others are absent. */
export function addRecordMetrics(registry: Registry, database: Database, options: RecordMetricsOptions): void {
  const read = remembered(() => readGauges(database, { mostCustomers: options.mostCustomers ?? 20 }), options);
  const gauge = (name: string, help: string, labelNames: string[], fill: (gauge: Gauge, gauges: Gauges) => void) =>
    new Gauge({
      ...{ name, help, labelNames, registers: [registry] },
      async collect() {
        const gauges = await read();
        this.reset();
        if (gauges !== undefined) fill(this, gauges);
      },
    });
  const ofInsights = (name: string, help: string, value: (insight: Gauges['insights'][number]) => number) =>
    gauge(name, help, ['insight', 'title'], (one, { insights }) => {
      for (const insight of insights)
        one.set({ insight: insight.insightId, title: titleLabel(insight.title) }, value(insight));
    });
  const ofCustomers = (name: string, help: string, value: (customer: Gauges['customers'][number]) => number) =>
    gauge(name, help, ['insight', 'customer'], (one, { customers }) => {
      for (const customer of customers)
        one.set({ insight: customer.insightId, customer: customer.customerId }, value(customer));
    });
  new Gauge({
    name: 'pop_record_up',
    help: '1 while the record can be read.',
    registers: [registry],
    async collect() {
      this.set((await read()) === undefined ? 0 : 1);
    },
  });
  ofInsights('pop_waiting_agendas', 'Agendas that wait in an Insight.', (insight) => insight.waiting);
  ofInsights(
    'pop_oldest_wait_seconds',
    'Since when the oldest of them is ready; 0 when none waits.',
    (insight) => insight.oldestWaitSeconds,
  );
  ofInsights('pop_running_agendas', 'Agendas that hold capacity through an Insight.', (insight) => insight.running);
  ofInsights(
    'pop_queued_agendas',
    'Those of them that no pool worker has started yet.',
    (insight) => insight.unstarted,
  );
  ofCustomers(
    'pop_customer_share',
    'Part of an Insight that a customer with work is entitled to, 0 to 1.',
    (customer) => customer.share,
  );
  ofCustomers(
    'pop_customer_lag',
    'Cost it is behind its share (above 0) or ahead of it (below 0).',
    (customer) => customer.lag,
  );
}

/** As POP named its metrics: blanks as underscores. */
const titleLabel = (title: string): string => title.replaceAll(/\s/g, '_');

/** Reads at most once at a time, and not again while the last answer is young. Undefined while reading fails. */
function remembered<T>(
  read: () => Promise<T>,
  { log, believedMilliseconds: least = believedMilliseconds }: RecordMetricsOptions,
): () => Promise<T | undefined> {
  let value: Promise<T | undefined> | undefined;
  let until = 0;
  let failing = false;
  return () => {
    if (value !== undefined && performance.now() < until) return value;
    const begun = performance.now();
    // Until it is there, whoever asks waits for the same.
    until = Number.POSITIVE_INFINITY;
    value = read().then(
      (answer) => {
        const took = performance.now() - begun;
        until = performance.now() + Math.max(least, took * mostOfTheTime);
        failing = false;
        return answer;
      },
      (error: unknown) => {
        if (!failing) log.warn({ err: error }, 'the record could not be read for metrics');
        failing = true;
        until = performance.now() + least;
        return undefined;
      },
    );
    return value;
  };
}
