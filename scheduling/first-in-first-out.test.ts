import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  algorithmNames,
  createAlgorithm,
  type ReadyItem,
  registerAlgorithm,
  type Scheduler,
  type SchedulerOptions,
} from './index.ts';

const fifo = (options?: SchedulerOptions) => createAlgorithm('FirstInFirstOut', options);
const item = (id: string, readyTime: number, more: Partial<ReadyItem> = {}): ReadyItem => ({
  id,
  customerId: id.slice(0, 1),
  readyTime,
  ...more,
});
const drain = (scheduler: Scheduler) => {
  const ids: string[] = [];
  for (let decision = scheduler.next(); decision !== undefined; decision = scheduler.next()) ids.push(decision.id);
  return ids;
};
const filled = (options: SchedulerOptions | undefined, ...items: ReadyItem[]) => {
  const scheduler = fifo(options);
  for (const one of items) scheduler.add(one);
  return scheduler;
};

describe('order', () => {
  test('is by ready time, then arrival, whoever the customer is', () => {
    expect(
      drain(
        filled(undefined, item('a1', 5), item('b1', 3), item('a2', 3), item('c1', 4), item('b2', 3, { priority: 9 })),
      ),
    ).toEqual(['b1', 'a2', 'b2', 'c1', 'a1']);
  });

  test('equals sorting', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ customerId: fc.constantFrom('a', 'b', 'c'), readyTime: fc.integer({ min: -5, max: 5 }) })),
        (list) => {
          const items = list.map((one, index) => ({ ...one, id: String(index) }));
          const sorted = items.toSorted((a, b) => a.readyTime - b.readyTime).map(({ id }) => id);
          expect(drain(filled(undefined, ...items))).toEqual(sorted);
        },
      ),
    );
  });

  test('numbers admissions from 1 and names cost and reason', () => {
    const scheduler = filled(undefined, item('a', 1, { cost: 2.5 }), item('b', 2));
    expect([scheduler.next(), scheduler.next()]).toEqual([
      {
        id: 'a',
        customerId: 'a',
        number: 1,
        cost: 2.5,
        reason: { code: 'firstInFirstOut', sentence: expect.any(String) },
      },
      expect.objectContaining({ id: 'b', number: 2, cost: 1 }),
    ]);
    expect(scheduler.next()).toBeUndefined();
  });

  test('is not changed by reprioritise or begin', () => {
    const scheduler = filled(undefined, item('a', 1), item('b', 2));
    scheduler.reprioritise('b', 100);
    scheduler.begin(1);
    expect(drain(scheduler)).toEqual(['a', 'b']);
  });

  test('goes on without what was removed', () => {
    const scheduler = filled(undefined, item('a', 1), item('b', 2), item('c', 3));
    scheduler.remove('b');
    scheduler.remove('b');
    expect(drain(scheduler)).toEqual(['a', 'c']);
    scheduler.remove('a');
    scheduler.add(item('b', 9));
    expect(drain(scheduler)).toEqual(['b']);
  });
});

