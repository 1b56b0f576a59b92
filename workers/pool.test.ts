import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { WorkflowHandle } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { StartedRecord } from '../launchers/local/run-files.ts';
import { type Host, testHost } from '../test/support/pool-worker.ts';
import { ResourcePoolService } from '../test/support/resource-pool-service.ts';
import type { OperationKey } from '../workflows/activities.ts';

const temporal = resolve(process.env.POP_HOME ?? '.pop', 'bin', 'temporal');
const heartbeatSeconds = 2;
const eventually = { timeout: 20_000, interval: 50 };

let environment: TestWorkflowEnvironment;
let service: ResourcePoolService;
let worker: Worker;
let working: Promise<void>;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
  [environment, service] = await Promise.all([
    TestWorkflowEnvironment.createLocal({ server: { executable: { type: 'existing-path', path: temporal } } }),
    ResourcePoolService.open(),
  ]);
  worker = await Worker.create({
    connection: environment.nativeConnection,
    taskQueue: 'test',
    workflowsPath: fileURLToPath(new URL('../test/support/run-operation-workflow.ts', import.meta.url)),
  });
  working = worker.run();
});

afterAll(async () => {
  worker.shutdown();
  await working;
  await environment.teardown();
  await service[Symbol.asyncDispose]();
});

interface PoolProcess extends AsyncDisposable {
  readonly process: ChildProcess;
  readonly lines: readonly Record<string, unknown>[];
  readonly exited: Promise<number | null>;
  ready(): Promise<void>;
}

