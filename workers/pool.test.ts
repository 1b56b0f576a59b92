import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
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
