import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Amounts, needOf, resourceNames } from './need.ts';
import { type PeakInput, peakOf } from './peak.ts';

/** One slot each, unless said otherwise. */
const slots = (dependencies: readonly (readonly number[])[], each: readonly number[] = [], parallelism?: number) =>
  peakOf({ needs: dependencies.map((_, index) => needOf({ slots: each[index] ?? 1 })), dependencies, parallelism })
    .slots;
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

describe('what an Agenda may hold at once', () => {
  test('of a chain it is the largest Operation, of independent ones their sum', () => {
    expect(slots([[], [0], [1], [2]], [1, 2, 5, 3])).toBe(5);
    expect(slots(times(200, () => []))).toBe(200);
    expect(slots([])).toBe(0);
  });

  test('of a diamond, and of one fan after another, it is the widest part', () => {
    expect(slots([[], [0], [0], [1, 2]], [1, 2, 2, 3])).toBe(4);
    // 1 → 20 → 1 → 30: nobody of the second fan runs beside one of the first.
    const fans = [[], ...times(20, () => [0]), times(20, (n) => n + 1), ...times(30, () => [21])];
    expect(slots(fans)).toBe(30);
  });

  test('Operations of two levels count together where they can run together', () => {
    // 0 → 1 beside 2 → 3, and the large ones are 0 and 3: a sum over levels would say 6.
    expect(slots([[], [0], [], [2]], [5, 1, 1, 5])).toBe(10);
  });

  test('no more run at once than parallelism says: the largest count', () => {
    expect(
      slots(
        times(10, () => []),
        [1, 9, 1, 8, 1, 7],
        2,
      ),
    ).toBe(17);
    expect(slots(times(300, () => []))).toBe(200);
  });

  test('the order of declaration makes no difference', () => {
    expect(slots([[1, 2], [3], [3], []], [3, 2, 2, 1])).toBe(4);
  });

  test('each resource counts by itself, in round amounts', () => {
    const needs = [needOf({ slots: 1, cpu: 0.1, memory: 1 }), needOf({ cpu: 0.2, memory: 2.5, gpu: 1 }), needOf({})];
    expect(peakOf({ needs, dependencies: [[], [], []] })).toEqual({ slots: 1, cpu: 0.3, memory: 4, gpu: 1 });
  });

  test('Operations that wait for each other are no Agenda', () => {
    expect(() => slots([[1], [0]])).toThrow(RangeError);
  });

  test('500 Operations that all wait for all before them are done at once', () => {
    const begun = performance.now();
    expect(slots(times(500, (n) => times(n, (on) => on)))).toBe(1);
    expect(slots(times(500, (n) => times(n >> 1, (on) => on)))).toBeGreaterThan(1);
    expect(performance.now() - begun).toBeLessThan(1_000);
  });
});

/** The heaviest set that can run at once, by trying all. */
function heaviest({ needs, dependencies, parallelism = 200 }: PeakInput): Amounts {
  const before = dependencies.map((on) => new Set(on));
  // Dependencies are of a lower index here, so what they wait for is complete already.
  before.forEach((set) => {
    for (const on of [...set]) for (const further of before[on] ?? []) set.add(further);
  });
  const most = needOf({});
  for (let chosen = 0; chosen < 2 ** needs.length; chosen++) {
    const set = [...needs.keys()].filter((index) => (chosen & (1 << index)) !== 0);
    if (set.length > parallelism || set.some((a) => set.some((b) => before[a]?.has(b)))) continue;
    for (const name of resourceNames)
      most[name] = Math.max(
        most[name],
        set.reduce((sum, index) => sum + (needs[index]?.[name] ?? 0), 0),
      );
  }
  return most;
}

test('it is never less than the heaviest set that can run at once, nor more than all together', () => {
  const amount = fc.integer({ min: 0, max: 9 });
  const need = fc.record({ slots: amount, cpu: amount, memory: amount, gpu: amount });
  const input = fc.integer({ min: 1, max: 8 }).chain((count) =>
    fc.record({
      needs: fc.array(need, { minLength: count, maxLength: count }),
      dependencies: fc.tuple(...times(count, (index) => fc.subarray(times(index, (on) => on)))),
      parallelism: fc.integer({ min: 1, max: 9 }),
    }),
  );
  fc.assert(
    fc.property(input, (agenda) => {
      const peak = peakOf(agenda);
      const least = heaviest(agenda);
      for (const name of resourceNames) {
        expect(peak[name]).toBeGreaterThanOrEqual(least[name]);
        expect(peak[name]).toBeLessThanOrEqual(agenda.needs.reduce((sum, each) => sum + each[name], 0));
      }
    }),
  );
});
