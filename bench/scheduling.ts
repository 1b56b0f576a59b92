/**
 * Who goes next, measured (`npm run bench:scheduling`, `-- --json`).
 *
 *   (nothing)                     the scenarios with their bars, ours beside models of other policies
 *   --only B7                     one scenario
 *   --speed                       decisions per second of the core; --most 1000000 leaves out larger ones
 *   --workload file.json|.swf     replays a workload against all policies; --policy NAME (repeatable),
 *                                 --jobs N for the first N jobs of an .swf
 *   --plot file.svg               draws shares over time, of the workload or of the example in docs/scheduling.md
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type Cell,
  models,
  parseJsonWorkload,
  parseStandardWorkload,
  plotShares,
  scenarios,
  shownNotes,
  shownWorkload,
  simulate,
  type Workload,
} from '../scheduling/simulator/index.ts';
import { plain, type Row, report } from './report.ts';
import { speedRows } from './scheduling-speed.ts';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean' },
    only: { type: 'string' },
    speed: { type: 'boolean' },
    most: { type: 'string' },
    workload: { type: 'string' },
    policy: { type: 'string', multiple: true },
    jobs: { type: 'string' },
    plot: { type: 'string' },
  },
});

const ours = ['Fairness', 'Priority', 'RoundRobin', 'FirstInFirstOut'];

function main(): void {
  const workload = options.workload === undefined ? undefined : readWorkload(options.workload);
  if (options.plot !== undefined) {
    const shown = workload ?? shownWorkload;
    const result = simulate(shown, options.policy?.[0] ?? 'Fairness');
    writeFileSync(
      options.plot,
      plotShares(
        result,
        result.seconds / 120,
        `${shown.name}: part of the pool by customer`,
        workload === undefined ? shownNotes : [],
      ),
    );
  } else if (workload !== undefined)
    report('scheduling workload', replayed(workload), 'Virtual time. Jain: of service / weight, 1 is even.');
  else if (options.speed === true) {
    report(
      'scheduling speed',
      speedRows(Number(options.most ?? 5_000_000)),
      'One thread, best of 3 rounds; memory after the queue was filled. ' +
        'Calibration: look-ups in a Map of a million ids.',
    );
  } else {
    const rows = scenarios
      .filter(({ id }) => options.only === undefined || id === options.only)
      .flatMap(({ cells }) => cells().map(rowOf));
    report(
      'scheduling',
      rows,
      'Virtual time, seeded: the same on every machine. Rows without a bar are models of other policies.',
    );
  }
}

function rowOf({ scenario, measure, policy, value, unit, bar }: Cell): Row {
  const name = `${scenario} ${measure} · ${policy}`;
  if (bar === undefined) return plain(name, value, unit);
  const { atMost, atLeast } = bar;
  // A lag that is one quantum exactly is measured with the rounding of its sum.
  const ok = value <= (atMost ?? Number.POSITIVE_INFINITY) + 1e-9 && value >= (atLeast ?? Number.NEGATIVE_INFINITY);
  return { name, value, unit, bar: atMost === undefined ? `>= ${atLeast}` : `<= ${atMost}`, ok };
}

function readWorkload(path: string): Workload {
  const text = readFileSync(path, 'utf8');
  return path.endsWith('.swf')
    ? parseStandardWorkload(text, basename(path), Number(options.jobs ?? Number.POSITIVE_INFINITY))
    : parseJsonWorkload(text, basename(path));
}

function replayed(workload: Workload): Row[] {
  return (options.policy ?? [...ours, ...models]).flatMap((policy) => {
    const { customers, utilisation, jain, seconds, admissions } = simulate(workload, policy);
    const waits = admissions.map(({ start, arrival }) => start - arrival).sort((a, b) => a - b);
    const part = (of: number): number => waits[Math.max(0, Math.ceil(waits.length * of) - 1)] ?? Number.NaN;
    const unstarted = Object.values(customers).reduce((sum, { stillWaiting }) => sum + stillWaiting, 0);
    return [
      plain(`${policy}: use of the pool`, utilisation, ''),
      plain(`${policy}: Jain index`, jain, ''),
      plain(`${policy}: wait p50`, part(0.5), 's'),
      plain(`${policy}: wait p99`, part(0.99), 's'),
      plain(
        `${policy}: mean of customers' mean waits`,
        meanOf(Object.values(customers).map(({ waitMean }) => waitMean)),
        's',
      ),
      plain(`${policy}: all ended after`, seconds, 's'),
      plain(`${policy}: never started`, unstarted, 'Agendas'),
    ];
  });
}

function meanOf(values: readonly number[]): number {
  const known = values.filter((value) => !Number.isNaN(value));
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}

main();