describe('limits', () => {
  test('a customer at its maximum or paused is passed over and keeps its place', () => {
    const scheduler = filled(undefined, item('a1', 1), item('a2', 2), item('b1', 3), item('a3', 4), item('c1', 5));
    scheduler.setCustomer({ id: 'a', weight: 1, maximumRunning: 1 });
    scheduler.setCustomer({ id: 'b', weight: 1, paused: true });
    expect(drain(scheduler)).toEqual(['a1', 'c1']);
    scheduler.add(item('c2', 6));
    scheduler.setCustomer({ id: 'b', weight: 1 });
    scheduler.finish('a1');
    expect(drain(scheduler)).toEqual(['a2', 'b1', 'c2']);
    scheduler.setCustomer({ id: 'a', weight: 1 });
    expect(drain(scheduler)).toEqual(['a3']);
  });

  test('a limit of nothing lets nothing go', () => {
    expect(drain(filled({ maximumRunning: 0 }, item('a', 1)))).toEqual([]);
    const scheduler = filled(undefined, item('a', 1), item('b', 1));
    scheduler.setCustomer({ id: 'a', weight: 1, maximumRunning: 0 });
    expect(drain(scheduler)).toEqual(['b']);
  });

  test('finishing what does not run frees nothing', () => {
    const scheduler = filled({ maximumRunning: 1 }, item('a', 1), item('b', 2));
    expect(drain(scheduler)).toEqual(['a']);
    for (const id of ['b', 'zz']) scheduler.finish(id, 3);
    expect(drain(scheduler)).toEqual([]);
    scheduler.finish('a');
    scheduler.finish('a');
    expect(drain(scheduler)).toEqual(['b']);
  });

  test('a head that does not fit blocks those behind it', () => {
    const scheduler = filled(undefined, item('large', 1, { need: { slots: 1, gpu: 2 } }), item('small', 2));
    expect(scheduler.next({ slots: 5, gpu: 1 })).toBeUndefined();
    expect(scheduler.explain('large').code).toBe('poolFull');
    expect(scheduler.explain('small')).toMatchObject({ code: 'ahead', ahead: 1, aheadOfCustomer: 0, position: 2 });
    expect(scheduler.next({ slots: 5 })?.id).toBe('large');
    expect(scheduler.next({ slots: 0 })).toBeUndefined();
    expect(scheduler.next({ gpu: 0 })?.id).toBe('small');
  });

  test('a need of nothing fits a full pool, an over-full one too; a need of something does not', () => {
    const needs = [{}, { cpu: 0 }, { cpu: 1 }];
    const scheduler = filled(undefined, ...needs.map((need, index) => item(`needs${index}`, index, { need })));
    expect(scheduler.next({ slots: 0, cpu: 0 })?.id).toBe('needs0');
    expect(scheduler.next({ cpu: -1 })?.id).toBe('needs1');
    expect(scheduler.next({ cpu: -1 })).toBeUndefined();
    expect(scheduler.next({ cpu: 1 })?.id).toBe('needs2');
  });
});

describe('explanations', () => {
  test('say what an Agenda waits for', () => {
    const scheduler = filled(
      { maximumRunning: 2 },
      item('a1', 1),
      item('a2', 2),
      item('b1', 3),
      item('c1', 4),
      item('a3', 5),
    );
    scheduler.setCustomer({ id: 'a', weight: 1, maximumRunning: 1 });
    scheduler.setCustomer({ id: 'c', weight: 1, paused: true });
    const code = (id: string) => scheduler.explain(id).code;
    expect(scheduler.explain('a1')).toMatchObject({ code: 'next', position: 1, ahead: 0 });
    expect(scheduler.explain('a3')).toMatchObject({
      code: 'ahead',
      ahead: 3,
      aheadOfCustomer: 2,
      sentence: '3 Agendas became ready before it, 2 of its own customer.',
    });
    scheduler.next();
    expect(['a1', 'a2', 'b1', 'c1', 'zz'].map(code)).toEqual(['running', 'customerLimit', 'next', 'paused', 'unknown']);
    expect(scheduler.explain('a2').sentence).toBe('Customer a runs 1 of at most 1 Agendas.');
    scheduler.next();
    scheduler.setCustomer({ id: 'c', weight: 1 });
    expect(code('c1')).toBe('insightLimit');
  });
});

