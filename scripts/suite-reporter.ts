import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';
import { troubleOf } from '../test/support/trouble.ts';

/**
 * Ends each suite with a line for each failed test, which stays readable when the middle of a long log is cut, and one
 * line for programs to read: `N passed, N failed`, and `, N skipped` when some were.
 */
export class SuiteReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    let passed = 0;
    let failed = errors.length;
    let skipped = 0;
    for (const module of modules) {
      let ownTests = 0;
      for (const test of module.children.allTests()) {
        ownTests += 1;
        const { state } = test.result();
        // Never hidden: a test that needs a second run is broken, and its cause is to be found.
        if (state === 'passed' && (test.diagnostic()?.flaky ?? false))
          console.log(`passed only when run again: ${test.fullName}`);
        if (state === 'passed') passed += 1;
        else if (state === 'failed') {
          failed += 1;
          console.log(`FAILED ${fileOf(module)} > ${test.fullName}: ${troubleOf(test.result().errors?.[0])}`);
        } else skipped += 1;
      }
      // A file that broke before its tests were known counts as one failure.
      if (ownTests === 0 && module.state() === 'failed') {
        failed += 1;
        console.log(`FAILED ${fileOf(module)}, broken before its tests: ${troubleOf(module.errors()[0])}`);
      }
    }
    for (const error of errors) console.log(`FAILED outside of any test: ${troubleOf(error)}`);
    console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  }
}

const fileOf = (module: TestModule): string => relative(process.cwd(), module.moduleId);
