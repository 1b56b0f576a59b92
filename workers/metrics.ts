/**
 * Metrics in the text format of Prometheus. What the record says (depth, oldest wait, running, shares) is the same whichever process is asked,
 * so it is to be taken with `max`, not `sum`; what a process counts itself (admissions, batches, requests) is its own.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Database } from '../db/connect.ts';
import { type Gauges, readGauges } from '../db/insight/gauges.ts';
import type { Log } from './log.ts';

/** What the record says is believed for so long, and longer where reading it takes long: it is never read more than 1/50 of the time. */
const believedMilliseconds = 5_000;
const mostOfTheTime = 50;

/** How the record is read for metrics. */
export interface RecordMetricsOptions {
  readonly log: Pick<Log, 'warn'>;
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
  ofInsights('pop_queued_agendas', 'Those of them that no pool worker has started yet.', (insight) => insight.inQueue);
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

/** What a control worker counts of its own work. */
export interface ControlMetrics {
  /** One batch of admission: how long it took and what it admitted, by reason. */
  batch(
    insightId: string,
    batch: { readonly seconds: number; readonly admitted: number; readonly reasons: Readonly<Record<string, number>> },
  ): void;
  /** Insights that were signalled. */
  wakes(count: number): void;
}

/** Adds them, and returns who is to be told. */
export function addControlMetrics(registry: Registry): ControlMetrics {
  const registers = [registry];
  const admissions = new Counter({
    name: 'pop_admissions_total',
    help: 'Agendas admitted by this process, by why they were chosen.',
    labelNames: ['insight', 'reason'],
    registers,
  });
  const ticks = new Counter({
    name: 'pop_admission_ticks_total',
    help: 'Looks at an Insight by this process.',
    labelNames: ['insight'],
    registers,
  });
  const wakes = new Counter({ name: 'pop_wakes_total', help: 'Insights that this process woke.', registers });
  const seconds = new Histogram({
    name: 'pop_admission_batch_seconds',
    help: 'How long the transaction of a batch took, the wait for its pool included.',
    buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
    registers,
  });
  const size = new Histogram({
    name: 'pop_admission_batch_size',
    help: 'Agendas that a batch admitted.',
    buckets: [0, 1, 2, 5, 10, 20, 50, 100, 200, 500],
    registers,
  });
  return {
    batch(insight, batch) {
      ticks.inc({ insight });
      seconds.observe(batch.seconds);
      size.observe(batch.admitted);
      for (const [reason, count] of Object.entries(batch.reasons)) admissions.inc({ insight, reason }, count);
    },
    wakes: (count) => wakes.inc(count),
  };
}

/** What an api process counts of its requests. */
export interface RequestMetrics {
  request(request: {
    readonly method: string;
    readonly route: string;
    readonly status: number;
    readonly seconds: number;
  }): void;
}

/** Adds them, and returns who is to be told. */
export function addRequestMetrics(registry: Registry): RequestMetrics {
  const seconds = new Histogram({
    name: 'pop_http_request_seconds',
    help: 'How long requests took, long polls included.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],
    registers: [registry],
  });
  return {
    request: ({ method, route, status, seconds: took }) =>
      seconds.observe({ method, route, status: `${Math.floor(status / 100)}xx` }, took),
  };
}

/** Serves `/metrics` to whoever can connect: to be bound to an address that only the collector reaches. */
export async function serveMetrics(
  registry: Registry,
  { host, port, log }: { host: string; port: number; log: Pick<Log, 'info' | 'error'> },
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
      (error: unknown) => {
        log.error({ err: error }, 'metrics could not be told');
        response.writeHead(500).end();
      },
    );
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, host, resolve);
  await promise;
  const { port: listening } = server.address() as AddressInfo;
  log.info({ url: `http://${host}:${listening}/metrics` }, 'metrics ready');
  return {
    port: listening,
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
}