test.each<[string, (scheduler: Scheduler) => unknown]>([
  ['weight 0', (scheduler) => scheduler.setCustomer({ id: 'a', weight: 0 })],
  ['weight NaN', (scheduler) => scheduler.setCustomer({ id: 'a', weight: Number.NaN })],
  ['an infinite weight', (scheduler) => scheduler.setCustomer({ id: 'a', weight: Number.POSITIVE_INFINITY })],
  ['a negative maximumRunning', (scheduler) => scheduler.setCustomer({ id: 'a', weight: 1, maximumRunning: -1 })],
  ['cost 0', (scheduler) => scheduler.add(item('x', 1, { cost: 0 }))],
  ['cost NaN', (scheduler) => scheduler.add(item('x', 1, { cost: Number.NaN }))],
  ['a ready time that is none', (scheduler) => scheduler.add(item('x', Number.NaN))],
  ['a negative need', (scheduler) => scheduler.add(item('x', 1, { need: { cpu: -1 } }))],
  ['a priority that is none', (scheduler) => scheduler.reprioritise('a1', Number.NaN)],
  ['a negative actual cost', (scheduler) => scheduler.finish('zz', -1)],
  ['an actual cost that is none', (scheduler) => scheduler.finish('zz', Number.NaN)],
  ['free capacity that is none', (scheduler) => scheduler.next({ slots: Number.NaN })],
  ['an id that waits', (scheduler) => scheduler.add(item('a1', 9))],
  ['an id that runs', (scheduler) => scheduler.add(item('r', 9))],
  ['a fractional option', () => fifo({ maximumRunning: 1.5 })],
])('%s is refused and changes nothing', (_, act) => {
  const scheduler = filled(undefined, item('r', 0), item('a1', 1), item('b1', 2));
  scheduler.next();
  const before = scheduler.snapshot();
  expect(() => act(scheduler)).toThrow(RangeError);
  expect(scheduler.snapshot()).toEqual(before);
  expect(drain(scheduler)).toEqual(['a1', 'b1']);
});

describe('random histories', () => {
  type Call = (scheduler: Scheduler) => unknown;
  const id = fc.integer({ min: 0, max: 30 }).map((number) => `${'abc'[number % 3]}${number}`);
  const share = fc.record(
    {
      id: fc.constantFrom('a', 'b', 'c'),
      weight: fc.constant(1),
      maximumRunning: fc.integer({ min: 0, max: 3 }),
      paused: fc.boolean(),
    },
    { requiredKeys: ['id', 'weight'] },
  );
  const calls = fc.array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.tuple(id, fc.integer({ min: 0, max: 9 }), fc.integer({ min: 1, max: 3 })).map(
          ([one, readyTime, slots]): Call =>
            (scheduler) => {
              const { code } = scheduler.explain(one);
              if (code === 'unknown') scheduler.add(item(one, readyTime, { need: { slots } }));
            },
        ),
      },
      {
        weight: 4,
        arbitrary: fc.option(fc.integer({ min: 0, max: 4 })).map(
          (slots): Call =>
            (scheduler) =>
              scheduler.next(slots === null ? undefined : { slots }),
        ),
      },
      {
        weight: 2,
        arbitrary: id.map(
          (one): Call =>
            (scheduler) =>
              scheduler.finish(one),
        ),
      },
      {
        weight: 1,
        arbitrary: id.map(
          (one): Call =>
            (scheduler) =>
              scheduler.remove(one),
        ),
      },
      {
        weight: 1,
        arbitrary: fc.tuple(id, fc.integer()).map(
          ([one, priority]): Call =>
            (scheduler) =>
              scheduler.reprioritise(one, priority),
        ),
      },
      {
        weight: 1,
        arbitrary: share.map(
          (one): Call =>
            (scheduler) =>
              scheduler.setCustomer(one),
        ),
      },
    ),
    { maxLength: 120 },
  );

  test('a scheduler restored at any points decides and explains the same', () => {
    fc.assert(
      fc.property(calls, fc.infiniteStream(fc.boolean()), (list, restores) => {
        const options = { maximumRunning: 6 };
        const steady = fifo(options);
        let restored = fifo(options);
        for (const call of list) {
          if (restores.next().value) {
            const snapshot = JSON.parse(JSON.stringify(restored.snapshot()));
            restored = createAlgorithm('FirstInFirstOut', undefined, snapshot);
            expect(restored.snapshot().state).toEqual(snapshot.state);
          }
          expect(call(restored)).toEqual(call(steady));
        }
        for (const one of ['a0', 'b1', 'c2', 'a3']) expect(restored.explain(one)).toEqual(steady.explain(one));
        expect(drain(restored)).toEqual(drain(steady));
      }),
      { numRuns: 300 },
    );
  });

  test('decides as a model that sorts everything anew each time', () => {
    fc.assert(
      fc.property(calls, (list) => {
        const model = new Model(6);
        const scheduler = fifo({ maximumRunning: 6 });
        for (const call of list)
          expect((call(scheduler) as { id: string } | undefined)?.id).toBe(
            (call(model) as { id: string } | undefined)?.id,
          );
      }),
      { numRuns: 300 },
    );
  });

  /** First in, first out in the plainest words. */
  class Model implements Scheduler {
    #waiting: (ReadyItem & { arrival: number })[] = [];
    #running: ReadyItem[] = [];
    #shares: Parameters<Scheduler['setCustomer']>[0][] = [];
    #arrivals = 0;
    readonly #most: number;
    constructor(most: number) {
      this.#most = most;
    }
    begin() {}
    setCustomer(one: Parameters<Scheduler['setCustomer']>[0]) {
      this.#shares = [...this.#shares.filter((other) => other.id !== one.id), one];
    }
    add(one: ReadyItem) {
      this.#waiting.push({ ...one, arrival: this.#arrivals++ });
    }
    remove(one: string) {
      this.#waiting = this.#waiting.filter((other) => other.id !== one);
    }
    reprioritise() {}
    next(free?: { slots?: number }) {
      const mayStart = (customerId: string) => {
        const found = this.#shares.find((one) => one.id === customerId);
        return (
          !found?.paused &&
          this.#running.filter((one) => one.customerId === customerId).length < (found?.maximumRunning ?? 99)
        );
      };
      const [head] = this.#waiting
        .filter((one) => mayStart(one.customerId))
        .sort((a, b) => a.readyTime - b.readyTime || a.arrival - b.arrival);
      if (head === undefined || this.#running.length >= this.#most || (head.need?.slots ?? 1) > (free?.slots ?? 99))
        return undefined;
      this.remove(head.id);
      this.#running.push(head);
      return { id: head.id, customerId: head.customerId, number: 0, cost: 1, reason: { code: '', sentence: '' } };
    }
    finish(one: string) {
      this.#running = this.#running.filter((other) => other.id !== one);
    }
    explain(one: string) {
      const known = [...this.#waiting, ...this.#running].some((other) => other.id === one);
      return { id: one, code: known ? ('ahead' as const) : ('unknown' as const), sentence: '' };
    }
    snapshot() {
      return { algorithm: 'model', options: {}, state: null };
    }
  }
});

