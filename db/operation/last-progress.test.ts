import { expect, test } from 'vitest';
import { maximumPayloadBytes } from '../../agenda/types.ts';
import { mostLastProgressBytes } from '../../messages/limits.ts';
import { type EarlierRun, lastProgressOf } from './last-progress.ts';

const run: EarlierRun = {
  progress_id: 'p1',
  processing_state: 'EXECUTING',
  processing_state_message: 'encoding',
  percent_complete: 40,
  attempt_count: 2,
  params: null,
  diagnostic_events: null,
};
interface LastProgress {
  readonly processingStateMessage: string;
  readonly params?: unknown;
  readonly diagnosticEvents?: readonly { readonly code?: string; readonly message: string }[];
}
const read = (text: string) => {
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(mostLastProgressBytes);
  return JSON.parse(text) as LastProgress;
};

test('what fits is told whole', () => {
  const events = [{ code: 'slow', message: 'It is slow.' }];
  expect(read(lastProgressOf({ ...run, params: { done: 7 }, diagnostic_events: events }, 'step'))).toEqual({
    ...{ id: 'p1', operation: 'step', processingState: 'EXECUTING', processingStateMessage: 'encoding' },
    ...{ percentComplete: 40, attemptCount: 2, params: { done: 7 }, diagnosticEvents: events },
  });
  expect(Object.keys(read(lastProgressOf(run, 'step')))).not.toContain('params');
});

test('the largest params that the api takes are kept, and what has no room beside them is named', () => {
  const params = { at: 'x'.repeat(maximumPayloadBytes - '{"at":""}'.length) };
  const events = [{ message: 'y'.repeat(10_000) }, { message: 'z'.repeat(10_000) }];
  // Each of these characters takes six bytes as JSON.
  const message = '\u0001'.repeat(4_096);
  const full = { ...run, processing_state_message: message, params, diagnostic_events: events };
  const told = read(lastProgressOf(full, 'step'));
  expect(JSON.stringify(told.params) === JSON.stringify(params)).toBe(true);
  expect(told.diagnosticEvents).toEqual([
    { code: 'lastProgressCut', message: expect.stringMatching(/limit is 1048576\. Left out: 2 diagnostic events\.$/) },
  ]);
});

test('params that became longer as they were read are left out, and the handler is told', () => {
  // As it was reported, each number had four bytes.
  const params = { at: Array.from({ length: 100_000 }, () => 1e20) };
  const told = read(lastProgressOf({ ...run, params }, 'step'));
  expect(told.params).toBeUndefined();
  expect(told.diagnosticEvents).toMatchObject([{ message: expect.stringContaining('Left out: params, and 0 ') }]);
});
