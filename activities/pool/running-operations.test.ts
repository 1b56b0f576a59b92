import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import type { ProgressVerdict, ReportProgressItem } from '../../messages/resource-pool.ts';
import { RunningOperations, ToldByService } from './running-operations.ts';
import { ServiceUnavailable } from './service-errors.ts';

const fence = (operation: string, launch = 1) => ({
  agendaId: 'a',
  attempt: 1,
  operation,
  operationAttempt: 1,
  launch,
});
const activity = (heartbeatTimeoutMs = 60_000) => {
  const heartbeats: unknown[] = [];
  const stop = new AbortController();
  return {
    heartbeats,
    stop,
    info: { heartbeatTimeoutMs },
    cancellationSignal: stop.signal,
    heartbeat: (details: unknown) => void heartbeats.push(details),
  };
};

function running(answer: (item: ReportProgressItem) => ProgressVerdict, beatMilliseconds = 20) {
  const requests: ReportProgressItem[][] = [];
  const all = new RunningOperations({
    report: async (items) => {
      requests.push([...items]);
      return items.map((item) => ({ verdict: answer(item) }));
    },
    worker: 'w',
    log: pino({ level: 'silent' }),
    beatMilliseconds,
    gatherMilliseconds: 5,
  });
  return { all, requests, [Symbol.dispose]: () => all.close() };
}

test('one request beats for all Operations, and says nothing new when there is nothing', async () => {
  using it = running(() => ({ verdict: 'ok' }));
  for (const name of ['a', 'b', 'c']) it.all.enter(activity()).launched(`key-${name}`, fence(name));
  it.all.enter(activity());
  await vi.waitFor(() => expect(it.requests.length).toBeGreaterThan(1));
  for (const request of it.requests) expect(request).toEqual([fence('a'), fence('b'), fence('c')]);
  expect(it.all.follows('key-b')).toBe(true);
  expect(it.all.follows('key-d')).toBe(false);
});

test('news go before the next beat, the newest of each Operation, and once', async () => {
  using it = running(() => ({ verdict: 'ok' }), 60_000);
  const [a, b] = ['a', 'b'].map((name) => {
    const one = it.all.enter(activity());
    one.launched(`key-${name}`, fence(name));
    return one;
  });
  a?.started(17);
  a?.reported({ message: 'old' });
  a?.reported({ message: 'new', percentComplete: 30 });
  await vi.waitFor(() =>
    expect(it.requests).toEqual([
      [{ ...fence('a'), worker: 'w', startedTime: 17, message: 'new', percentComplete: 30 }],
    ]),
  );
  b?.reported({ message: 'of b' });
  await vi.waitFor(() => expect(it.requests).toHaveLength(2));
  expect(it.requests[1]).toEqual([{ ...fence('b'), worker: 'w', message: 'of b' }]);
});

test('what could not be reported is carried by the next beat, unless something newer came', async () => {
  let healthy = false;
  using it = running(() => {
    if (!healthy) throw new ServiceUnavailable('away');
    return { verdict: 'ok' };
  });
  const one = it.all.enter(activity());
  one.launched('key', fence('a'));
  one.started(17);
  one.reported({ message: 'first' });
  await vi.waitFor(() => expect(it.requests.length).toBeGreaterThan(1));
  one.reported({ message: 'second' });
  healthy = true;
  await vi.waitFor(() => expect(it.requests.at(-1)).toEqual([fence('a')]));
  expect(it.requests.filter(([item]) => item?.message !== undefined).at(-1)).toEqual([
    { ...fence('a'), worker: 'w', startedTime: 17, message: 'second' },
  ]);
});

test('a verdict aborts the launch that was asked about, never a later one', async () => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<readonly { verdict: ProgressVerdict }[]>();
  const report = vi.fn(async (items: readonly ReportProgressItem[]) =>
    items.map(() => ({ verdict: { verdict: 'ok' } as ProgressVerdict })),
  );
  report.mockImplementationOnce(async () => {
    asked.resolve();
    return [...(await answer.promise)];
  });
  const all = new RunningOperations({ report, worker: 'w', log: pino({ level: 'silent' }), beatMilliseconds: 5 });
  const [kept, told] = [all.enter(activity()), all.enter(activity())];
  kept.launched('key-1', fence('kept'));
  told.launched('key-2', fence('told'));
  await asked.promise;
  kept.launched('key-3', fence('kept', 2));
  answer.resolve([{ verdict: { verdict: 'over' } }, { verdict: { verdict: 'cancelled' } }]);
  await vi.waitFor(() => expect(told.signal.aborted).toBe(true));
  expect(told.signal.reason).toEqual(new ToldByService('cancelled'));
  expect(kept.signal.aborted).toBe(false);
  all.close();
});

