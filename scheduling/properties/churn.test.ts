import { expect, test } from 'vitest';
import { type CustomerShare, createAlgorithm, type Scheduler } from '../index.ts';
import { Random } from '../simulator/random.ts';
import { forAllSeeds } from './settings.ts';

const length = 400;

/** What has to hold of a pair of customers since both became eligible, with their weights. */
interface Together {
  least: number;
  most: number;
  bound: number;
}

test('two customers that stay eligible are within twice their pairwise bound, whoever joins and leaves', () => {
  forAllSeeds(
    length,
    (seed) => {
      const random = new Random(seed);
      const scheduler = createAlgorithm('Fairness');
      const ids = Array.from({ length: random.whole(2, 8) }, (_, i) => `c${i}`);
      const shares = new Map<string, CustomerShare>(ids.map((id) => [id, { id, weight: random.spread(1e-3, 1e3) }]));
      for (const share of shares.values()) scheduler.setCustomer(share);
      const waiting = new Map<string, string[]>(ids.map((id) => [id, []]));
      const received = new Map<string, number>(ids.map((id) => [id, 0]));
      const pairs = new Map<string, Together>();
      let largest = 0;
      let number = 0;
      const weightOf = (id: string): number => (shares.get(id) as CustomerShare).weight;
      const isEligible = (id: string): boolean =>
        shares.get(id)?.paused !== true && (waiting.get(id) as string[]).length > 0;
      const look = (): void => {
        for (const a of ids) {
          for (const b of ids) {
            if (a >= b) continue;
            const key = `${a} ${b}`;
            if (!isEligible(a) || !isEligible(b)) {
              pairs.delete(key);
              continue;
            }
            const apart = (received.get(a) as number) / weightOf(a) - (received.get(b) as number) / weightOf(b);
            const pair = pairs.get(key) ?? { least: apart, most: apart, bound: 0 };
            pair.least = Math.min(pair.least, apart);
            pair.most = Math.max(pair.most, apart);
            pair.bound = 2 * (largest / weightOf(a) + largest / weightOf(b));
            pairs.set(key, pair);
            expect(pair.most - pair.least, `${key} at ${number}`).toBeLessThanOrEqual(pair.bound * (1 + 1e-9));
          }
        }
      };
      for (let i = 0; i < length; i++) {
        const action = random.next();
        if (action < 0.45) {
          const id = random.pick(ids);
          for (let many = random.chance(0.2) ? 20 : 1; many > 0; many--) {
            const cost = random.spread(0.5, 20);
            largest = Math.max(largest, cost);
            number += 1;
            scheduler.add({ id: `i${number}`, customerId: id, readyTime: number, cost });
            (waiting.get(id) as string[]).push(`i${number}`);
          }
        } else if (action < 0.9) {
          const decision = scheduler.next();
          if (decision !== undefined) {
            const own = waiting.get(decision.customerId) as string[];
            own.splice(own.indexOf(decision.id), 1);
            received.set(decision.customerId, (received.get(decision.customerId) as number) + decision.cost);
            scheduler.finish(decision.id);
          }
        } else if (action < 0.94) {
          const id = random.pick(ids);
          const own = waiting.get(id) as string[];
          if (own.length > 0) scheduler.remove(own.splice(random.whole(0, own.length - 1), 1)[0] as string);
        } else {
          const id = random.pick(ids);
          const share = {
            id,
            weight: random.chance(0.5) ? random.spread(1e-3, 1e3) : weightOf(id),
            paused: random.chance(0.3),
          };
          if (share.weight !== weightOf(id))
            for (const key of pairs.keys()) if (key.split(' ').includes(id)) pairs.delete(key);
          shares.set(id, share);
          scheduler.setCustomer(share);
        }
        look();
      }
    },
    0.3,
  );
});

