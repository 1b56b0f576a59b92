/**
 * The scenarios whose bars the algorithms are held to. Each is a workload as data, what is measured on its report, and the policies it is measured on;
 * the bar is on ours.
 */

import { Random } from './random.ts';
import { simulate } from './simulate.ts';
import { specialScenarios } from './special-scenarios.ts';
import type { Arrival, Policy, SimulationReport, Source, Workload } from './workload.ts';

export interface Bar {
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** One figure of a scenario. Without a bar it informs. */
export interface Cell {
  readonly scenario: string;
  readonly measure: string;
  readonly policy: string;
  readonly value: number;
  readonly unit: string;
  readonly bar?: Bar;
}

export interface Measure {
  readonly name: string;
  readonly unit: string;
  readonly bar: Bar;
  of(report: SimulationReport): number;
}

export interface Scenario {
  readonly id: string;
  readonly title: string;
  cells(): Cell[];
}

interface Comparison {
  readonly id: string;
  readonly title: string;
  readonly workload: Workload;
  readonly measures: readonly Measure[];
  readonly ours?: Policy;
  readonly others: readonly Policy[];
}

const compared = ({ id, title, workload, measures, ours = 'Fairness', others }: Comparison): Scenario => ({
  id,
  title,
  cells: () =>
    [ours, ...others].flatMap((policy, index) => {
      const report = simulate(workload, policy);
      const name = index === 0 ? 'ours' : report.policy;
      return measures.map(({ name: measure, unit, bar, of }) => ({
        scenario: id,
        measure,
        policy: name,
        value: of(report),
        unit,
        ...(index === 0 ? { bar } : {}),
      }));
    }),
});

const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, index) => make(index));
const backlogged = (customerId: string, more: Partial<Source> = {}): Source => ({ customerId, seconds: 1, waiting: 50, ...more });
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The longest run of admissions of one customer. */
export function longestRun(customers: readonly string[]): number {
  let longest = 0;
  let run = 0;
  for (const [index, id] of customers.entries()) {
    run = id === customers[index - 1] ? run + 1 : 1;
    longest = Math.max(longest, run);
  }
  return longest;
}

const lag: readonly Measure[] = [
  { name: 'behind', unit: 'quanta', bar: { atMost: 1 }, of: (report) => report.lag.behind },
  { name: 'ahead', unit: 'quanta', bar: { atMost: 1 }, of: (report) => report.lag.ahead },
];

const byWeights = (name: string, weights: readonly number[], untilAdmissions: number): Workload => ({
  name,
  customers: weights.map((weight, index) => ({ id: `c${index}`, weight })),
  sources: weights.map((_, index) => backlogged(`c${index}`)),
  untilAdmissions,
});

/** Zipf with exponent 2 from rank 2, as the published figure draws its keys. */
function zipfArrivals(): Arrival[] {
  const random = new Random(4);
  const odds = times(10, (rank) => 1 / ((2 + rank) * (2 + rank)));
  const total = odds.reduce((sum, odd) => sum + odd, 0);
  return times(225, () => {
    let left = random.next() * total;
    const rank = odds.findIndex((odd) => {
      left -= odd;
      return left < 0;
    });
    return { time: 0, customerId: `key${rank}`, seconds: 1 };
  });
}

const firstDispatch: Measure = {
  name: 'mean first dispatch / keys',
  unit: '',
  bar: { atMost: 0.46 },
  of: ({ admissions }) => {
    const firsts = new Map<string, number>();
    for (const [index, { customerId }] of admissions.entries()) if (!firsts.has(customerId)) firsts.set(customerId, index);
    return mean([...firsts.values()]) / firsts.size;
  },
};

/** Mean wait of the customers that `isLight` names, over that under FIFO. */
const lightWait = (workload: Workload, isLight: (id: string) => boolean, atMost: number): Measure => ({
  name: 'light wait / FIFO',
  unit: '',
  bar: { atMost },
  of: (report) => waitOf(report, isLight) / waitOf(simulate(workload, 'FirstInFirstOut'), isLight),
});

const waitOf = ({ admissions }: SimulationReport, isOne: (id: string) => boolean): number =>
  mean(admissions.filter(({ customerId }) => isOne(customerId)).map(({ start, arrival }) => start - arrival));

const heavyAndLight: Workload = {
  name: 'B5',
  capacity: { slots: 4 },
  arrivals: [
    ...times(120, () => ({ time: 0, customerId: 'heavy', seconds: 3 })),
    ...times(40, (index) => ({ time: 0, customerId: `light${index % 4}`, seconds: 3 })),
  ],
};

