import { describe, expect, test } from 'vitest';
import { FairShare, type FairShareOptions, type ReadyItem, type Scheduler } from './index.ts';

const fair = (options: FairShareOptions = {}, ...items: ReadyItem[]) => {
  const scheduler = new FairShare(options);
  for (const one of items) scheduler.add(one);
  return scheduler;
};
const item = (id: string, more: Partial<ReadyItem> = {}): ReadyItem => ({
  id,
  customerId: id.slice(0, 1),
  readyTime: Number(id.slice(1)),
  ...more,
});
const many = (customerId: string, count: number, more: Partial<ReadyItem> = {}) =>
  Array.from({ length: count }, (_, index) => item(`${customerId}${index}`, more));
const take = (scheduler: Scheduler, count: number, free?: { slots: number }) =>
  Array.from({ length: count }, () => scheduler.next(free)?.id.slice(0, 1)).join('');

describe('shares', () => {
  test('follow weights, evenly spread', () => {
    const scheduler = fair({}, ...many('a', 20), ...many('b', 20));
    scheduler.setCustomer({ id: 'a', weight: 3 });
    expect(take(scheduler, 8)).toBe('abaaabaa');
  });

  test('a cap does not become a burst when it lifts', () => {
    const scheduler = fair({}, ...many('a', 40), ...many('b', 40));
    scheduler.setCustomer({ id: 'b', weight: 1, maximumRunning: 0 });
    expect(take(scheduler, 10)).toBe('aaaaaaaaaa');
    scheduler.setCustomer({ id: 'b', weight: 1 });
    expect(take(scheduler, 6)).toMatch(/^(ab){3}$|^(ba){3}$/);
  });

  test('what an Agenda really cost is made up for', () => {
    const scheduler = fair({}, ...many('a', 20), ...many('b', 20));
    const first = scheduler.next();
    scheduler.finish(first?.id ?? '', 5);
    // 5 units of a against one each of b.
    expect(take(scheduler, 6)).toBe('bbbbba');
  });
});

describe('numbers that make no sense', () => {
  test('are refused', () => {
    const scheduler = fair();
    for (const weight of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => scheduler.setCustomer({ id: 'a', weight })).toThrow(RangeError);
    for (const cost of [0, -1, Number.NaN]) expect(() => scheduler.add(item('a1', { cost }))).toThrow(RangeError);
    expect(() => scheduler.finish('a1', -1)).toThrow(RangeError);
    expect(() => new FairShare({ floor: 1 })).toThrow(RangeError);
    expect(() => scheduler.next({ slots: Number.NaN })).toThrow(RangeError);
    scheduler.add(item('a1'));
    expect(() => scheduler.add(item('a1'))).toThrow(/waiting already/);
    scheduler.next();
    expect(() => scheduler.add(item('a1'))).toThrow(/running already/);
    for (const call of [
      () => scheduler.remove('a1'),
      () => scheduler.reprioritise('x', 1),
      () => scheduler.finish('x', 1),
    ])
      expect(call).not.toThrow();
    expect(scheduler.explain('a1').code).toBe('running');
  });
});

describe('one that does not fit', () => {
  const large = item('l0', { need: { slots: 4 } });

  test('is passed by a limited number, then the pool drains for it', () => {
    const scheduler = fair({ bypassLimit: 3, capacity: { slots: 4 } }, large, ...many('s', 20));
    const running = [scheduler.next({ slots: 2 })?.id, scheduler.next({ slots: 1 })?.id];
    expect(running).toEqual(['s0', 's1']);
    scheduler.finish('s0');
    expect(scheduler.next({ slots: 3 })?.id).toBe('s2');
    scheduler.finish('s1');
    expect(scheduler.next({ slots: 3 })).toBeUndefined();
    expect(scheduler.explain('l0')).toMatchObject({
      code: 'poolFull',
      sentence: expect.stringContaining('3 of at most 3'),
    });
    expect(scheduler.explain('s5').code).toBe('reservation');
    scheduler.finish('s2');
    expect(scheduler.next({ slots: 4 })).toMatchObject({ id: 'l0', reason: { code: 'reservation' } });
  });

  test('is passed by those that end before it could start', () => {
    const scheduler = fair({ bypassLimit: 0 }, item('a0', { need: { slots: 3 }, expectedSeconds: 100 }));
    expect(scheduler.next({ slots: 4 }, 0)?.id).toBe('a0');
    scheduler.add(large);
    scheduler.add(item('s1', { expectedSeconds: 101 }));
    scheduler.add(item('s2', { expectedSeconds: 90 }));
    scheduler.add(item('s3'));
    expect(scheduler.next({ slots: 1 }, 10)?.id).toBe('s2');
    scheduler.finish('s2');
    // It is late: nobody can tell any more.
    scheduler.add(item('s4', { expectedSeconds: 1 }));
    expect(scheduler.next({ slots: 1 }, 100)).toBeUndefined();
  });

  test('is passed by those that use what it does not need, though its own customer waits behind it', () => {
    const scheduler = fair({ bypassLimit: 0 }, item('a0', { need: { gpu: 2 } }));
    expect(scheduler.next({ gpu: 2, cpu: 4 })?.id).toBe('a0');
    scheduler.add(item('g1', { need: { gpu: 2, cpu: 1 } }));
    scheduler.add(item('g2', { need: { cpu: 3 } }));
    scheduler.add(item('h3', { need: { cpu: 1 } }));
    expect(scheduler.next({ gpu: 0, cpu: 4 })?.id).toBe('g2');
    expect(scheduler.next({ gpu: 0, cpu: 1 })).toBeUndefined();
    scheduler.finish('g2');
    expect(scheduler.next({ gpu: 0, cpu: 4 })?.id).toBe('h3');
  });

  test('never holds others up when it needs more than the whole pool, and goes when the pool has grown', () => {
    const scheduler = fair({ bypassLimit: 0 }, large, ...many('s', 3));
    for (const slots of [3, 2, 1]) expect(take(scheduler, 1, { slots })).toBe('s');
    const fresh = fair({ bypassLimit: 0 }, large, ...many('s', 3));
    fresh.next({ slots: 3 });
    expect(fresh.explain('l0').code).toBe('neverFits');
    expect(fresh.next({ slots: 4 })?.id).toBe('l0');
  });

  test('loses its place to none but keeps its count when its customer is paused', () => {
    const scheduler = fair({ bypassLimit: 2, capacity: { slots: 4 } }, large, ...many('s', 20));
    scheduler.next({ slots: 2 });
    scheduler.setCustomer({ id: 'l', weight: 1, paused: true });
    expect(take(scheduler, 1, { slots: 1 })).toBe('s');
    scheduler.setCustomer({ id: 'l', weight: 1 });
    scheduler.finish('s0');
    // Charged while it was held back, the others are ahead: it is its turn again, with one of two passers left.
    expect(take(scheduler, 1, { slots: 3 })).toBe('s');
    expect(scheduler.next({ slots: 2 })).toBeUndefined();
  });
});