test('each Agenda goes once, no limit is exceeded, and a restored scheduler decides and explains the same', () => {
  forAllSeeds(length, (seed) => {
    const random = new Random(seed);
    const name = random.pick(['Fairness', 'Priority', 'Priority', 'RoundRobin', 'FirstInFirstOut']);
    const pool = { slots: random.whole(4, 12), cpu: 8, gpu: 2 };
    const options = {
      maximumRunning: random.chance(0.3) ? random.whole(1, 6) : 1_000,
      floor: random.whole(2, 6),
      promoteAfter: 40,
      bypassLimit: random.whole(0, 5),
      bypassSeconds: 30,
      priorityStep: 5,
    };
    let scheduler: Scheduler = createAlgorithm(name, options);
    let twin: Scheduler = createAlgorithm(name, options);
    const both = (call: (one: Scheduler) => void): void => {
      call(scheduler);
      call(twin);
    };
    const ids = ['a', 'b', 'c', 'd', 'e'];
    const shares = new Map<string, CustomerShare>();
    const waiting = new Map<string, { customerId: string; need: { slots: number; cpu: number; gpu: number } }>();
    const running = new Map<string, { customerId: string; need: { slots: number; cpu: number; gpu: number } }>();
    const gone = new Set<string>();
    let now = 0;
    let number = 0;
    for (let i = 0; i < length; i++) {
      const action = random.next();
      now += random.whole(0, 3);
      if (action < 0.35) {
        number += 1;
        const need = {
          slots: random.chance(0.1) ? random.whole(1, 14) : random.whole(0, 2),
          cpu: random.whole(0, 3) / 10,
          gpu: random.chance(0.1) ? random.whole(1, 3) : 0,
        };
        const item = {
          id: `i${number}`,
          customerId: random.pick(ids),
          readyTime: now - random.whole(0, 20),
          priority: random.whole(0, 5),
          cost: random.spread(0.1, 20),
          need,
          ...(random.chance(0.7) ? { expectedSeconds: random.whole(1, 30) } : {}),
        };
        waiting.set(item.id, item);
        both((one) => one.add(item));
      } else if (action < 0.75) {
        if (random.chance(0.3)) both((one) => one.begin(i % 5));
        const free = { slots: pool.slots, cpu: pool.cpu, gpu: pool.gpu };
        for (const { need } of running.values()) {
          free.slots -= need.slots;
          free.cpu -= need.cpu;
          free.gpu -= need.gpu;
        }
        const decision = scheduler.next(free, now);
        expect(twin.next(free, now), `decision ${i}`).toEqual(decision);
        if (decision !== undefined) {
          const item = waiting.get(decision.id);
          if (item === undefined) throw new Error(`${decision.id} does not wait`);
          expect(gone.has(decision.id)).toBe(false);
          gone.add(decision.id);
          waiting.delete(decision.id);
          running.set(decision.id, item);
          for (const resource of ['slots', 'cpu', 'gpu'] as const) {
            if (item.need[resource] > 0) expect(item.need[resource]).toBeLessThanOrEqual(free[resource]);
          }
          const share = shares.get(item.customerId);
          const own = [...running.values()].filter(({ customerId }) => customerId === item.customerId).length;
          expect(share?.paused).not.toBe(true);
          expect(own).toBeLessThanOrEqual(share?.maximumRunning ?? 1_000);
          expect(running.size).toBeLessThanOrEqual(options.maximumRunning);
        }
      } else if (action < 0.9) {
        const id = random.pick([...running.keys(), 'unknown']);
        const actual = random.chance(0.5) ? random.spread(0.1, 40) : undefined;
        running.delete(id);
        both((one) => one.finish(id, actual));
      } else if (action < 0.93) {
        const id = random.pick([...waiting.keys(), 'unknown']);
        waiting.delete(id);
        both((one) => one.remove(id));
      } else if (action < 0.95) {
        const id = random.pick([...waiting.keys(), 'unknown']);
        both((one) => one.reprioritise(id, i % 7));
      } else if (action < 0.98) {
        const id = random.pick(ids);
        const share: CustomerShare = {
          id,
          weight: random.spread(1e-3, 1e3),
          band: random.whole(0, 2),
          paused: random.chance(0.2),
          ...(random.chance(0.5) ? { maximumRunning: random.whole(0, 3) } : {}),
        };
        shares.set(id, share);
        both((one) => one.setCustomer(share));
      }
      if (random.chance(0.05)) {
        const restored = createAlgorithm(name, undefined, JSON.parse(JSON.stringify(scheduler.snapshot())));
        const id = random.pick([...waiting.keys(), 'unknown']);
        expect(restored.explain(id)).toEqual(scheduler.explain(id));
        if (random.chance(0.5)) twin = restored;
        else scheduler = restored;
      }
    }
  });
});
