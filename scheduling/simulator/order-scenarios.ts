/** Units that do not fit, priorities and bands: when the order is not the order of shares alone. */
import { Random } from './random.ts';
import { backlogged, compared, type Measure, partOf, type Scenario, times } from './scenario.ts';
import type { Arrival, Workload } from './workload.ts';

function unitAmongSmall(): Workload {
  const random = new Random(10);
  const arrivals: Arrival[] = times(40, () => smallJob(0));
  const seconds = 120;
  // 1.3 × what 20 slots can do.
  for (let time = 0; time < 7_200; time += seconds / 20 / 1.3) arrivals.push(smallJob(time));
  arrivals.push({
    time: 600,
    customerId: 'unit',
    id: 'unit',
    seconds: 120,
    expectedSeconds: 120,
    need: { slots: 20 },
    cost: 20,
  });
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
  for (let time = 0; time < 7_200; time += 60 / 10 / 1.5)
    arrivals.push({ time, customerId: 'c', seconds: 60, priority: 5 });
  return { name: 'B11', capacity: { slots: 10 }, arrivals, options: { priorityStep: 120 }, untilSeconds: 7_200 };
}

const isLow = ({ id }: { readonly id: string }): boolean => id.startsWith('low');

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

/** Put in order by scenarios.ts. */
export const orderScenarios: readonly Scenario[] = [
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
      {
        name: 'of 20 started',
        unit: 'Agendas',
        bar: { atLeast: 20 },
        of: ({ admissions }) => admissions.filter(isLow).length,
      },
      {
        name: 'latest overtaker came after',
        unit: 's',
        bar: { atMost: 600 },
        of: ({ admissions }) => {
          const lows = admissions.map((one, index) => ({ ...one, index })).filter(isLow);
          return Math.max(
            0,
            ...lows.map((low) =>
              Math.max(0, ...admissions.slice(0, low.index).map(({ arrival }) => arrival - low.arrival)),
            ),
          );
        },
      },
    ],
    others: [{ name: 'Priority', options: { priorityStep: 1e9 } }],
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
];
