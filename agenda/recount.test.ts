import { expect, test } from 'vitest';
import type { EventKind } from './outcomes.ts';
import { type RecordedEvent, recount } from './recount.ts';

type Told = readonly [kind: EventKind, more?: Partial<RecordedEvent>];

const eventsOf = (...told: Told[]): RecordedEvent[] =>
  told.map(([kind, more], position) => ({
    ...{ number: position + 1, attempt: 1, kind, time: 0, index: null, launch: null, operationAttempt: null },
    ...{ outcome: null, category: null, code: null, message: null, ...more },
  }));
const of = (index: number, launch: number, more: Partial<RecordedEvent> = {}) => ({ index, launch, ...more });
const begun: Told[] = [['agenda.submitted'], ['agenda.admitted'], ['agenda.executing']];
const waiting = { state: 'WAITING', outcome: null, launch: 0, launches: 0 };

test('what no event tells of waits', () => {
  expect(recount(eventsOf(['agenda.submitted']), 2)).toEqual({
    ...{ state: 'WAITING', outcome: null, isAdmitted: false, failing: false, cancelRequested: false },
    operations: [waiting, waiting],
  });
});

test('a way through a retry, a failure, a cancel and Operations that are skipped', () => {
  const events = eventsOf(
    ...begun,
    ['operation.executing', of(0, 1)],
    ['operation.retrying', of(0, 1, { category: 'infrastructure', code: 'lost' })],
    ['operation.executing', of(0, 2)],
    ['operation.complete', of(0, 2, { outcome: 'failed' })],
    ['agenda.failing'],
    ['agenda.cancelRequested'],
  );
  const failed = { state: 'COMPLETE', outcome: 'failed', launch: 2, launches: 2 };
  expect(recount(events, 2)).toEqual({
    ...{ state: 'EXECUTING', outcome: null, isAdmitted: true, failing: true, cancelRequested: true },
    operations: [failed, waiting],
  });
  const end = eventsOf(
    ['operation.complete', of(1, 0, { outcome: 'skipped' })],
    ['agenda.complete', { outcome: 'cancelled' }],
  ).map((event) => ({ ...event, number: event.number + events.length }));
  expect(recount([...events, ...end], 2)).toMatchObject({
    ...{ state: 'COMPLETE', outcome: 'cancelled' },
    operations: [failed, { state: 'COMPLETE', outcome: 'skipped', launch: 0, launches: 0 }],
  });
});

const end: Told = ['agenda.complete', { outcome: 'failed' }];
test.each<[string, Told[]]>([
  ['no submission at first', [['agenda.admitted']]],
  ['a second submission', [['agenda.submitted'], ['agenda.submitted']]],
  ['a second admission', [['agenda.submitted'], ['agenda.admitted'], ['agenda.admitted']]],
  ['work before the admission', [['agenda.submitted'], ['agenda.executing']]],
  ['a second failing', [...begun, ['agenda.failing'], ['agenda.failing']]],
  ['a second request of a cancel', [...begun, ['agenda.cancelRequested'], ['agenda.cancelRequested']]],
  ['an end while an Operation has none', [...begun, end]],
  [
    'an end without an outcome',
    [['agenda.submitted'], ['operation.complete', of(0, 0, { outcome: 'skipped' })], ['agenda.complete']],
  ],
  [
    'something after the end',
    [['agenda.submitted'], ['operation.complete', of(0, 0, { outcome: 'skipped' })], end, ['agenda.failing']],
  ],
  ['a launch twice', [...begun, ['operation.executing', of(0, 1)], ['operation.executing', of(0, 1)]]],
  ['a retry of what never ran', [...begun, ['operation.retrying', of(0, 0)]]],
  [
    'an end of an earlier launch',
    [...begun, ['operation.executing', of(0, 2)], ['operation.complete', of(0, 1, { outcome: 'failed' })]],
  ],
  [
    'a second end',
    [
      ...begun,
      ['operation.complete', of(0, 1, { outcome: 'failed' })],
      ['operation.complete', of(0, 1, { outcome: 'failed' })],
    ],
  ],
  ['an Operation that is not there', [...begun, ['operation.executing', of(1, 1)]]],
])('is no possible story: %s', (_, told) => {
  expect(() => recount(eventsOf(...told), 1)).toThrow(`event ${told.length}, `);
});

test('a gap in the numbers is told', () => {
  const [first, second, third] = eventsOf(...begun);
  if (first === undefined || second === undefined || third === undefined) throw new Error('three events');
  expect(() => recount([first, third], 1)).toThrow('event 2 has number 3');
});
