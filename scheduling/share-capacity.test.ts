import fc from 'fast-check';
import { expect, test } from 'vitest';
import { divideSlots, type InsightDemand, type Remainders, shareCapacity } from './index.ts';

const insight = (id: string, weight: number, demand: number, more: Partial<InsightDemand> = {}): InsightDemand => ({
  id,
  weight,
  demand,
  ...more,
});
const parts = (capacity: number, ...insights: InsightDemand[]) => Object.fromEntries(shareCapacity(capacity, insights));

test('divides by weight, and what one does not need the others use', () => {
  expect(parts(10, insight('a', 5, 100), insight('b', 3, 100), insight('c', 2, 100))).toEqual({ a: 5, b: 3, c: 2 });
  expect(parts(10, insight('a', 5, 1), insight('b', 3, 100), insight('c', 2, 100))).toEqual({ a: 1, b: 5.4, c: 3.6 });
});

test('keeps minimums and maximums', () => {
  expect(parts(10, insight('a', 9, 100, { maximum: 2 }), insight('b', 1, 100))).toEqual({ a: 2, b: 8 });
  expect(parts(10, insight('a', 9, 100), insight('b', 1, 100, { minimum: 4 }))).toEqual({ a: 6, b: 4 });
  expect(parts(10, insight('a', 1, 100, { minimum: 15 }), insight('b', 1, 100, { minimum: 5 }))).toEqual({
    a: 7.5,
    b: 2.5,
  });
  expect(parts(10, insight('a', 1, 2, { minimum: 5 }), insight('b', 1, 100))).toEqual({ a: 2, b: 8 });
});

const demands = fc.array(
  fc.record({
    weight: fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
    demand: fc.nat(50),
    minimum: fc.nat(10),
    maximum: fc.nat(40),
  }),
  { minLength: 1, maxLength: 8 },
);

test('gives all there is, nobody more than it can use, nobody less per weight than another unless it is full', () => {
  fc.assert(
    fc.property(demands, fc.nat(100), (list, capacity) => {
      const insights = list.map((one, index) => ({ ...one, id: `i${index}` }));
      const shares = shareCapacity(capacity, insights);
      const most = ({ demand, maximum }: InsightDemand) => Math.min(demand, maximum ?? demand);
      const sum = [...shares.values()].reduce((a, b) => a + b, 0);
      expect(sum).toBeCloseTo(
        Math.min(
          capacity,
          insights.reduce((a, one) => a + most(one), 0),
        ),
        6,
      );
      const least = (one: InsightDemand) => Math.min(one.minimum ?? 0, most(one));
      if (insights.reduce((a, one) => a + least(one), 0) > capacity) return;
      for (const a of insights) {
        const own = shares.get(a.id) as number;
        expect(own).toBeLessThanOrEqual(most(a) + 1e-9);
        expect(own).toBeGreaterThanOrEqual(least(a) - 1e-9);
        for (const b of insights) {
          const other = shares.get(b.id) as number;
          if (own < most(a) - 1e-6 && other > least(b) + 1e-6)
            expect(own / a.weight).toBeGreaterThanOrEqual((other / b.weight) * (1 - 1e-6));
        }
      }
    }),
  );
});

test('whole slots: never a slot away from exact, and exact over time', () => {
  const insights = [5, 3, 2].map((weight) => insight(`i${weight}`, weight, 100));
  const sums = new Map<string, number>();
  let remainders: Remainders = {};
  for (let round = 1; round <= 100; round++) {
    const division = divideSlots(7, insights, remainders);
    remainders = division.remainders;
    expect([...division.slots.values()].reduce((a, b) => a + b, 0)).toBe(7);
    for (const [id, slots] of division.slots) {
      sums.set(id, (sums.get(id) ?? 0) + slots);
      const exact = shareCapacity(7, insights).get(id) as number;
      expect(Math.abs(slots - exact)).toBeLessThan(1);
      expect(Math.abs((sums.get(id) as number) - exact * round)).toBeLessThanOrEqual(1);
    }
  }
});

test('whole slots: all are given whatever weights, demands and remainders are', () => {
  fc.assert(
    fc.property(demands, fc.nat(100), (list, capacity) => {
      const insights = list.map((one, index) => ({ ...one, id: `i${index}` }));
      let remainders: Remainders = {};
      for (let round = 0; round < 5; round++) {
        const division = divideSlots(capacity, insights, remainders);
        remainders = division.remainders;
        const usable = insights.reduce((sum, one) => sum + Math.min(one.demand, one.maximum), 0);
        expect([...division.slots.values()].reduce((a, b) => a + b, 0)).toBe(Math.min(capacity, usable));
        for (const one of insights)
          expect(division.slots.get(one.id)).toBeLessThanOrEqual(Math.min(one.demand, one.maximum));
      }
    }),
  );
});
