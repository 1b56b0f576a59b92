/** What happens when customers come back, weights and caps change, or costs were estimated wrong. */
import { backlogged, compared, longestRun, partOf, type Scenario, times } from './scenario.ts';
import type { SimulationReport, Workload } from './workload.ts';

const burstAfterIdle: Workload = {
  name: 'B8',
  sources: [backlogged('steady', { seconds: 10 }), backlogged('burst', { seconds: 10, from: 7_200 })],
  untilAdmissions: 1_720,
};

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
    ...times(10, (index) => ({
      id: `c${index}`,
      weight: [1, 3, 10, 31, 100, 177, 316, 562, 999, 1_000][index] as number,
    })),
  ],
  sources: [
    { customerId: 'tiny', seconds: 1, cost: 1_000, waiting: 2, to: 100_000 },
    ...times(10, (index) => backlogged(`c${index}`, { from: 100_002 })),
  ],
  untilAdmissions: 110_000,
};

/** Put in order by scenarios.ts. */
export const changeScenarios: readonly Scenario[] = [
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
      {
        name: 'away from 500 : 500',
        unit: 'slots',
        bar: { atMost: 1 },
        of: (report) => Math.abs(partOf(report, 0, 1_000, 'a') - 500),
      },
    ],
    others: ['charge at completion'],
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
              const isShot = ({ customerId }: { readonly customerId: string }) =>
                customerId.startsWith(`shot${burst}-`);
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
      largest = Math.max(
        largest,
        Math.abs((received.get(id) ?? 0) - ((index + 1) * (customers[id]?.weight ?? 0)) / total),
      );
  }
  return largest;
}
