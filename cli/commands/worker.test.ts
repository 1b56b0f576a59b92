import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { insightWake } from '../../db/schema.ts';
import { freePort } from '../../machine/free-port.ts';
import { type Program, startProgram } from '../../test/support/program.ts';
import { ResourcePoolService } from '../../test/support/resource-pool-service.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../../test/support/workflow-environment.ts';

let environment: WorkflowEnvironment;
let service: ResourcePoolService;
let database: TestDatabase;
beforeAll(async () => {
  [environment, service] = await Promise.all([realWorkflowEnvironment(), ResourcePoolService.open()]);
  ({ database } = service);
  await database.insert(insightWake).values({ insightId: 'insight' });
});
afterAll(() => Promise.all([environment, service].map((one: AsyncDisposable) => one[Symbol.asyncDispose]())));

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

test('it is ready once it works, and tells metrics', async () => {
  await using program = worker(environment.address);
  const [probes, metrics] = [await urlOf(program, 'probes ready'), await urlOf(program, 'metrics ready')];
  await program.says('control worker ready');
  expect((await fetch(probes)).status).toBe(200);
  expect((await fetch(probes.replace('/readyz', '/livez'))).status).toBe(200);
  const told = await (await fetch(metrics)).text();
  for (const name of ['pop_wakes_total', 'pop_record_up 1', 'process_cpu_seconds_total']) expect(told).toContain(name);
  program.process.kill('SIGTERM');
  expect(await program.exited).toBe(0);
});

/** Keeps everybody from admitting to the pool until it is told to let go. */
async function holdPool(): Promise<{ release(): void; readonly released: Promise<unknown> }> {
  const [held, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const released = database.$client.begin(async (sql) => {
    await sql`select pg_advisory_xact_lock(hashtextextended('resource-pool:pool', 0))`;
    held.resolve();
    await go.promise;
  });
  await held.promise;
  return { release: go.resolve, released };
}

const isAdmitted = async (agendaId: string) =>
  (await database.$client`select from running_agenda where agenda_id = ${agendaId}`).length > 0;

/** Submits, and resolves when a control worker stands before the pool's lock for it. */
async function submitAndWait(): Promise<string> {
  const { agendaId } = await service.submit([{ name: 'a', type: 'sample' }]);
  await vi.waitFor(
    async () => {
      const waiting = await database.$client`
        select from pg_locks l join pg_stat_activity a using (pid)
        where l.locktype = 'advisory' and not l.granted and a.application_name = 'pop-control'`;
      expect(waiting.length).toBeGreaterThan(0);
    },
    { timeout: 30_000, interval: 50 },
  );
  return agendaId;
}

test('told to end with an admission under way it is not ready, finishes that, and ends with 0', async () => {
  const pool = await holdPool();
  await using program = worker(environment.address, '--sweep-seconds', '0.2');
  const probes = await urlOf(program, 'probes ready');
  const agendaId = await submitAndWait();
  program.process.kill('SIGTERM');
  await program.says('shutting down');
  const answer = await fetch(probes);
  expect([answer.status, await answer.json()]).toEqual([503, { status: 'draining', reason: 'shutting down: SIGTERM' }]);
  pool.release();
  await pool.released;
  expect(await program.exited).toBe(0);
  expect(await isAdmitted(agendaId)).toBe(true);
});

test('what does not end in its time is given up with 4, and the next worker does it', async () => {
  const pool = await holdPool();
  await using program = worker(environment.address, '--sweep-seconds', '0.2', '--drain-seconds', '1');
  const agendaId = await submitAndWait();
  program.process.kill('SIGTERM');
  expect(await program.exited).toBe(4);
  await program.says(/^what was under way did not end in 1 s/);
  pool.release();
  await pool.released;
  await using next = worker(environment.address, '--sweep-seconds', '0.2');
  await next.says('control worker ready');
  await vi.waitFor(async () => expect(await isAdmitted(agendaId)).toBe(true), { timeout: 30_000, interval: 50 });
});

test('what ends late, and before the process is made to end, is given up, too', async () => {
  const pool = await holdPool();
  await using program = worker(environment.address, '--sweep-seconds', '0.2', '--drain-seconds', '1');
  await submitAndWait();
  program.process.kill('SIGTERM');
  await program.says('Worker failed');
  pool.release();
  await pool.released;
  expect(await program.exited).toBe(4);
  await program.says('pop worker: what was under way did not end in 1 s (POP_DRAIN_SECONDS) and is given up');
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
