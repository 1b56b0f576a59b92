import { defineConfig } from 'vitest/config';
import { SuiteReporter } from './scripts/suite-reporter.ts';
import { ParityReporter } from './test/parity/parity-reporter.ts';

const rooms = [
  ...['agenda', 'scheduling', 'messages', 'process', 'temporal', 'workflows', 'activities', 'workers', 'k8s'],
  ...['machine', 'api', 'db', 'launchers', 'handler', 'local-run', 'cli', 'examples', 'bench', 'scripts'],
].join(',');
/**
 * Suites across rooms, each with a command of its own (`npm run test:<name>`); one file at a time, for each starts a
 * whole system.
 */
const suites = ['parity', 'faults', 'package', 'demo', 'docker', 'kubernetes'];
/** What a suite starts before its files. */
const suiteSetup: Readonly<Record<string, string>> = {
  parity: './test/parity/suite-setup.ts',
  kubernetes: './test/kubernetes/suite-setup.ts',
};

export default defineConfig({
  test: {
    pool: 'forks',
    globalSetup: ['./test/support/vitest-setup.ts'],
    reporters: ['default', new ParityReporter(), new SuiteReporter()],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Machines of CI are shared and stall; a second run is told of by name (suite-reporter.ts). Never for people.
    retry: process.env.CI === 'true' ? 1 : 0,
    projects: [
      {
        extends: true,
        test: { name: 'rooms', include: [`{${rooms}}/**/*.test.ts`, 'test/*.test.ts', 'test/regression/**/*.test.ts'] },
      },
      ...suites.map((name) => ({
        extends: true as const,
        test: {
          name,
          include: [`test/${name}/**/*.test.ts`],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
          ...(suiteSetup[name] === undefined ? {} : { globalSetup: [suiteSetup[name]] }),
        },
      })),
    ],
  },
});
