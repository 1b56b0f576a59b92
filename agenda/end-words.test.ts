import { expect, test } from 'vitest';
import { firstFailureOf, whyFailed, whyNotStarted, withCause } from './end-words.ts';
import type { WalkStatus } from './walk.ts';

const statuses = (count: number, status: WalkStatus): WalkStatus[] => Array.from({ length: count }, () => status);

test('an Agenda that failed names the first ten Operations that did, and how many more', () => {
  const names = Array.from({ length: 12 }, (_, index) => `op${index}`);
  expect(whyFailed('failed', names, statuses(12, 'failed'))).toEqual({
    message: 'Failed to complete operation: op0, op1, op2, op3, op4, op5, op6, op7, op8, op9, and 2 more',
  });
  expect(whyFailed('failed', ['a', 'b'], ['skipped', 'failed'])).toEqual({
    message: 'Failed to complete operation: b',
  });
  expect(whyFailed('cancelled', names, statuses(12, 'failed'))).toEqual({});
});

test('the first cause stands behind the words of the end, cut', () => {
  const cause = firstFailureOf({ operation: 'a', isTimedOut: false, events: [{ message: 'x'.repeat(2_000) }] });
  expect(withCause({ outcome: 'failed', message: 'It failed' }, cause).message).toBe(`It failed: ${'x'.repeat(1_000)}`);
  const silent = firstFailureOf({ operation: 'a', isTimedOut: false, events: null });
  expect(withCause({ outcome: 'failed' }, silent)).toEqual({ outcome: 'failed' });
});

test('what never ran says what kept it from starting', () => {
  expect(whyNotStarted({ outcome: 'failed' }, { operation: 'a', isTimedOut: false })).toBe('Operation a failed');
  expect(whyNotStarted({ outcome: 'failed' }, { operation: 'a', isTimedOut: true })).toBe('Operation a timed out');
  expect(whyNotStarted({ outcome: 'cancelled' }, undefined)).toBe('the Agenda was cancelled');
  expect(whyNotStarted({ outcome: 'expired' }, undefined)).toBe('the Agenda ended expired');
});
