import { describe, expect, test } from 'vitest';
import { createAlgorithm, RoundRobin, type Scheduler } from './index.ts';

const customers = ['A', 'B', 'C'];

function filled(counts: Readonly<Record<string, number>>): Scheduler {
  const scheduler = createAlgorithm('RoundRobin');
  for (const id of customers) scheduler.setCustomer({ id, weight: 1 });
  for (const [customerId, count] of Object.entries(counts)) {
    for (let i = 1; i <= count; i++) scheduler.add({ id: `${customerId}${i}`, customerId, readyTime: i });
  }
  return scheduler;
}

/** One run: what it picked, and who is pending afterwards. */
function run(scheduler: Scheduler, requested: number): [string, string] {
  const picks: string[] = [];
  scheduler.begin(requested);
  while (picks.length < requested) {
    const decision = scheduler.next();
    if (decision === undefined) break;
    picks.push(decision.id);
  }
  return [picks.join(' '), (scheduler.snapshot().state as { pending: string[] }).pending.join(' ')];
}

describe('the known vectors, picks and who is pending', () => {
  test.each([
    [
      1,
      { A: 6, B: 1, C: 2 },
      2,
      [
        ['A1 B1', 'C'],
        ['C1 A2', 'B C'],
        ['C2 A3', 'B C'],
        ['A4 A5', 'B C'],
        ['A6', 'B C'],
        ['', 'A B C'],
      ],
    ],
    [
      2,
      { A: 6, B: 1, C: 2 },
      4,
      [
        ['A1 B1 C1 A2', 'B C'],
        ['C2 A3 A4 A5', 'B C'],
        ['A6', 'B C'],
      ],
    ],
    [
      3,
      { A: 5, B: 5, C: 5 },
      2,
      [
        ['A1 B1', 'C'],
        ['C1 A2', 'B C'],
        ['B2 C2', ''],
        ['A3 B3', 'C'],
        ['C3 A4', 'B C'],
        ['B4 C4', ''],
      ],
    ],
    [
      4,
      { C: 5 },
      2,
      [
        ['C1 C2', 'A B'],
        ['C3 C4', 'A B'],
        ['C5', 'A B'],
      ],
    ],
    [
      5,
      { A: 4, B: 4 },
      3,
      [
        ['A1 B1 A2', 'B C'],
        ['B2 A3 B3', 'C'],
        ['A4 B4', 'C'],
      ],
    ],
  ] as const)('case %i', (_case, counts, requested, runs) => {
    const scheduler = filled(counts);
    expect(runs.map(() => run(scheduler, requested))).toEqual(runs);
  });

  test('are the same when the scheduler is restored before each run', () => {
    let scheduler = filled({ A: 5, B: 5, C: 5 });
    const runs = Array.from({ length: 6 }, () => {
      scheduler = createAlgorithm('RoundRobin', undefined, JSON.parse(JSON.stringify(scheduler.snapshot())));
      return run(scheduler, 2);
    });
    expect(runs.map(([picks]) => picks)).toEqual(['A1 B1', 'C1 A2', 'B2 C2', 'A3 B3', 'C3 A4', 'B4 C4']);
  });
});

test('without begin each next is a run of one', () => {
  const scheduler = filled({ A: 3, B: 1, C: 2 });
  const ids = Array.from({ length: 7 }, () => scheduler.next()?.id);
  expect(ids).toEqual(['A1', 'B1', 'C1', 'A2', 'C2', 'A3', undefined]);
});

test('a customer that is paused or at its maximum has nothing ready', () => {
  const scheduler = filled({ A: 3, B: 3, C: 3 });
  scheduler.setCustomer({ id: 'A', weight: 1, paused: true });
  scheduler.setCustomer({ id: 'B', weight: 1, maximumRunning: 1 });
  expect(run(scheduler, 4)).toEqual(['B1 C1 C2 C3', 'A B']);
  scheduler.finish('B1');
  expect(run(scheduler, 4)).toEqual(['B2', 'A B C']);
});

test('whose turn it is keeps it while its Agenda does not fit', () => {
  const scheduler = new RoundRobin();
  scheduler.add({ id: 'large', customerId: 'a', readyTime: 1, need: { slots: 3 } });
  scheduler.add({ id: 'small', customerId: 'b', readyTime: 1 });
  expect(scheduler.next({ slots: 2 })).toBeUndefined();
  expect(scheduler.explain('large')).toMatchObject({ code: 'poolFull', position: 1 });
  expect(scheduler.explain('small')).toMatchObject({ code: 'ahead', position: 2, ahead: 1, aheadOfCustomer: 0 });
  expect([
    scheduler.next({ slots: 3 })?.id,
    scheduler.next({ slots: 0 })?.id,
    scheduler.next({ slots: 1 })?.id,
  ]).toEqual(['large', undefined, 'small']);
});
