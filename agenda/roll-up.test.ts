import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type OperationShare, percentOf, stateOf } from './roll-up.ts';

const waiting: OperationShare = { processingState: 'WAITING' };
const executing = (percentComplete: number | null, weight?: number): OperationShare => ({
  processingState: 'EXECUTING',
  percentComplete,
  ...(weight === undefined ? {} : { weight }),
});
const complete = (processingStateMessage: string, percentComplete = 0): OperationShare => ({
  processingState: 'COMPLETE',
  processingStateMessage,
  percentComplete,
});

test('the percentage is the mean by weight', () => {
  expect(percentOf([])).toBe(0);
  expect(percentOf([waiting, waiting])).toBe(0);
  expect(percentOf([complete('succeeded'), executing(50), waiting, waiting])).toBe(37.5);
  expect(percentOf([executing(50, 3), executing(10, 1)])).toBe(40);
});

test('an Operation that failed counts what it reported', () => {
  expect(percentOf([complete('failed', 40), complete('succeeded')])).toBe(70);
  expect(percentOf([complete('cancelled', 30), waiting])).toBe(15);
});

test('what runs counts at most 100 and at least 0, whatever it reports', () => {
  expect(percentOf([executing(250), waiting])).toBe(50);
  expect(percentOf([executing(-5), executing(Number.NaN), executing(null), executing(Number.POSITIVE_INFINITY)])).toBe(
    25,
  );
});

test('it never falls, stays from 0 to 100, and is exactly 100 when all succeeded', () => {
  const share = fc.record({
    processingState: fc.constantFrom('WAITING' as const, 'EXECUTING' as const, 'COMPLETE' as const),
    processingStateMessage: fc.constantFrom('succeeded', 'failed', null),
    percentComplete: fc.oneof(fc.double(), fc.constant(null)),
    weight: fc.oneof(fc.double({ min: 1e-6, max: 1e6 }), fc.constant(null)),
  });
  fc.assert(
    fc.property(fc.array(share), fc.double({ min: 0, max: 100, noNaN: true }), (operations, previous) => {
      const percent = percentOf(operations, previous);
      expect(percent).toBeGreaterThanOrEqual(previous);
      expect(percent).toBeLessThanOrEqual(100);
      const all = operations.map((operation) => ({
        ...operation,
        processingState: 'COMPLETE' as const,
        processingStateMessage: 'succeeded',
      }));
      if (all.length > 0) expect(percentOf(all)).toBe(100);
    }),
  );
});

test('the state follows the Operations', () => {
  expect(stateOf([waiting, waiting])).toBe('WAITING');
  expect(stateOf([waiting, executing(1)])).toBe('EXECUTING');
  expect(stateOf([waiting, complete('succeeded')])).toBe('EXECUTING');
  expect(stateOf([complete('failed'), complete('succeeded')])).toBe('COMPLETE');
});
