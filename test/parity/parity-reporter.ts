import type { Reporter, TestModule } from 'vitest/node';
import { rowOfTest } from './row-of-test.ts';
import { rows } from './rows.ts';

/**
 * Prints the parity table after the parity suite: what each row's test came to, rows without one as `later`, counted
 * apart.
 */
export class ParityReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const ofSuite = modules.filter((module) => module.project.name === 'parity');
    if (ofSuite.length === 0) return;
    const results = new Map<string, 'passed' | 'FAILED' | 'not run'>();
    for (const module of ofSuite) {
      for (const test of module.children.allTests()) {
        const row = rowOfTest(test.name);
        if (row === undefined) continue;
        const { state } = test.result();
        results.set(row, state === 'passed' ? 'passed' : state === 'failed' ? 'FAILED' : 'not run');
      }
    }
    const widest = Math.max(...rows.map(({ feature }) => feature.length));
    const counts = new Map<string, number>();
    let lastGroup = '';
    console.log('\nParity');
    for (const { number, group, feature, whole } of rows) {
      if (group !== lastGroup) console.log(`  ${group}`);
      lastGroup = group;
      const result = whole ? (results.get(number) ?? 'not run') : 'later';
      counts.set(result, (counts.get(result) ?? 0) + 1);
      console.log(`  ${number.padStart(5)}  ${feature.padEnd(widest)}  ${result}`);
    }
    console.log(`\n  ${rows.length} rows: ${[...counts].map(([result, count]) => `${count} ${result}`).join(', ')}\n`);
  }
}
