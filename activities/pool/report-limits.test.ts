import { expect, test } from 'vitest';
import { reportProgressSchema } from '../../api/pool/service-schema.ts';
import { fittingEvents, fittingProgress } from './report-limits.ts';

const fence = { agendaId: 'a', attempt: 1, operation: 'step', operationAttempt: 1, launch: 1 };

test('whatever a handler says fits into what the service takes', () => {
  const item = {
    ...fence,
    ...fittingProgress({
      message: 'x'.repeat(5_000),
      percentComplete: 250,
      params: { resume: [1, { at: null }] },
      diagnosticEvents: Array.from({ length: 1_200 }, (_, index) => ({
        message: 'm'.repeat(70_000),
        code: 'c'.repeat(300),
        time: index + 0.5,
        statusCode: Number.NaN,
        stackTrace: 's'.repeat(70_000),
      })),
    }),
  };
  expect(reportProgressSchema.safeParse({ items: [item] }).success).toBe(true);
  expect(item.percentComplete).toBe(100);
  expect(item.message).toHaveLength(4_096);
  // The last ones stay.
  expect(item.diagnosticEvents).toHaveLength(1_000);
  expect(item.diagnosticEvents?.at(-1)?.time).toBe(1_200);
});

test('a percentage that is no number is left out, and what a database cannot hold is replaced', () => {
  expect(fittingProgress({ percentComplete: Number.NaN, message: 'a\0b\ud83d' })).toEqual({
    message: 'a\ufffdb\ufffd',
  });
  expect(fittingEvents([{ message: `${'x'.repeat(65_534)}😀` }])[0]?.message.isWellFormed()).toBe(true);
});
