import { expect, test } from 'vitest';
import { FairShare } from '../index.ts';
import { FluidReference } from '../simulator/fluid-reference.ts';
import { Random } from '../simulator/random.ts';
import { forAllSeeds, steps } from './settings.ts';

/** Customers that always have something waiting, each with a cost of its own range. */
class Backlogged {
  readonly scheduler = new FairShare();
  readonly fluid = new FluidReference();
  readonly random: Random;
  readonly ids: string[] = [];
  readonly unit: boolean;
  largest = 0;
  #number = 0;

  constructor(seed: number, unit: boolean) {
    this.random = new Random(seed);
    this.unit = unit;
    for (let i = this.random.whole(2, 12); i > 0; i--) {
      const id = `c${i}`;
      const weight = this.random.spread(1e-3, 1e3);
      this.ids.push(id);
      this.scheduler.setCustomer({ id, weight });
      this.fluid.of(id).weight = weight;
      this.fluid.setEligible(id, true);
      for (let waiting = 0; waiting < 2; waiting++) this.submit(id);
    }
  }

  submit(customerId: string): void {
    const cost = this.unit ? 1 : this.random.spread(0.1, 20);
    this.largest = Math.max(this.largest, cost);
    this.#number += 1;
    this.scheduler.add({ id: `i${this.#number}`, customerId, readyTime: this.#number, cost });
  }

  step(): string {
    const decision = this.scheduler.next();
    if (decision === undefined) throw new Error('nothing was admitted');
    this.fluid.admit(decision.customerId, decision.cost, true);
    this.scheduler.finish(decision.id);
    this.submit(decision.customerId);
    return decision.customerId;
  }
}

const length = 500;

test('nobody is a largest cost behind or ahead of its fluid share, and no two customers are both costs apart', () => {
  forAllSeeds(
    length,
    (seed) => {
      const load = new Backlogged(seed, new Random(seed).chance(0.5));
      for (let i = 0; i < length; i++) {
        load.step();
        const { largest } = load;
        for (const a of load.ids) {
          const lag = load.fluid.lag(a);
          expect(Math.abs(lag), `lag of ${a} at ${i}`).toBeLessThanOrEqual(largest * (1 + 1e-9));
          const ofA = load.fluid.of(a);
          for (const b of load.ids) {
            const ofB = load.fluid.of(b);
            const apart = Math.abs(ofA.admitted / ofA.weight - ofB.admitted / ofB.weight);
            expect(apart, `${a} and ${b} at ${i}`).toBeLessThanOrEqual(
              (largest / ofA.weight + largest / ofB.weight) * (1 + 1e-9),
            );
          }
        }
      }
    },
    0.5,
  );
});

test('between two services of a customer fewer than 2 W / w others are served (unit cost)', () => {
  forAllSeeds(
    length,
    (seed) => {
      const load = new Backlogged(seed, true);
      const total = load.ids.reduce((sum, id) => sum + load.fluid.of(id).weight, 0);
      const last = new Map<string, number>();
      for (let i = 0; i < length; i++) {
        const id = load.step();
        const before = last.get(id);
        const bound = (2 * total) / load.fluid.of(id).weight;
        if (before !== undefined) expect(i - before - 1, `${id} at ${i}`).toBeLessThan(bound);
        last.set(id, i);
      }
    },
    0.5,
  );
});

test('the lag does not drift from the first to the last decision', () => {
  const load = new Backlogged(7, true);
  const rounds = 10;
  const largest: number[] = [];
  for (let round = 0; round < rounds; round++) {
    let most = 0;
    for (let i = 0; i < steps / rounds; i++) {
      load.step();
      for (const id of load.ids) most = Math.max(most, Math.abs(load.fluid.lag(id)));
    }
    largest.push(most);
  }
  for (const most of largest) expect(most).toBeLessThanOrEqual(1 + 1e-6);
});
