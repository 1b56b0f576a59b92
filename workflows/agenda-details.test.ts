import { expect, test } from 'vitest';
import { utf8Bytes } from '../agenda/json-bytes.ts';
import { beginWalk, endOperation, takeReady } from '../agenda/walk.ts';
import { agendaDetails, viewOf } from './agenda-details.ts';

/** 5,000 Operations with names as long as they may be: 100 succeeded, one failed, 99 run, the others wait. */
function large() {
  const names = Array.from({ length: 5_000 }, (_, index) => `${index}-`.padEnd(128, 'ü'));
  const walk = beginWalk({ dependencies: names.map(() => []), ended: [], parallelism: 200 });
  for (const index of [...takeReady(walk), ...takeReady(walk)]) if (index < 100) endOperation(walk, index, 'succeeded');
  endOperation(walk, 100, 'failed');
  const plan = {
    ...{ resourcePoolId: 'pool', customerId: 'customer', parallelism: 200, heartbeatSeconds: 1, cancelSeconds: 1 },
    ...{ names, types: names.map(() => 'sample'), startToCloseSeconds: names.map(() => 1) },
  };
  return { plan, walk };
}

test('the answer of the progress query is bounded, counts all and shows first what runs and what failed', () => {
  const { plan, walk } = large();
  const view = viewOf(plan, walk);
  expect(utf8Bytes(JSON.stringify(view))).toBeLessThanOrEqual(130 * 1024);
  expect(view.counts).toEqual({ running: 99, failed: 1, waiting: 4_800, succeeded: 100 });
  expect(view.operations.slice(98, 101).map(({ state }) => state)).toEqual(['running', 'failed', 'waiting']);
  expect(view.operations.length + view.more).toBe(5_000);
  expect(view.operations.length).toBeGreaterThan(300);
});

test('the page of the Web UI is bounded and counts all', () => {
  const { plan, walk } = large();
  const page = agendaDetails(plan, walk);
  expect(utf8Bytes(page)).toBeLessThanOrEqual(20_000);
  expect(page).toMatch(/^99 running, 1 failed, 4800 waiting, 100 succeeded\n/);
  expect(page).toMatch(/… and \d+ more$/);
});