test('100,000 among 1,000 customers, most of them blocked, go in order', () => {
  const scheduler = fifo();
  const count = 100_000;
  for (let customer = 0; customer < 1_000; customer += 2)
    scheduler.setCustomer({ id: String(customer), weight: 1, paused: true });
  for (let index = 0; index < count; index++)
    scheduler.add({ id: String(index), customerId: String(index % 1_000), readyTime: (index * 7919) % count });
  const times = drain(scheduler).map((id) => (Number(id) * 7919) % count);
  expect(times).toHaveLength(count / 2);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
});

describe('algorithms', () => {
  test('an unknown name is an error that lists the registered ones', () => {
    expect(algorithmNames()).toContain('FirstInFirstOut');
    for (const name of ['Fair', 'constructor', ''])
      expect(() => createAlgorithm(name)).toThrow(/registered: FirstInFirstOut/);
  });

  test('another can be registered once', () => {
    registerAlgorithm('Mine', (options) => fifo(options));
    expect(createAlgorithm('Mine').next()).toBeUndefined();
    expect(() => registerAlgorithm('Mine', () => fifo())).toThrow(/already/);
    expect(() => registerAlgorithm(' ', () => fifo())).toThrow();
  });

  test('a snapshot of another algorithm is refused', () => {
    expect(() => createAlgorithm('FirstInFirstOut', {}, { algorithm: 'Other', options: {}, state: null })).toThrow(
      /Other/,
    );
  });
});