const manyKeys = (customerOf: (key: number) => string): Workload => ({
  name: 'B6',
  capacity: { slots: 4 },
  arrivals: [
    ...times(160, (index) => ({ time: 0, customerId: customerOf(index % 20), seconds: 3 })),
    ...times(10, () => ({ time: 0, customerId: 'light', seconds: 3 })),
  ],
});

const shortAndLong: Workload = {
  name: 'B7',
  capacity: { slots: 20 },
  sources: [backlogged('short', { seconds: 60 }), backlogged('long', { seconds: 1_800 })],
  costModel: 'shareTime',
  untilSeconds: 36_000,
};

const burstAfterIdle: Workload = {
  name: 'B8',
  sources: [backlogged('steady', { seconds: 10 }), backlogged('burst', { seconds: 10, from: 7_200 })],
  untilAdmissions: 1_720,
};

function unitAmongSmall(): Workload {
  const random = new Random(10);
  const arrivals: Arrival[] = times(40, () => smallJob(0));
  const seconds = 120;
  // 1.3 × what 20 slots can do.
  for (let time = 0; time < 7_200; time += seconds / 20 / 1.3) arrivals.push(smallJob(time));
  arrivals.push({ time: 600, customerId: 'unit', id: 'unit', seconds: 120, expectedSeconds: 120, need: { slots: 20 }, cost: 20 });
  return { name: 'B10', capacity: { slots: 20 }, arrivals, untilSeconds: 7_200 };

  function smallJob(time: number): Arrival {
    const length = random.whole(10, 230);
    return { time, customerId: `small${random.whole(0, 3)}`, seconds: length, expectedSeconds: length };
  }
}

function underStream(): Workload {
  const arrivals: Arrival[] = times(20, (index) => ({
    time: 60 + index * 180,
    customerId: 'c',
    id: `low${index}`,
    seconds: 60,
    priority: 1,
  }));
  for (let time = 0; time < 7_200; time += 60 / 10 / 1.5) arrivals.push({ time, customerId: 'c', seconds: 60, priority: 5 });
  return { name: 'B11', capacity: { slots: 10 }, arrivals, options: { priorityStep: 120 }, untilSeconds: 7_200 };
}

const isLow = ({ id }: { readonly id: string }): boolean => id.startsWith('low');

function elephantAndMice(): Workload {
  const random = new Random(12);
  return {
    name: 'B12',
    capacity: { slots: 30 },
    arrivals: [
      ...times(20_000, () => ({ time: 0, customerId: 'elephant', seconds: 60 })),
      ...times(199, (index) => ({ time: random.whole(1, 3_600), customerId: `mouse${index}`, seconds: 60 })),
    ],
    untilSeconds: 7_200,
  };
}

const miceP99: Measure = {
  name: 'p99 wait of mice',
  unit: 's',
  bar: { atMost: 60 },
  of: ({ admissions, seconds }) => {
    const waits = admissions.filter(({ customerId }) => customerId !== 'elephant').map(({ start, arrival }) => start - arrival);
    // Those that never started waited all the time.
    while (waits.length < 199) waits.push(seconds);
    return waits.sort((a, b) => a - b)[Math.ceil(199 * 0.99) - 1] as number;
  },
};

const partOf = (report: SimulationReport, from: number, to: number, id: string): number =>
  report.admissions.slice(from, to).filter(({ customerId }) => customerId === id).length;

const reweighted = (before: number, after: number): Workload => ({
  name: 'B17',
  customers: [
    { id: 'a', weight: before },
    { id: 'b', weight: 1 },
  ],
  arrivals: ['a', 'b'].flatMap((customerId) => times(3_000, () => ({ time: 0, customerId, seconds: 1 }))),
  changes: [{ afterAdmissions: 1_000, share: { id: 'a', weight: after } }],
  untilAdmissions: 1_100,
});

const capLifted: Workload = {
  name: 'B18',
  customers: [{ id: 'c', weight: 1, maximumRunning: 0 }],
  sources: [backlogged('a'), backlogged('b'), backlogged('c')],
  changes: [{ afterAdmissions: 1_000, share: { id: 'c', weight: 1 } }],
  untilAdmissions: 2_500,
};

const inBands = (bands: number, floor: number): Workload => ({
  name: 'B19',
  customers: times(bands, (band) => ({ id: `band${band}`, weight: 1, band })),
  sources: times(bands, (band) => backlogged(`band${band}`)),
  options: { floor },
  untilAdmissions: floor * floor * floor,
});

