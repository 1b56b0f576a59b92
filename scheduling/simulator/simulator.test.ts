import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  models,
  parseJsonWorkload,
  parseStandardWorkload,
  plotShares,
  scenarios,
  shownNotes,
  shownWorkload,
  simulate,
  type Workload,
} from './index.ts';

describe('scenarios', () => {
  test.each(scenarios.map((scenario) => [`${scenario.id}: ${scenario.title}`, scenario] as const))(
    '%s meets its bar',
    (_name, scenario) => {
      for (const { bar, value, measure } of scenario.cells()) {
        if (bar === undefined) continue;
        expect(value, measure).toBeLessThanOrEqual((bar.atMost ?? Number.POSITIVE_INFINITY) + 1e-9);
        expect(value, measure).toBeGreaterThanOrEqual(bar.atLeast ?? Number.NEGATIVE_INFINITY);
      }
    },
  );
});

const small: Workload = {
  name: 'small',
  capacity: { slots: 3 },
  customers: [{ id: 'a', weight: 2 }],
  arrivals: Array.from({ length: 60 }, (_, index) => ({
    time: index % 7,
    customerId: index % 3 === 0 ? 'a' : 'b',
    seconds: 5 + (index % 4),
    need: { slots: 1 + (index % 2) },
  })),
};

test('every policy runs all there is, never beyond the pool, and the same each time', () => {
  for (const policy of ['Fairness', 'Priority', 'RoundRobin', 'FirstInFirstOut', ...models]) {
    const report = simulate(small, policy);
    // Half a slot each would be the cap of two customers on three slots: those of two slots wait in it as anywhere.
    expect(report.admissions.length, policy).toBe(60);
    expect(simulate(small, policy).admissions, policy).toEqual(report.admissions);
    const moments = report.admissions.map(({ start }) => start);
    for (const moment of moments) {
      const held = report.admissions
        .filter(({ start, end }) => start <= moment && moment < end)
        .reduce((sum, { slots }) => sum + slots, 0);
      expect(held, policy).toBeLessThanOrEqual(3);
    }
  }
  expect(() => simulate(small, 'nobody')).toThrow(/there is no policy nobody/);
});

test('a JSON workload is read with its weights and needs', () => {
  const text = JSON.stringify({
    capacity: { slots: 8 },
    arrivals: [
      { time: 0, customer: 'a', weight: 2, duration: 30 },
      { time: 5, customer: 'b', duration: 600, slots: 4, priority: 3, expected: 500 },
    ],
  });
  expect(parseJsonWorkload(text, 'load.json')).toEqual({
    name: 'load.json',
    capacity: { slots: 8 },
    customers: [{ id: 'a', weight: 2 }],
    arrivals: [
      { time: 0, customerId: 'a', seconds: 30 },
      { time: 5, customerId: 'b', seconds: 600, priority: 3, need: { slots: 4 }, expectedSeconds: 500 },
    ],
  });
  expect(() => parseJsonWorkload('{"arrivals":[{"time":-1}]}', 'x')).toThrow('arrivals[0].time');
  expect(() => parseJsonWorkload('[]', 'x')).toThrow(/list `arrivals`/);
});

test('a trace is read: users, processors, requested time; jobs that never ran are left out', () => {
  const text = `; MaxProcs: 16
; a comment
 1 100 5 60 4 -1 -1 -1 90 -1 1 7 1 1 1 -1 -1 -1
 2 110 5 -1 4 -1 -1 4 90 -1 0 7 1 1 1 -1 -1 -1
 3 130 5 20 2 -1 -1 8 -1 -1 1 9 1 1 1 -1 -1 -1
`;
  expect(parseStandardWorkload(text, 'trace.swf')).toEqual({
    name: 'trace.swf',
    capacity: { slots: 16 },
    costModel: 'shareTime',
    arrivals: [
      { time: 0, id: 'job-1', customerId: 'user-7', seconds: 60, need: { slots: 4 }, expectedSeconds: 90 },
      { time: 30, id: 'job-3', customerId: 'user-9', seconds: 20, need: { slots: 8 } },
    ],
  });
  expect(parseStandardWorkload(text.replace('; MaxProcs: 16\n', ''), 'trace.swf').capacity).toEqual({ slots: 8 });
});

test('the plot in the documentation is what the simulator draws', () => {
  const report = simulate(shownWorkload, 'Fairness');
  const drawn = plotShares(
    report,
    report.seconds / 120,
    `${shownWorkload.name}: part of the pool by customer`,
    shownNotes,
  );
  expect(drawn).toBe(readFileSync(new URL('../../docs/scheduling-shares.svg', import.meta.url), 'utf8'));
});
