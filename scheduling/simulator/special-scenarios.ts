/** Scenarios that one run of a simulation does not show. */
import { FairShare } from '../fair-share.ts';
import { divideSlots, type Remainders, shareCapacity } from '../share-capacity.ts';
import { FluidReference } from './fluid-reference.ts';
import { Random } from './random.ts';
import type { Scenario } from './scenario.ts';

/** The special scenarios. The file scenarios.ts puts them in order. */
export const specialScenarios: readonly Scenario[] = [
  {
    id: 'B15',
    title: '1,000 customers join and leave, weights 1 to 100, costs 1 to 20',
    cells: () => {
      const { anyInterval, commonStart } = churn();
      return [
        {
          scenario: 'B15',
          measure: 'largest lag across changes',
          policy: 'ours',
          value: lagAcrossChanges(),
          unit: 'largest costs',
        },
        {
          scenario: 'B15',
          measure: 'apart / pairwise bound, any interval',
          policy: 'ours',
          value: anyInterval,
          unit: '',
          bar: { atMost: 2 },
        },
        {
          scenario: 'B15',
          measure: 'apart / pairwise bound, common start',
          policy: 'ours',
          value: commonStart,
          unit: '',
          bar: { atMost: 1 },
        },
      ];
    },
  },
  {
    id: 'B16',
    title: 'Insights 5:3:2 over one pool',
    cells: () => [
      {
        scenario: 'B16',
        measure: 'away from exact, now and summed up',
        policy: 'ours',
        value: divided(),
        unit: 'slots',
        bar: { atMost: 1 },
      },
    ],
  },
  {
    id: 'B20',
    title: 'snapshot and restore at random points',
    cells: () => [
      {
        scenario: 'B20',
        measure: 'decisions that differ',
        policy: 'ours',
        value: restored(),
        unit: 'of 20,000',
        bar: { atMost: 0 },
      },
    ],
  },
];

/** The furthest two customers get apart in service / weight, as a part of their pairwise bound. */
function churn(): { anyInterval: number; commonStart: number } {
  const count = 1_000;
  const largest = 20;
  const random = new Random(15);
  const scheduler = new FairShare();
  const weights = Array.from({ length: count }, () => random.whole(1, 100));
  const received = new Float64Array(count);
  const active = new Set<number>();
  const sinceStart = new Set<number>();
  /** For each pair that is active together: the least and the most that they were apart. */
  const least = new Float64Array(count * count);
  const most = new Float64Array(count * count);
  let number = 0;
  let anyInterval = 0;
  let commonStart = 0;

  const indexOf = (id: string): number => Number(id.slice(1));
  const apart = (a: number, b: number): number =>
    (received[a] as number) / (weights[a] as number) - (received[b] as number) / (weights[b] as number);
  const boundOf = (a: number, b: number): number => largest / (weights[a] as number) + largest / (weights[b] as number);
  const submit = (index: number): void => {
    number += 1;
    scheduler.add({ id: `i${number}`, customerId: `c${index}`, readyTime: number, cost: random.whole(1, largest) });
  };
  const join = (index: number): void => {
    for (const other of active) {
      const [a, b] = index < other ? [index, other] : [other, index];
      least[a * count + b] = apart(a, b);
      most[a * count + b] = apart(a, b);
    }
    active.add(index);
    scheduler.setCustomer({ id: `c${index}`, weight: weights[index] as number });
    submit(index);
  };
  const leave = (index: number): void => {
    active.delete(index);
    sinceStart.delete(index);
    scheduler.setCustomer({ id: `c${index}`, weight: weights[index] as number, paused: true });
  };

  for (let index = 0; index < 200; index++) {
    join(index);
    sinceStart.add(index);
  }
  const beyond = Array.from({ length: count }, (_, index) => index).slice(200);
  for (let step = 0; step < 30_000; step++) {
    if (step % 20 === 19) {
      const leaver = random.pick([...active]);
      leave(leaver);
      beyond.push(leaver);
      join(beyond.shift() as number);
    }
    const decision = scheduler.next();
    if (decision === undefined) break;
    scheduler.finish(decision.id);
    const own = indexOf(decision.customerId);
    received[own] = (received[own] as number) + decision.cost;
    for (const other of active) {
      if (other === own) continue;
      const [a, b] = own < other ? [own, other] : [other, own];
      const pair = a * count + b;
      const now = apart(a, b);
      least[pair] = Math.min(least[pair] as number, now);
      most[pair] = Math.max(most[pair] as number, now);
      anyInterval = Math.max(anyInterval, ((most[pair] as number) - (least[pair] as number)) / boundOf(a, b));
      if (sinceStart.has(a) && sinceStart.has(b)) commonStart = Math.max(commonStart, Math.abs(now) / boundOf(a, b));
    }
    submit(own);
  }
  return { anyInterval, commonStart };
}

/**
 * The largest lag against the fluid server while customers come, go and are reweighted, in largest costs. It informs
 * only: the bound of one largest cost holds between changes.
 */
