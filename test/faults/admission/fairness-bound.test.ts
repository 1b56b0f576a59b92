/**
 * The proof of the crash tests is worth what this comparison sees: here it is shown orders that are fair and that are
 * not.
 */
import { describe, expect, test } from 'vitest';
import { createAlgorithm } from '../../../scheduling/index.ts';
import { type AdmittedBatch, compareService, type Entitlements } from './fairness-bound.ts';

const insightId = 'one';
const weights: Readonly<Record<string, number>> = { bronze: 1, silver: 2, gold: 4 };
const customers = Object.keys(weights);
const entitled: Entitlements = {
  weight: (_, customerId) => weights[customerId] ?? 1,
  cap: () => Number.POSITIVE_INFINITY,
  capInInsight: (_, customerId) => (customerId === 'gold' ? 2 : Number.POSITIVE_INFINITY),
};

/**
 * As `order` says, `size` a batch; what a batch admitted has ended when the next one comes. All have `waiting` at
 * first.
 */
function run(order: readonly string[], waiting: Readonly<Record<string, number>>, size = 1) {
  const left: Record<string, number> = { ...waiting };
  const standings = (running: readonly string[] = []) =>
    customers.map((customerId) => ({
      insightId,
      customerId,
      waiting: left[customerId] ?? 0,
      running: running.filter((one) => one === customerId).length,
    }));
  const before = standings();
  const batches: AdmittedBatch[] = [];
  for (let at = 0; at < order.length; at += size) {
    const admitted = order.slice(at, at + size);
    for (const customerId of admitted) left[customerId] = (left[customerId] ?? 0) - 1;
    batches.push({
      admitted: admitted.map((customerId) => ({ insightId, customerId, cost: 1 })),
      after: standings(admitted),
    });
  }
  return compareService(before, batches, entitled);
}

/**
 * In the order in which an algorithm takes them all. One customer comes after the other, so that the oldest first is
 * far from fair.
 */
function chosenBy(algorithm: string, waiting: Readonly<Record<string, number>>): string[] {
  const scheduler = createAlgorithm(algorithm);
  for (const [at, customerId] of customers.entries()) {
    scheduler.setCustomer({ id: customerId, weight: weights[customerId] ?? 1 });
    for (let n = 0; n < (waiting[customerId] ?? 0); n++)
      scheduler.add({ id: `${customerId}-${n}`, customerId, readyTime: at * 1000 + n });
  }
  const order: string[] = [];
  for (let decision = scheduler.next(); decision !== undefined; decision = scheduler.next())
    order.push(decision.customerId);
  return order;
}

const waiting = { bronze: 60, silver: 60, gold: 60 };
const exceeded = (pairs: ReturnType<typeof run>) =>
  pairs.filter(({ isExceeded }) => isExceeded).map(({ ahead, behind }) => `${ahead} before ${behind}`);

describe('the comparison of what customers had', () => {
  test('finds the order of Fairness within the bound, and looks at all of it while all wait', () => {
    const order = chosenBy('Fairness', waiting);
    const pairs = run(order, waiting);
    expect(exceeded(pairs)).toEqual([]);
    // Gold has most and is through first; bronze could be served to its end.
    const seen = Object.fromEntries(pairs.map(({ ahead, behind, admissions }) => [`${ahead} ${behind}`, admissions]));
    expect(seen['gold bronze']).toBe(order.lastIndexOf('bronze') + 1);
    expect(seen['bronze gold']).toBe(order.lastIndexOf('gold') + 1);
  });

  test('finds the oldest first, and turns that know no weights, beyond the bound', () => {
    expect(exceeded(run(chosenBy('FirstInFirstOut', waiting), waiting))).toContain('bronze before gold');
    expect(exceeded(run(chosenBy('RoundRobin', waiting), waiting))).toContain('bronze before gold');
  });

  test('finds one service more than the bound allows', () => {
    // Bronze has one of seven parts: 2 (1 + 1/4) = 2.5 services ahead of gold are too many, two are not.
    expect(exceeded(run(['bronze', 'bronze', 'gold', 'gold', 'gold', 'gold'], waiting))).toEqual([]);
    expect(exceeded(run(['bronze', 'bronze', 'bronze', 'gold', 'gold', 'gold'], waiting))).toEqual([
      'bronze before silver',
      'bronze before gold',
    ]);
  });

  test('blames nobody while the one behind has nothing waiting, or stands at its cap', () => {
    const idle = { bronze: 10, silver: 0, gold: 0 };
    expect(exceeded(run(Array<string>(10).fill('bronze'), idle))).toEqual([]);
    // Two of gold in each batch are all that it may run.
    const order = Array.from({ length: 5 }, () => ['gold', 'gold', 'bronze', 'bronze', 'bronze']).flat();
    expect(exceeded(run(order, waiting, 5))).not.toContain('bronze before gold');
    expect(exceeded(run(order, waiting, 1))).toContain('bronze before gold');
  });
});
