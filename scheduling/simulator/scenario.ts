/**
 * The form of a scenario: a workload as data, the measures of its report, and the policies it runs under. Only our
 * policy has to keep the bars.
 */
import { simulate } from './simulate.ts';
import type { Policy, SimulationReport, Source, Workload } from './workload.ts';

/** The limits that a value must keep. */
export interface Bar {
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** One figure of a scenario. Without a bar it informs. */
export interface Cell {
  readonly scenario: string;
  readonly measure: string;
  readonly policy: string;
  readonly value: number;
  readonly unit: string;
  readonly bar?: Bar;
}

/** A figure of a report, with its bar. */
export interface Measure {
  readonly name: string;
  readonly unit: string;
  readonly bar: Bar;
  of(report: SimulationReport): number;
}

/** One row or several of the table, under an id such as `B15`. */
export interface Scenario {
  readonly id: string;
  readonly title: string;
  cells(): Cell[];
}

interface Comparison {
  readonly id: string;
  readonly title: string;
  readonly workload: Workload;
  readonly measures: readonly Measure[];
  readonly ours?: Policy;
  readonly others: readonly Policy[];
}

/** A scenario that one run of the simulation for each policy shows. */
export const compared = ({ id, title, workload, measures, ours = 'Fairness', others }: Comparison): Scenario => ({
  id,
  title,
  cells: () =>
    [ours, ...others].flatMap((policy, index) => {
      const report = simulate(workload, policy);
      const name = index === 0 ? 'ours' : report.policy;
      return measures.map(({ name: measure, unit, bar, of }) => ({
        scenario: id,
        measure,
        policy: name,
        value: of(report),
        unit,
        ...(index === 0 ? { bar } : {}),
      }));
    }),
});

/** A list of `count` elements, each made of its index, from 0. */
export const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** A source that always has 50 Agendas waiting. */
export const backlogged = (customerId: string, more: Partial<Source> = {}): Source => ({
  customerId,
  seconds: 1,
  waiting: 50,
  ...more,
});

/** The arithmetic mean; NaN without values. */
export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Number of admissions of a customer among those of a report from index `from` to `to`. */
export const partOf = (report: SimulationReport, from: number, to: number, id: string): number =>
  report.admissions.slice(from, to).filter(({ customerId }) => customerId === id).length;

/** The longest run of admissions of one customer. */
export function longestRun(customers: readonly string[]): number {
  let longest = 0;
  let run = 0;
  for (const [index, id] of customers.entries()) {
    run = id === customers[index - 1] ? run + 1 : 1;
    longest = Math.max(longest, run);
  }
  return longest;
}
