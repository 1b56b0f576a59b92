/** The rules of reporting, in virtual time. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { goOn, type Outlet, type Wish } from './outlets/outlet.ts';
import type { HandlerEnd, Progress } from './progress.ts';
import { Reporter } from './reporter.ts';

/** Keeps what it is told; its answers can be set. */
class Recording implements Outlet {
  readonly leastMilliseconds = 1_000;
  readonly told: Progress[] = [];
  readonly ends: [Progress, HandlerEnd][] = [];
  answer: () => Promise<Wish> = async () => goOn;
  async progress(progress: Progress): Promise<Wish> {
    this.told.push(progress);
    return this.answer();
  }
  async end(progress: Progress, end: HandlerEnd): Promise<void> {
    this.ends.push([progress, end]);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});
const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

test('every form of a report is laid over those before it', async () => {
  const outlet = new Recording();
  const { report } = new Reporter(outlet);
  report('EXECUTING', 'begun');
  await pass(1_000);
  report('reading', 20);
  report(40);
  report({ params: { at: 7 }, diagnosticEvents: [{ message: 'odd' }] });
  report({ percentComplete: 30, diagnosticEvents: [{ message: 'odder' }] });
  await pass(1_000);
  expect([outlet.told[0], outlet.told.at(-1)]).toEqual([
    { message: 'begun', percentComplete: 0, diagnosticEvents: [] },
    {
      message: 'reading',
      percentComplete: 40,
      params: { at: 7 },
      diagnosticEvents: [{ message: 'odd' }, { message: 'odder' }],
    },
  ]);
});

test('many reports become few, and the last one is handed on', async () => {
  const outlet = new Recording();
  const { report } = new Reporter(outlet);
  for (let percent = 0; percent < 100; percent += 1) {
    report(percent);
    await pass(50);
  }
  await pass(2_000);
  expect(outlet.told.length).toBeLessThanOrEqual(6);
  expect(outlet.told.at(-1)?.percentComplete).toBe(99);
});

test('a report that fails is told, and the newest is tried again after a growing wait', async () => {
  const complaints = vi.spyOn(console, 'error').mockImplementation(() => {});
  const outlet = new Recording();
  outlet.answer = () => Promise.reject(new Error('no way'));
  const { report } = new Reporter(outlet);
  report('first');
  await pass(0);
  report('second');
  await pass(7_000);
  expect(outlet.told.length).toBeGreaterThanOrEqual(3);
  expect(outlet.told.length).toBeLessThanOrEqual(5);
  expect(complaints.mock.calls.flat().join()).toContain('no way');
  outlet.answer = async () => goOn;
  await pass(40_000);
  const count = outlet.told.length;
  expect(outlet.told.at(-1)?.message).toBe('second');
  await pass(60_000);
  expect(outlet.told).toHaveLength(count);
});

test('nothing is taken after COMPLETE, which a whole OperationProgress may say', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
  const outlet = new Recording();
  const reporter = new Reporter(outlet);
  expect(reporter.report(50)).toBe(true);
  const whole = { processingState: 'COMPLETE', processingStateMessage: 'succeeded', resultPayload: '{"a":1}' } as const;
  expect(reporter.report(whole)).toBe(true);
  expect(reporter.report('late', 60)).toBe(false);
  await reporter.end({ outcome: 'failed' });
  await pass(10_000);
  expect(outlet.ends).toEqual([
    [expect.objectContaining({ percentComplete: 50 }), { outcome: 'succeeded', result: { a: 1 } }],
  ]);
  expect(outlet.told).toHaveLength(1);
  expect(reporter.reportedEnd?.outcome).toBe('succeeded');
});

test('the end waits for the report under way and carries what that did not', async () => {
  const outlet = new Recording();
  let answered = (): void => {};
  outlet.answer = () => new Promise((resolve) => (answered = () => resolve(goOn)));
  const reporter = new Reporter(outlet);
  reporter.report('one');
  reporter.report('two');
  const ended = reporter.end({ outcome: 'succeeded' });
  await pass(500);
  expect(outlet.ends).toEqual([]);
  answered();
  await ended;
  expect(outlet.ends).toMatchObject([[{ message: 'two' }, { outcome: 'succeeded' }]]);
});

test('whoever wants the handler to stop is heard', async () => {
  const outlet = new Recording();
  outlet.answer = async () => ({ wish: 'stop', reason: 'cancelled' });
  const stop = vi.fn();
  new Reporter(outlet, stop).report(1);
  await pass(0);
  expect(stop).toHaveBeenCalledWith('cancelled');
});

test('a handler that is let go hands on its last report, within its time, and no end', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
  const outlet = new Recording();
  const reporter = new Reporter(outlet);
  reporter.report('one');
  reporter.report({ params: { at: 1 } });
  await reporter.release(1_000);
  expect(outlet.told).toMatchObject([{ message: 'one' }, { message: 'one', params: { at: 1 } }]);
  expect(outlet.ends).toEqual([]);
  outlet.answer = () => new Promise(() => {});
  const stuck = new Reporter(outlet);
  stuck.report('never answered');
  const released = stuck.release(1_000);
  await pass(1_000);
  await released;
});
