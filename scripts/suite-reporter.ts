import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

/** Ends each suite with one line for programs to read: `N passed, N failed`, and `, N skipped` when some were. */
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
        else if (state === 'failed') failed += 1;
        else skipped += 1;
      }
      // A file that broke before its tests were known counts as one failure.
      if (ownTests === 0 && module.state() === 'failed') {
        failed += 1;
        console.log(`broken before its tests: ${relative(process.cwd(), module.moduleId)}`);
      }
    }
    console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  }
}