test('heartbeats come at a third of their timeout, without a launch too, and cancellation passes through', async () => {
  using it = running(() => ({ verdict: 'ok' }), 10);
  const quick = activity(60);
  const slow = activity(600_000);
  const one = it.all.enter(quick);
  it.all.enter(slow);
  await vi.waitFor(() => expect(quick.heartbeats.length).toBeGreaterThan(2));
  expect(slow.heartbeats).toEqual([]);
  quick.stop.abort(new Error('cancelled'));
  expect(one.signal.reason).toEqual(new Error('cancelled'));
  it.all.leave(one);
  expect(it.all.size).toBe(1);
});

test('a lone report goes at once; of many Operations, with beats, there is one request in its time', async () => {
  const calls: { at: number; items: number }[] = [];
  const all = new RunningOperations({
    report: async (items) => {
      calls.push({ at: performance.now(), items: items.length });
      return items.map(() => ({ verdict: { verdict: 'ok' } }));
    },
    ...{ worker: 'w', log: pino({ level: 'silent' }), beatMilliseconds: 30, gatherMilliseconds: 100 },
  });
  const many = Array.from({ length: 200 }, () => all.enter(activity()));
  many.forEach((one, index) => {
    one.launched(`key-${index}`, fence(`o${index}`));
  });
  const begun = performance.now();
  many[0]?.reported({ percentComplete: 1 });
  await vi.waitFor(() => expect(calls).toHaveLength(1), { interval: 1 });
  expect(calls[0]?.items).toBe(1);
  expect((calls[0]?.at ?? 0) - begun).toBeLessThan(50);
  let percent = 2;
  const talking = setInterval(() => {
    for (const one of many) one.reported({ percentComplete: percent });
    percent += 0.1;
  }, 3);
  await vi.waitFor(() => expect(calls.length).toBeGreaterThanOrEqual(6), { timeout: 10_000 });
  clearInterval(talking);
  all.close();
  calls.slice(1).forEach(({ at, items }, index) => {
    expect(at - (calls[index]?.at ?? 0)).toBeGreaterThanOrEqual(99);
    expect(items).toBe(200);
  });
});

test('unless told otherwise, a second report waits a second for others', async () => {
  const calls: number[] = [];
  const all = new RunningOperations({
    report: async (items) => {
      calls.push(performance.now());
      return items.map(() => ({ verdict: { verdict: 'ok' } }));
    },
    ...{ worker: 'w', log: pino({ level: 'silent' }) },
  });
  const one = all.enter(activity());
  one.launched('key', fence('a'));
  one.reported({ message: 'first' });
  await vi.waitFor(() => expect(calls).toHaveLength(1));
  one.reported({ message: 'second' });
  await vi.waitFor(() => expect(calls).toHaveLength(2), { timeout: 5_000 });
  expect((calls[1] ?? 0) - (calls[0] ?? 0)).toBeGreaterThanOrEqual(999);
  all.close();
});

test('that a handler began is told after a moment, without a beat, and not of one that ended meanwhile', async () => {
  using it = running(() => ({ verdict: 'ok' }), 60_000);
  const [quick, long] = ['quick', 'long'].map((name) => {
    const one = it.all.enter(activity());
    one.launched(`key-${name}`, fence(name));
    return one;
  });
  quick?.started(17);
  long?.started(18);
  quick?.ended();
  await vi.waitFor(() => expect(it.requests).toHaveLength(1));
  expect(it.requests[0]).toEqual([{ ...fence('long'), worker: 'w', startedTime: 18 }]);
  // Progress does not wait for it.
  const late = new RunningOperations({
    report: async (items) => items.map(() => ({ verdict: { verdict: 'ok' } })),
    ...{ worker: 'w', log: pino({ level: 'silent' }), beatMilliseconds: 60_000, gatherMilliseconds: 60_000 },
  });
  const one = late.enter(activity());
  one.launched('key', fence('a'));
  one.started(19);
  one.reported({ message: 'new' });
  await vi.waitFor(() => expect(one.hasNews).toBe(false));
  late.close();
});
