import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FairShare } from '../scheduling/index.ts';
import { bounded, plain, quantile, type Row } from './report.ts';

interface Load {
  readonly ready: number;
  readonly customers: number;
  /** Decisions per second. */
  readonly bar?: number;
  readonly mostMegabytes?: number;
}

const loads: readonly Load[] = [
  { ready: 10_000, customers: 1_000 },
  { ready: 1_000_000, customers: 10_000, bar: 400_000, mostMegabytes: 250 },
  { ready: 1_000_000, customers: 100_000, bar: 250_000 },
  { ready: 5_000_000, customers: 10_000 },
  { ready: 5_000_000, customers: 100_000 },
];
const rounds = 3;
const runningAtOnce = 1_000;

/**
 * Decisions per second with completions beside them, the time of the slowest, and memory; then the case where nothing
 * fits.
 */
export function speedRows(mostReady: number): Row[] {
  const rows: Row[] = [plain('calibration: Map look-ups', mapLookups(), '/s')];
  for (const load of loads) if (load.ready <= mostReady) rows.push(...measure(load));
  rows.push(plain('10,000 customers whose heads do not fit: answers', nothingFits(), '/s'));
  return rows;
}

function measure({ ready, customers, bar, mostMegabytes }: Load): Row[] {
  const name = `${ready.toLocaleString('en')} ready, ${customers.toLocaleString('en')} customers`;
  const before = memory();
  const scheduler = new FairShare();
  for (let i = 0; i < customers; i++) scheduler.setCustomer({ id: `customer-${i}`, weight: 1 + (i % 10) });
  const begun = performance.now();
  for (let i = 0; i < ready; i++)
    scheduler.add({ id: `agenda-${i}`, customerId: `customer-${(i * 7_919) % customers}`, readyTime: i });
  const added = ready / ((performance.now() - begun) / 1_000);
  const megabytes = (memory() - before) / 1e6;
  const running: string[] = [];
  let place = 0;
  const decide = (): void => {
    const decision = scheduler.next({ slots: 1 });
    if (decision === undefined) throw new Error('nothing left');
    const ended = running[place];
    running[place] = decision.id;
    place = (place + 1) % runningAtOnce;
    if (ended !== undefined) scheduler.finish(ended);
  };
  const batch = Math.min(200_000, Math.floor(ready / (rounds + 1)));
  let best = 0;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    for (let i = 0; i < batch; i++) decide();
    best = Math.max(best, batch / ((performance.now() - start) / 1_000));
  }
  const each = Array.from({ length: Math.min(50_000, batch / 2) }, () => {
    const start = performance.now();
    decide();
    return (performance.now() - start) * 1_000;
  });
  return [
    bar === undefined
      ? plain(`${name}: decisions`, best, '/s')
      : bounded(`${name}: decisions`, best, '/s', { atLeast: bar }),
    bar === undefined
      ? plain(`${name}: p99`, quantile(each, 0.99), 'µs')
      : bounded(`${name}: p99`, quantile(each, 0.99), 'µs', { atMost: 20 }),
    plain(`${name}: added`, added, '/s'),
    mostMegabytes === undefined
      ? plain(`${name}: memory`, megabytes, 'MB')
      : bounded(`${name}: memory`, megabytes, 'MB', { atMost: mostMegabytes }),
  ];
}

function nothingFits(): number {
  const scheduler = new FairShare();
  for (let i = 0; i < 10_000; i++)
    scheduler.add({ id: `agenda-${i}`, customerId: `customer-${i}`, readyTime: i, need: { slots: 2 + (i % 5) } });
  const count = 20_000;
  const start = performance.now();
  for (let i = 0; i < count; i++) scheduler.next({ slots: 1 });
  return count / ((performance.now() - start) / 1_000);
}

function mapLookups(): number {
  const ids = new Map<string, number>();
  const names = Array.from({ length: 1_000_000 }, (_, i) => `agenda-${i}`);
  for (const [i, id] of names.entries()) ids.set(id, i);
  let sum = 0;
  const start = performance.now();
  for (let i = 0; i < names.length; i++) sum += ids.get(names[(i * 7_919) % names.length] as string) ?? 0;
  return sum > 0 ? names.length / ((performance.now() - start) / 1_000) : 0;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes in use, the schedulers' columns outside the heap included. */
function memory(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