function startProcess(settings: Record<string, string>): PoolProcess {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./pool.ts', import.meta.url))], {
    env: { PATH: process.env.PATH, LOG_LEVEL: 'info', ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: Record<string, unknown>[] = [];
  createInterface({ input: child.stdout }).on('line', (line) =>
    lines.push(JSON.parse(line) as Record<string, unknown>),
  );
  const exited = once(child, 'close').then(([code]) => code as number | null);
  return {
    process: child,
    lines,
    exited,
    ready: () =>
      vi.waitFor(
        () => expect(lines).toContainEqual(expect.objectContaining({ message: 'pool worker ready' })),
        eventually,
      ),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

async function poolProcess(host: Host): Promise<PoolProcess> {
  const started = startProcess({
    TEMPORAL_ADDRESS: environment.address,
    POP_URL: service.url,
    POP_API_KEY: service.apiKey,
    POP_POOL_ID: service.resourcePoolId,
    POP_REGISTRY: host.registry,
    POP_RUN_DIRECTORY: host.runs,
  });
  try {
    await started.ready();
  } catch (error) {
    await started[Symbol.asyncDispose]();
    throw error;
  }
  return started;
}

async function submit(type: string): Promise<{ key: OperationKey; workflow: WorkflowHandle }> {
  const agendaId = await service.admit([{ name: 'step', type }]);
  const key: OperationKey = { agendaId, attempt: 1, operation: 'step', type };
  const workflow = await environment.client.workflow.start('runOneOperation', {
    taskQueue: 'test',
    workflowId: key.agendaId,
    args: [{ resourcePoolId: service.resourcePoolId, heartbeatSeconds, operation: key }],
  });
  return { key, workflow };
}

const recorded = ({ agendaId, operation }: OperationKey) => service.recorded(agendaId, operation);

/** Pid of the one handler that runs on this host. */
function handlerPid(host: Host): Promise<number> {
  return vi.waitFor(async () => {
    const launcher = new (await import('../launchers/local/local-launcher.ts')).LocalLauncher({ root: host.runs });
    const [run] = await launcher.list();
    return (JSON.parse(readFileSync(join(host.runs, run?.key ?? 'none', 'started.json'), 'utf8')) as StartedRecord).pid;
  }, eventually);
}

/**
 * Waits until this process has the activity. A frozen one may be handed it too, for its poll is still open at the
 * server.
 */
async function takenBy(workflow: WorkflowHandle, pool: PoolProcess): Promise<void> {
  const name = String(pool.lines.find(({ message }) => message === 'pool worker ready')?.worker);
  await vi.waitFor(async () => {
    const [pending] = (await workflow.describe()).raw.pendingActivities ?? [];
    expect(pending?.lastStartedTime).toBeTruthy();
    expect(pending?.lastWorkerIdentity).toContain(name);
  }, eventually);
}

test('missing settings are named, all of them, and the process ends with 1', async () => {
  await using started = startProcess({ POP_URL: 'http://127.0.0.1:1/v1' });
  expect(await started.exited).toBe(1);
  const last = String(started.lines.at(-1)?.message);
  for (const name of ['POP_POOL_ID', 'POP_API_KEY', 'POP_REGISTRY']) expect(last).toContain(name);
});

test('a worker that still waits for Temporal says so once, and ends with 0 on SIGTERM', async () => {
  await using host = await testHost();
  await using started = startProcess({
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    POP_URL: service.url,
    POP_API_KEY: service.apiKey,
    POP_POOL_ID: service.resourcePoolId,
    POP_REGISTRY: host.registry,
    POP_RUN_DIRECTORY: host.runs,
  });
  await vi.waitFor(
    () => expect(started.lines).toContainEqual(expect.objectContaining({ address: '127.0.0.1:1' })),
    eventually,
  );
  started.process.kill('SIGTERM');
  expect(await started.exited).toBe(0);
  expect(started.lines.filter(({ address }) => address !== undefined)).toHaveLength(1);
});

test('an Operation asked for by a workflow runs, and SIGTERM ends an idle worker with 0', async () => {
  await using host = await testHost();
  await using pool = await poolProcess(host);
  const { key, workflow } = await submit('noOp');
  await workflow.result();
  expect(await recorded(key)).toMatchObject({ message: 'succeeded', launch: 1 });
  pool.process.kill('SIGTERM');
  expect(await pool.exited).toBe(0);
});

test('on SIGTERM a worker leaves its runs and ends; another adopts the same process', async () => {
  await using host = await testHost();
  await using first = await poolProcess(host);
  const { key, workflow } = await submit('gated');
  const pid = await handlerPid(host);
  await using second = await poolProcess(host);
  first.process.kill('SIGTERM');
  expect(await first.exited).toBe(0);
  await takenBy(workflow, second);
  await host.openGate();
  await workflow.result();
  expect(await recorded(key)).toMatchObject({ message: 'succeeded', launch: 1, result: JSON.stringify({ pid }) });
});

test('after kill -9 another worker adopts the same process once the heartbeats are missed', async () => {
  await using host = await testHost();
  await using first = await poolProcess(host);
  const { key, workflow } = await submit('gated');
  const pid = await handlerPid(host);
  first.process.kill('SIGKILL');
  await using second = await poolProcess(host);
  await takenBy(workflow, second);
  await host.openGate();
  await workflow.result();
  expect(await recorded(key)).toMatchObject({ message: 'succeeded', launch: 1, result: JSON.stringify({ pid }) });
});

test('a worker frozen past its heartbeat timeout lets go of the run that another adopted', async () => {
  await using host = await testHost();
  await using frozen = await poolProcess(host);
  const { key, workflow } = await submit('gated');
  const pid = await handlerPid(host);
  frozen.process.kill('SIGSTOP');
  await using second = await poolProcess(host);
  await takenBy(workflow, second);
  frozen.process.kill('SIGCONT');

  await vi.waitFor(
    () => expect(frozen.lines.map(({ message }) => message)).toContain('let go of an Operation'),
    eventually,
  );
  expect((await recorded(key)).state).toBe('EXECUTING');
  process.kill(pid, 0);
  await host.openGate();
  await workflow.result();
  expect(await recorded(key)).toMatchObject({ message: 'succeeded', launch: 1, result: JSON.stringify({ pid }) });
  // Its open poll may have been handed a later attempt while it was frozen, so either may be the one that reports.
  const said = () => [...frozen.lines, ...second.lines].map(({ message }) => message);
  await vi.waitFor(() => expect(said()).toContain('operation ended'), eventually);
});

test('a cancel of the workflow ends the run', async () => {
  await using host = await testHost();
  await using _pool = await poolProcess(host);
  const { key, workflow } = await submit('gated');
  const pid = await handlerPid(host);
  await workflow.cancel();
  await expect(workflow.result()).rejects.toThrow();
  expect(await recorded(key)).toMatchObject({ state: 'COMPLETE', message: 'cancelled' });
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});

/** The registry of a host without some of its types. */
async function without(host: Host, ...types: string[]): Promise<void> {
  const registry = JSON.parse(readFileSync(host.registry, 'utf8')) as Record<string, unknown>;
  for (const type of types) delete registry[type];
  await writeFile(host.registry, JSON.stringify(registry));
}

/** What the record has of pool workers. */
const toldWorkers = () =>
  service.database.$client<{ name: string; problem: string | null; types: string[] }[]>`
    select name, registry_problem as problem, array(select jsonb_object_keys(types)) as types
    from pool_worker join pool_registry using (resource_pool_id, digest)`;

test('what a worker serves is in the record before it takes work, and follows its registry to its end', async () => {
  await service.database.$client`delete from pool_worker`;
  await using host = await testHost();
  await using pool = await poolProcess(host);
  const name = pool.lines.find(({ message }) => message === 'pool worker ready')?.worker;
  const [told] = await toldWorkers();
  expect(told).toMatchObject({ name, problem: null, types: expect.arrayContaining(['gated', 'noOp']) });
  await without(host, 'noOp');
  await vi.waitFor(async () => expect((await toldWorkers())[0]?.types).not.toContain('noOp'), eventually);
  await writeFile(host.registry, '{\n"basePodConfig": {},\n"gated": 4 }');
  await vi.waitFor(
    async () => expect((await toldWorkers())[0]?.problem).toMatch(/registry.json:3 \/gated: /),
    eventually,
  );
  expect((await toldWorkers())[0]?.types).toContain('gated');
  pool.process.kill('SIGTERM');
  expect(await pool.exited).toBe(0);
  expect(await toldWorkers()).toEqual([]);
});

test('a registry that is broken at the start ends the process with 1, naming file, line and field', async () => {
  await using host = await testHost();
  await writeFile(host.registry, '{\n"basePodConfig": {},\n"a": { "podConfig": {\n"comand": ["true"] } } }');
  await using started = startProcess({
    TEMPORAL_ADDRESS: environment.address,
    POP_URL: service.url,
    POP_API_KEY: service.apiKey,
    POP_POOL_ID: service.resourcePoolId,
    POP_REGISTRY: host.registry,
    POP_RUN_DIRECTORY: host.runs,
  });
  expect(await started.exited).toBe(1);
  expect(started.lines.at(-1)?.message).toMatch(
    /POP_REGISTRY.*\n.*registry.json:4 \/a\/podConfig\/comand: unknown field/,
  );
});

test('what one of two workers serves all ends there, and nothing is spent by the other', async () => {
  // Those that tests before killed count as being there for a while.
  await service.database.$client`delete from pool_worker`;
  await using servingHost = await testHost();
  await using otherHost = await testHost();
  await without(otherHost, 'noOp');
  await using other = await poolProcess(otherHost);
  await using serving = await poolProcess(servingHost);
  const submitted: Awaited<ReturnType<typeof submit>>[] = [];
  for (let n = 0; n < 12; n++) submitted.push(await submit('noOp'));
  await Promise.all(submitted.map(({ workflow }) => workflow.result()));
  for (const { key } of submitted) {
    expect(await recorded(key)).toMatchObject({ message: 'succeeded', launch: 1, blocked: null, events: [] });
    expect(await service.launches(key.agendaId)).toMatchObject([{ launch: 1, ending: 'succeeded' }]);
  }
  // Else the other was never asked, and nothing is shown.
  const handedBack = await handBacksOf(submitted.map(({ workflow }) => workflow));
  expect(handedBack).toBeGreaterThan(0);
  serving.process.kill('SIGTERM');
  expect(await serving.exited).toBe(0);

  // Nobody that is there serves it now: it says so, and goes on once somebody does.
  const { key, workflow } = await submit('noOp');
  await vi.waitFor(
    async () => expect((await recorded(key)).blocked).toMatch(/^No pool worker that is there serves .*"noOp"/),
    eventually,
  );
  await using _again = await poolProcess(servingHost);
  await workflow.result();
  expect(await recorded(key)).toMatchObject({ message: 'succeeded', launch: 1 });
  expect(other.process.exitCode).toBeNull();
});

/** How often an activity of these workflows was begun, beyond the first time. */
async function handBacksOf(workflows: readonly WorkflowHandle[]): Promise<number> {
  const histories = await Promise.all(workflows.map((workflow) => workflow.fetchHistory()));
  const attempts = histories.flatMap(({ events }) =>
    (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) => started?.attempt ?? []),
  );
  return attempts.reduce((sum, attempt) => sum + attempt - 1, 0);
}
