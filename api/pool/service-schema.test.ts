import type { z } from '@hono/zod-openapi';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { mostCodeCharacters, mostItems, mostMessageCharacters, mostProgressItems } from '../../messages/limits.ts';
import type { FinishOperationItem, ReportProgressItem, StartOperationItem } from '../../messages/resource-pool.ts';
import { finishOperationSchema, reportProgressSchema, startOperationSchema } from './service-schema.ts';

const fence = { agendaId: 'a', attempt: 1, operation: 'step', operationAttempt: 1, launch: 1 };
const start = { agendaId: 'a', attempt: 1, operation: 'step', place: 'here', worker: 'me' };

type ItemOf<Schema extends z.ZodType<{ items: unknown[] }>> = z.infer<Schema>['items'][number];
/** Names of the fields that may be absent. */
type Optional<T> = { [Field in keyof T]-?: undefined extends T[Field] ? Field : never }[keyof T];

// Checked by the compiler. That what a schema lets through has its message's type is said beside each schema
// (`satisfies`).
describe('the schemas take just what the messages have', () => {
  test('in a start', () => {
    type Item = ItemOf<typeof startOperationSchema>;
    expectTypeOf<keyof Item>().toEqualTypeOf<keyof StartOperationItem>();
    expectTypeOf<Optional<Item>>().toEqualTypeOf<Optional<StartOperationItem>>();
    expectTypeOf<Item>().toExtend<StartOperationItem>();
  });

  test('in a report of progress', () => {
    type Item = ItemOf<typeof reportProgressSchema>;
    expectTypeOf<keyof Item>().toEqualTypeOf<keyof ReportProgressItem>();
    expectTypeOf<Optional<Item>>().toEqualTypeOf<Optional<ReportProgressItem>>();
    expectTypeOf<Item>().toExtend<ReportProgressItem>();
  });

  test('in an end', () => {
    type Item = ItemOf<typeof finishOperationSchema>;
    expectTypeOf<keyof Item>().toEqualTypeOf<keyof FinishOperationItem>();
    expectTypeOf<Optional<Item>>().toEqualTypeOf<Optional<FinishOperationItem>>();
    expectTypeOf<Item['outcome']>().toEqualTypeOf<FinishOperationItem['outcome']>();
    expectTypeOf<Item>().toExtend<FinishOperationItem>();
  });
});

test('what reaches a limit passes, what is beyond it does not', () => {
  const takes = (schema: z.ZodType, items: readonly unknown[]) => schema.safeParse({ items }).success;
  const many = (item: unknown, count: number) => Array.from({ length: count }, () => item);
  for (const [schema, item, most] of [
    [startOperationSchema, start, mostItems],
    [reportProgressSchema, fence, mostProgressItems],
    [finishOperationSchema, { ...fence, outcome: 'succeeded' }, mostItems],
  ] as const)
    expect([takes(schema, many(item, most)), takes(schema, many(item, most + 1))]).toEqual([true, false]);

  const message = (length: number) => [{ ...fence, message: 'x'.repeat(length) }];
  expect(takes(reportProgressSchema, message(mostMessageCharacters))).toBe(true);
  expect(takes(reportProgressSchema, message(mostMessageCharacters + 1))).toBe(false);
  const event = (length: number) => [{ ...fence, diagnosticEvents: [{ message: 'm', code: 'c'.repeat(length) }] }];
  expect(takes(reportProgressSchema, event(mostCodeCharacters))).toBe(true);
  expect(takes(reportProgressSchema, event(mostCodeCharacters + 1))).toBe(false);
});