/** How far the counts are from what the floor says, summed up. */
const fromFloor = (bands: number, floor: number): Measure => ({
  name: `${bands} bands, 1 in ${floor}: away from exact`,
  unit: 'admissions',
  bar: { atMost: 0 },
  of: (report) => {
    let away = 0;
    let left = report.admissions.length;
    for (let band = 0; band < bands; band++) {
      const due = band === bands - 1 ? left : left - left / floor;
      away += Math.abs(partOf(report, 0, report.admissions.length, `band${band}`) - due);
      left -= due;
    }
    return away;
  },
});

const overEstimated: Workload = {
  name: 'B21',
  capacity: { slots: 10 },
  sources: [
    ...times(5, (index) => backlogged(`c${index}`, { cost: 2, actualCost: 1 })),
    backlogged('newcomer', { from: 1_000, waiting: 5 }),
  ],
  untilSeconds: 1_010,
};

function bursts(): Workload {
  return {
    name: 'B22',
    sources: [backlogged('steady', { waiting: 3 })],
    arrivals: times(3, (burst) =>
      times(5_000, (index) => ({ time: 100 + burst * 10_000, customerId: `shot${burst}-${index}`, seconds: 1 })),
    ).flat(),
    untilSeconds: 26_000,
  };
}

const farAlong: Workload = {
  name: 'B23',
  customers: [
    { id: 'tiny', weight: 0.001 },
    ...times(10, (index) => ({ id: `c${index}`, weight: [1, 3, 10, 31, 100, 177, 316, 562, 999, 1_000][index] as number })),
  ],
  sources: [
    { customerId: 'tiny', seconds: 1, cost: 1_000, waiting: 2, to: 100_000 },
    ...times(10, (index) => backlogged(`c${index}`, { from: 100_002 })),
  ],
  untilAdmissions: 110_000,
};

const tooLarge: Workload = {
  name: 'B24',
  capacity: { slots: 64 },
  arrivals: [
    { time: 0, customerId: 'large', id: 'large', seconds: 10, need: { slots: 65 } },
    ...times(300, () => ({ time: 1, customerId: 'small', seconds: 10 })),
  ],
};

const gpuUnit: Workload = {
  name: 'B24',
  capacity: { cpu: 64, gpu: 4 },
  arrivals: [
    ...times(2, () => ({ time: 0, customerId: 'gpus', seconds: 100_000, need: { cpu: 1, gpu: 2 } })),
    { time: 1, customerId: 'unit', seconds: 10, need: { cpu: 4, gpu: 4 } },
    ...times(300, () => ({ time: 2, customerId: 'cpus', seconds: 10, need: { cpu: 4 } })),
  ],
  untilSeconds: 50_000,
};

const admitted = (name: string, customerId: string, atLeast: number): Measure => ({
  name,
  unit: 'Agendas',
  bar: { atLeast },
  of: ({ customers }) => customers[customerId]?.admissions ?? 0,
});

