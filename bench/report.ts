/**
 * Reports the result of a benchmark: a table for people, or with `--json` one object on stdout. The exit code is 1 when
 * a row misses its bar.
 */
import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';

/** One row of a benchmark's table. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The same measured on the baseline, interleaved in the same run. */
  readonly baseline?: number;
  readonly ratio?: number;
  /** In words, such as `ratio <= 1.5`. */
  readonly bar?: string;
  readonly ok: boolean;
}

/** A row with a bar on its value. */
export function bounded(
  name: string,
  value: number,
  unit: string,
  bar: { readonly atMost: number } | { readonly atLeast: number },
): Row {
  const ok = 'atMost' in bar ? value <= bar.atMost : value >= bar.atLeast;
  return { name, value, unit, bar: 'atMost' in bar ? `<= ${bar.atMost}` : `>= ${bar.atLeast}`, ok };
}

/** A row with a bar on its ratio to a baseline. */
export function compared(
  name: string,
  value: number,
  unit: string,
  baseline: number,
  bar: { readonly atMost: number } | { readonly atLeast: number },
): Row {
  const ratio = value / baseline;
  const ok = 'atMost' in bar ? ratio <= bar.atMost : ratio >= bar.atLeast;
  return {
    name,
    value,
    unit,
    baseline,
    ratio,
    bar: 'atMost' in bar ? `ratio <= ${bar.atMost}` : `ratio >= ${bar.atLeast}`,
    ok,
  };
}

/** A row that informs and has no bar. */
export const plain = (name: string, value: number, unit: string): Row => ({ name, value, unit, ok: true });

/** Prints the rows and sets the exit code. */
export function report(name: string, rows: readonly Row[], note: string): void {
  if (process.argv.includes('--json')) {
    const machine = {
      cores: cpus().length,
      model: cpus()[0]?.model ?? 'unknown',
      memoryBytes: totalmem(),
      node: process.version,
    };
    process.stdout.write(`${JSON.stringify({ name, machine, commit: commitOf(), rows: rows.map(rounded) })}\n`);
  } else {
    process.stdout.write(`${table(rows)}\n${note}\n`);
  }
  if (rows.some((row) => !row.ok)) process.exitCode = 1;
}

function table(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.name,
    `${shown(row.value)} ${row.unit}`,
    row.baseline === undefined ? '' : shown(row.baseline),
    row.ratio === undefined ? '' : row.ratio.toFixed(2),
    row.bar ?? '',
    row.bar === undefined ? '' : row.ok ? 'ok' : 'MISSED',
  ]);
  const all = [['', 'value', 'baseline', 'ratio', 'bar', ''], ...cells];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0))) ?? [];
  return all
    .map((line) =>
      line
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    )
    .join('\n');
}

const shown = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));
const round = (value: number): number => Number(value.toPrecision(5));
const rounded = (row: Row): Row => ({
  ...row,
  value: round(row.value),
  ...(row.baseline === undefined ? {} : { baseline: round(row.baseline) }),
  ...(row.ratio === undefined ? {} : { ratio: round(row.ratio) }),
});

function commitOf(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      encoding: 'utf8',
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return 'unknown';
  }
}

/** The value below which the given part (0..1) of the values lies. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(part * sorted.length) - 1))] ?? Number.NaN;
}

/** The middle of the values. */
export const median = (values: readonly number[]): number => quantile(values, 0.5);