function lagAcrossChanges(): number {
  let most = 0;
  const largest = 20;
  for (let seed = 1; seed <= 40; seed++) {
    const random = new Random(seed);
    const scheduler = new FairShare();
    const fluid = new FluidReference();
    const ids = Array.from({ length: 10 }, (_, index) => `c${index}`);
    const waiting = new Map(ids.map((id) => [id, 0]));
    const isEligible = (id: string): boolean => (waiting.get(id) ?? 0) > 0;
    for (let step = 0; step < 2_000; step++) {
      const id = random.pick(ids);
      if (random.chance(0.02)) {
        const weight = random.spread(0.1, 100);
        scheduler.setCustomer({ id, weight });
        fluid.of(id).weight = weight;
      } else if (random.chance(0.5)) {
        scheduler.add({ id: `i${step}`, customerId: id, readyTime: step, cost: random.whole(1, largest) });
        waiting.set(id, (waiting.get(id) ?? 0) + 1);
        fluid.setEligible(id, true);
      } else {
        const decision = scheduler.next();
        if (decision === undefined) continue;
        const own = decision.customerId;
        waiting.set(own, (waiting.get(own) ?? 0) - 1);
        fluid.admit(own, decision.cost, isEligible(own));
        scheduler.finish(decision.id);
      }
      for (const one of ids) if (isEligible(one)) most = Math.max(most, Math.abs(fluid.lag(one)) / largest);
    }
  }
  return most;
}

/** How far from exact any Insight is in any division, or in all of them together. */
function divided(): number {
  let away = 0;
  for (const capacity of [7, 10, 11, 64]) {
    const insights = [5, 3, 2].map((weight) => ({ id: `i${weight}`, weight, demand: 1_000 }));
    const exact = shareCapacity(capacity, insights);
    const sums = new Map<string, number>();
    let remainders: Remainders = {};
    for (let round = 1; round <= 1_000; round++) {
      const division = divideSlots(capacity, insights, remainders);
      remainders = division.remainders;
      for (const { id } of insights) {
        const slots = division.slots.get(id) ?? 0;
        const part = exact.get(id) ?? 0;
        sums.set(id, (sums.get(id) ?? 0) + slots);
        away = Math.max(away, Math.abs(slots - part), Math.abs((sums.get(id) ?? 0) - part * round));
      }
    }
  }
  return away;
}

/**
 * Decides 20,000 times on two copies, and counts the differences. One of the copies is saved and restored now and then.
 */
function restored(): number {
  const random = new Random(20);
  const scheduler = new FairShare({
    algorithm: 'Priority',
    floor: 5,
    promoteAfter: 300,
    priorityStep: 30,
    bypassLimit: 5,
    bypassSeconds: 60,
  });
  let copy = new FairShare({
    algorithm: 'Priority',
    floor: 5,
    promoteAfter: 300,
    priorityStep: 30,
    bypassLimit: 5,
    bypassSeconds: 60,
  });
  for (let index = 0; index < 20; index++) {
    const share = { id: `c${index}`, weight: random.spread(0.01, 100), band: index % 3 };
    for (const one of [scheduler, copy]) one.setCustomer(share);
  }
  const running: { readonly id: string; readonly slots: number }[] = [];
  const waiting = new Map<string, number>();
  let free = 30;
  let differences = 0;
  for (let step = 0; step < 20_000; step++) {
    const slots = random.chance(0.02) ? random.whole(10, 30) : 1;
    const item = {
      id: `i${step}`,
      customerId: `c${random.whole(0, 19)}`,
      readyTime: step,
      priority: random.whole(0, 9),
      cost: random.spread(0.1, 10),
      need: { slots },
      expectedSeconds: random.whole(5, 60),
    };
    waiting.set(item.id, slots);
    for (const one of [scheduler, copy]) one.add(item);
    if (random.chance(0.005))
      copy = new FairShare({ ...copy.snapshot().options, algorithm: 'Priority' }, copy.snapshot());
    const decision = scheduler.next({ slots: free }, step);
    const same = copy.next({ slots: free }, step);
    if (JSON.stringify(decision) !== JSON.stringify(same)) differences += 1;
    if (decision !== undefined) {
      const held = waiting.get(decision.id) ?? 0;
      waiting.delete(decision.id);
      free -= held;
      running.push({ id: decision.id, slots: held });
    }
    if (running.length > 0 && (free < 5 || random.chance(0.7))) {
      const [ended] = running.splice(random.whole(0, running.length - 1), 1);
      if (ended === undefined) continue;
      free += ended.slots;
      const actualCost = random.spread(0.1, 10);
      for (const one of [scheduler, copy]) one.finish(ended.id, actualCost);
    }
    // A backlog of a few thousand, so that copies stay quick.
    if (waiting.size > 1_000) {
      const id = random.pick([...waiting.keys()]);
      waiting.delete(id);
      for (const one of [scheduler, copy]) one.remove(id);
    }
  }
  return differences;
}