export const scenarios: readonly Scenario[] = [
  compared({
    id: 'B1',
    title: 'weights 1 to 10, all backlogged',
    workload: byWeights(
      'B1',
      times(10, (index) => index + 1),
      20_000,
    ),
    measures: lag,
    others: ['write-time stride', 'weighted random', 'plain RR'],
  }),
  compared({
    id: 'B2',
    title: 'one of weight 100 and 100 of weight 1',
    workload: byWeights('B2', [100, ...times(100, () => 1)], 6_000),
    measures: lag,
    others: ['write-time stride', 'weighted random'],
  }),
  compared({
    id: 'B3',
    title: 'weights 0.5 to 700',
    workload: byWeights('B3', [0.5, 1, 3, 7, 30, 300, 600, 700], 20_000),
    measures: lag,
    others: ['write-time stride'],
  }),
  compared({
    id: 'B4',
    title: '225 tasks of 10 keys, Zipf',
    workload: { name: 'B4', arrivals: zipfArrivals() },
    measures: [firstDispatch],
    others: ['FirstInFirstOut', 'weighted random'],
  }),
  compared({
    id: 'B5',
    title: '120 old heavy, 4 × 10 light, 4 slots',
    workload: heavyAndLight,
    measures: [
      lightWait(heavyAndLight, (id) => id !== 'heavy', 0.2),
      { name: 'makespan', unit: 's', bar: { atMost: 120 }, of: ({ seconds }) => seconds },
    ],
    others: ['RoundRobin', 'occupancy DRF', 'cap then FIFO'],
  }),
  compared({
    id: 'B6',
    title: '20 keys of one customer against a light one',
    workload: manyKeys(() => 'heavy'),
    measures: [
      lightWait(
        manyKeys(() => 'heavy'),
        (id) => id === 'light',
        0.1,
      ),
    ],
    others: [],
  }),
  {
    id: 'B6',
    title: 'the same, fair by key',
    cells: () => {
      const workload = manyKeys((key) => `heavy${key}`);
      const { name, of, unit } = lightWait(workload, (id) => id === 'light', 0.1);
      return [{ scenario: 'B6', measure: name, policy: 'plain RR by key', value: of(simulate(workload, 'plain RR')), unit }];
    },
  },
  compared({
    id: 'B7',
    title: 'Agendas of 1 minute and of 30, 20 slots, 10 h',
    workload: shortAndLong,
    measures: [
      {
        name: 'slot-time away from 50 : 50',
        unit: 'points',
        bar: { atMost: 2 },
        of: ({ customers }) => {
          const short = customers.short?.slotSeconds ?? 0;
          return Math.abs((100 * short) / (short + (customers.long?.slotSeconds ?? 0)) - 50);
        },
      },
    ],
    others: ['write-time stride', 'plain RR'],
  }),
  compared({
    id: 'B8',
    title: 'burst after 2 h idle',
    workload: burstAfterIdle,
    measures: [
      {
        name: 'share of the newcomer away from half',
        unit: 'points',
        bar: { atMost: 1 },
        of: (report) => Math.abs(partOf(report, 720, 1_720, 'burst') / 10 - 50),
      },
      {
        name: 'longest run',
        unit: 'admissions',
        bar: { atMost: 1 },
        of: ({ admissions }) => longestRun(admissions.slice(720).map(({ customerId }) => customerId)),
      },
    ],
    others: ['usage half-life'],
  }),
  compared({
    id: 'B9',
    title: '1,000 slots free at once',
    workload: {
      name: 'B9',
      capacity: { slots: 1_000 },
      arrivals: ['a', 'b'].flatMap((customerId) => times(1_000, () => ({ time: 0, customerId, seconds: 60 }))),
      untilAdmissions: 1_000,
    },
    measures: [
      { name: 'away from 500 : 500', unit: 'slots', bar: { atMost: 1 }, of: (report) => Math.abs(partOf(report, 0, 1_000, 'a') - 500) },
    ],
    others: ['charge at completion'],
  }),
  compared({
    id: 'B10',
    title: 'unit of the whole pool among small ones, 1.3 × load, 2 h',
    workload: unitAmongSmall(),
    measures: [
      {
        name: 'wait of the unit',
        unit: 's',
        bar: { atMost: 600 + 230 },
        of: ({ admissions, seconds }) => (admissions.find(({ id }) => id === 'unit')?.start ?? seconds) - 600,
      },
      { name: 'use of the pool', unit: '', bar: { atLeast: 0.97 }, of: ({ utilisation }) => utilisation },
    ],
    others: ['best-effort FIFO', 'occupancy DRF', 'FirstInFirstOut'],
  }),
  compared({
    id: 'B11',
    title: 'priority 1 under a 1.5 × stream of priority 5, step 120 s',
    workload: underStream(),
    ours: 'Priority',
    measures: [
      { name: 'of 20 started', unit: 'Agendas', bar: { atLeast: 20 }, of: ({ admissions }) => admissions.filter(isLow).length },
      {
        name: 'latest overtaker came after',
        unit: 's',
        bar: { atMost: 600 },
        of: ({ admissions }) => {
          const lows = admissions.map((one, index) => ({ ...one, index })).filter(isLow);
          return Math.max(
            0,
            ...lows.map((low) => Math.max(0, ...admissions.slice(0, low.index).map(({ arrival }) => arrival - low.arrival))),
          );
        },
      },
    ],
    others: [{ name: 'Priority', options: { priorityStep: 1e9 } }],
  }),
  compared({
    id: 'B12',
    title: 'elephant of 20,000 and 199 mice, 30 slots',
    workload: elephantAndMice(),
    measures: [miceP99],
    others: ['FirstInFirstOut', 'cap then FIFO'],
  }),
  compared({
    id: 'B17',
    title: 'reweight a live backlog 1:1 to 9:1',
    workload: reweighted(1, 9),
    measures: [
      {
        name: 'next 100 away from 90',
        unit: 'admissions',
        bar: { atMost: 1 },
        of: (report) => Math.abs(partOf(report, 1_000, 1_100, 'a') - 90),
      },
    ],
    others: ['write-time stride'],
  }),
  compared({
    id: 'B17',
    title: 'reweight 0.001 to 1 beside 1',
    workload: reweighted(0.001, 1),
    measures: [
      {
        name: 'next 100 away from 50',
        unit: 'admissions',
        bar: { atMost: 1 },
        of: (report) => Math.abs(partOf(report, 1_000, 1_100, 'a') - 50),
      },
    ],
    others: ['write-time stride'],
  }),
  compared({
    id: 'B18',
    title: 'a cap lifts after 1,000 admissions',
    workload: capLifted,
    measures: [
      {
        name: 'away from 500 each',
        unit: 'admissions',
        bar: { atMost: 1 },
        of: (report) => Math.max(...['a', 'b', 'c'].map((id) => Math.abs(partOf(report, 1_000, 2_500, id) - 500))),
      },
      {
        name: 'longest run',
        unit: 'admissions',
        bar: { atMost: 1 },
        of: ({ admissions }) => longestRun(admissions.slice(1_000).map(({ customerId }) => customerId)),
      },
    ],
    others: ['usage half-life'],
  }),
  ...[10, 50].flatMap((floor) =>
    [2, 3].map((bands) =>
      compared({
        id: 'B19',
        title: `${bands} strict bands, one in ${floor}`,
        workload: inBands(bands, floor),
        ours: 'Priority',
        measures: [fromFloor(bands, floor)],
        others: [],
      }),
    ),
  ),
  compared({
    id: 'B21',
    title: 'costs over-estimated twice, then a newcomer',
    workload: overEstimated,
    measures: [
      {
        name: 'others served before the newcomer',
        unit: 'admissions',
        bar: { atMost: 6 },
        of: ({ admissions }) => {
          const since = admissions.filter(({ start }) => start >= 1_000);
          const first = since.findIndex(({ customerId }) => customerId === 'newcomer');
          return first === -1 ? since.length : first;
        },
      },
    ],
    others: [],
  }),
  compared({
    id: 'B22',
    title: 'bursts of 5,000 one-shot customers beside one',
    workload: bursts(),
    measures: [
      {
        name: 'services of the one during a burst',
        unit: 'admissions',
        bar: { atMost: 1 },
        of: ({ admissions }) =>
          Math.max(
            ...[0, 1, 2].map((burst) => {
              const isShot = ({ customerId }: { readonly customerId: string }) => customerId.startsWith(`shot${burst}-`);
              const part = admissions.slice(admissions.findIndex(isShot), admissions.findLastIndex(isShot));
              return part.filter(({ customerId }) => customerId === 'steady').length;
            }),
          ),
      },
    ],
    others: [],
  }),
  compared({
    id: 'B23',
    title: '1e8 units of cost at weight 0.001, then weights to 1,000',
    workload: farAlong,
    measures: [{ name: 'lag', unit: 'quanta', bar: { atMost: 1 }, of: (report) => lagAfter(report, 100_002) }],
    others: [],
  }),
  compared({
    id: 'B24',
    title: 'unit of 65 slots in a pool of 64',
    workload: tooLarge,
    measures: [admitted('small ones started', 'small', 300)],
    others: ['FirstInFirstOut'],
  }),
  compared({
    id: 'B24',
    title: 'GPU unit behind GPUs of unknown length',
    workload: gpuUnit,
    measures: [admitted('cpu-only ones started', 'cpus', 300)],
    others: ['FirstInFirstOut'],
  }),
  ...specialScenarios,
];

/** The largest lag of the weighted customers after `from`, by what each received; all start together. */
function lagAfter({ admissions, customers }: SimulationReport, from: number): number {
  const since = admissions.filter(({ start, customerId }) => start >= from && customerId !== 'tiny');
  const ids = Object.keys(customers).filter((id) => id !== 'tiny');
  const total = ids.reduce((sum, id) => sum + (customers[id]?.weight ?? 0), 0);
  const received = new Map(ids.map((id) => [id, 0]));
  let largest = 0;
  for (const [index, { customerId }] of since.entries()) {
    received.set(customerId, (received.get(customerId) ?? 0) + 1);
    for (const id of ids)
      largest = Math.max(largest, Math.abs((received.get(id) ?? 0) - ((index + 1) * (customers[id]?.weight ?? 0)) / total));
  }
  return largest;
}
