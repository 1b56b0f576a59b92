/** Who gets how much, and who waits how long, while nothing changes. */
import { Random } from './random.ts';
import { backlogged, compared, type Measure, mean, type Scenario, times } from './scenario.ts';
import { simulate } from './simulate.ts';
import type { Arrival, SimulationReport, Workload } from './workload.ts';

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
    for (const [index, { customerId }] of admissions.entries())
      if (!firsts.has(customerId)) firsts.set(customerId, index);
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
    const waits = admissions
      .filter(({ customerId }) => customerId !== 'elephant')
      .map(({ start, arrival }) => start - arrival);
    // Those that never started waited all the time.
    while (waits.length < 199) waits.push(seconds);
    return waits.sort((a, b) => a - b)[Math.ceil(199 * 0.99) - 1] as number;
  },
};

/** Put in order by scenarios.ts. */
export const sharingScenarios: readonly Scenario[] = [
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
      return [
        { scenario: 'B6', measure: name, policy: 'plain RR by key', value: of(simulate(workload, 'plain RR')), unit },
      ];
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
    id: 'B12',
    title: 'elephant of 20,000 and 199 mice, 30 slots',
    workload: elephantAndMice(),
    measures: [miceP99],
    others: ['FirstInFirstOut', 'cap then FIFO'],
  }),
];