describe('priority', () => {
  test('is a head start inside the customer, and none between customers', () => {
    const scheduler = fair(
      { algorithm: 'Priority', priorityStep: 10 },
      item('a0'),
      item('a5', { priority: 1 }),
      item('a15', { priority: 1 }),
      item('b20'),
    );
    scheduler.setCustomer({ id: 'b', weight: 1 });
    expect([scheduler.next()?.id, scheduler.next()?.id, scheduler.next()?.id, scheduler.next()?.id]).toEqual([
      'a5',
      'b20',
      'a0',
      'a15',
    ]);
  });

  test('can change while it waits; Fairness does without', () => {
    for (const algorithm of ['Priority', 'Fairness'] as const) {
      const scheduler = fair({ algorithm }, item('a0'), item('a1'));
      scheduler.reprioritise('a1', 5);
      expect(scheduler.next()?.id).toBe(algorithm === 'Priority' ? 'a1' : 'a0');
    }
  });
});

describe('bands', () => {
  test('are strict but for one in floor, and an owed turn is kept', () => {
    const scheduler = fair(
      { algorithm: 'Priority', floor: 4 },
      ...many('a', 20),
      ...many('b', 20, { need: { slots: 2 } }),
    );
    scheduler.setCustomer({ id: 'b', weight: 1, band: 1 });
    expect(take(scheduler, 8, { slots: 9 })).toBe('aaabaaab');
  });

  test('those that waited long enough go up', () => {
    const scheduler = fair(
      { algorithm: 'Priority', floor: 1_000, promoteAfter: 60 },
      item('b0'),
      ...many('a', 20, { readyTime: 50 }),
    );
    scheduler.setCustomer({ id: 'b', weight: 1, band: 1 });
    expect(scheduler.next(undefined, 59)?.id.slice(0, 1)).toBe('a');
    expect([scheduler.next(undefined, 60)?.id, scheduler.next()?.id].map((id) => id?.slice(0, 1))).toContain('b');
  });
});

describe('explain', () => {
  test('tells the place in the order in which they will go, and how the customer stands', () => {
    const scheduler = fair({}, ...many('a', 10), ...many('b', 10), ...many('c', 10));
    scheduler.setCustomer({ id: 'a', weight: 2 });
    scheduler.next();
    const order = scheduler.order(100).map(({ id }) => id);
    for (const [index, id] of order.entries()) expect(scheduler.explain(id).position).toBe(index + 1);
    expect(scheduler.explain('a3')).toMatchObject({ code: 'ahead', share: 0.5, lag: -0.5, bound: 1 });
    const place = order.indexOf('a3');
    expect(scheduler.explain('a3').aheadOfCustomer).toBe(
      order.slice(0, place).filter((id) => id.startsWith('a')).length,
    );
    expect(order.map(() => scheduler.next()?.id)).toEqual(order);
  });

  test('tells what holds it back', () => {
    const scheduler = fair({ maximumRunning: 2 }, ...many('a', 3), ...many('b', 3));
    scheduler.setCustomer({ id: 'a', weight: 1, maximumRunning: 1 });
    scheduler.next();
    expect(scheduler.explain('a1')).toMatchObject({
      code: 'customerLimit',
      sentence: 'Customer a runs 1 of at most 1 Agendas.',
    });
    expect(scheduler.explain('b0')).toMatchObject({ code: 'next', position: 1 });
    scheduler.next();
    expect(scheduler.explain('b1').code).toBe('insightLimit');
    scheduler.setCustomer({ id: 'a', weight: 1, paused: true });
    expect(scheduler.explain('a1').code).toBe('paused');
    expect(scheduler.explain('nobody').code).toBe('unknown');
  });
});

test('customers nobody set are forgotten once nothing depends on them', () => {
  const scheduler = fair();
  for (let i = 0; i < 5_000; i++) {
    scheduler.add({ id: `i${i}`, customerId: `once${i}`, readyTime: i });
    scheduler.finish(scheduler.next()?.id ?? '');
  }
  expect((scheduler.snapshot().state as { customers: unknown[] }).customers.length).toBeLessThan(2_100);
});
