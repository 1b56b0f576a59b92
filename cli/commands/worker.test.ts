import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { freePort } from '../../machine/free-port.ts';
import { type Program, startProgram } from '../../test/support/program.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../../test/support/workflow-environment.ts';

let environment: WorkflowEnvironment;
let database: TestDatabase;
beforeAll(async () => {
  [environment, database] = await Promise.all([realWorkflowEnvironment(), testDatabase()]);
});
afterAll(() => Promise.all([environment, database].map((one: AsyncDisposable) => one[Symbol.asyncDispose]())));

const worker = (temporal: string, ...args: string[]) =>
  startProgram('cli/pop.ts', { DATABASE_URL: database.url }, [
    ...['worker', '--temporal', temporal, '--health-port', '0', '--metrics-port', '0'],
    ...args,
  ]);

const urlOf = (program: Program, message: string) =>
  vi.waitFor(
    () => {
      const line = program.lines.find((one) => typeof one !== 'string' && one.message === message);
      expect(line, program.lines.map((one) => JSON.stringify(one)).join('\n')).toBeDefined();
      return String((line as Record<string, unknown>).url);
    },
    { timeout: 20_000, interval: 20 },
  );

test('it is ready once it works, tells metrics, and on SIGTERM is not ready and ends with 0', async () => {
  await using program = worker(environment.address);
  const [probes, metrics] = [await urlOf(program, 'probes ready'), await urlOf(program, 'metrics ready')];
  await program.says('control worker ready');
  expect((await fetch(probes)).status).toBe(200);
  expect((await fetch(probes.replace('/readyz', '/livez'))).status).toBe(200);
  const told = await (await fetch(metrics)).text();
  for (const name of ['pop_wakes_total', 'pop_record_up 1', 'process_cpu_seconds_total']) expect(told).toContain(name);
  program.process.kill('SIGTERM');
  await program.says('shutting down');
  // It may be gone by then, which is no less not ready.
  const answer = await fetch(probes).catch(() => undefined);
  if (answer !== undefined) expect(answer.status).toBe(503);
  expect(await program.exited).toBe(0);
});

test('while Temporal is away it is alive, not ready, and says so; a second SIGTERM is not needed', async () => {
  const temporal = `127.0.0.1:${await freePort(0)}`;
  await using program = worker(temporal);
  const probes = await urlOf(program, 'probes ready');
  await vi.waitFor(
    async () => {
      const answer = await fetch(probes);
      const reason = `waiting for Temporal at ${temporal}`;
      expect([answer.status, await answer.json()]).toEqual([503, { status: 'starting', reason }]);
    },
    { timeout: 30_000, interval: 50 },
  );
  expect((await fetch(probes.replace('/readyz', '/livez'))).status).toBe(200);
  program.process.kill('SIGTERM');
  expect(await program.exited).toBe(0);
});

test('names that are of another installation are refused: 3', async () => {
  await using first = worker(environment.address);
  await first.says('control worker ready');
  await using other = await testDatabase();
  await other.$client`update installation set id = gen_random_uuid()::text`;
  await using refused = startProgram('cli/pop.ts', {}, [
    ...['worker', '--database', other.url, '--temporal', environment.address],
  ]);
  expect(await refused.exited).toBe(3);
  await refused.says('Installations that share a namespace need a POP_INSTALLATION of their own');
});
