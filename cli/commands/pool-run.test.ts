import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createKey } from '../../db/settings/first-key.ts';
import { freePort } from '../../machine/free-port.ts';
import { certificateAuthority } from '../../test/support/certificates.ts';
import { type Host, testHost } from '../../test/support/pool-worker.ts';
import { type Program, startProgram } from '../../test/support/program.ts';
import { ResourcePoolService } from '../../test/support/resource-pool-service.ts';
import { tlsProxy } from '../../test/support/tls-proxy.ts';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../../test/support/workflow-environment.ts';

let environment: WorkflowEnvironment;
let service: ResourcePoolService;
let host: Host;
let keyFile: string;
const patience = { timeout: 30_000, interval: 50 };

beforeAll(async () => {
  [environment, service, host] = await Promise.all([realWorkflowEnvironment(), ResourcePoolService.open(), testHost()]);
  keyFile = join(host.directory, 'pool.key');
  await writeFile(keyFile, `${service.apiKey}\n`);
});
afterAll(() => Promise.all([environment, service, host].map((one: AsyncDisposable) => one[Symbol.asyncDispose]())));

/** The command as its help shows it, with changes. */
function poolRun(changes: Readonly<Record<string, string>> = {}, settings: Readonly<Record<string, string>> = {}) {
  const options = {
    ...{ '--pool': service.resourcePoolId, '--api': service.url, '--key-file': keyFile },
    ...{ '--temporal': environment.address, '--registry': host.registry, '--run-directory': host.runs },
    ...{ '--metrics-port': '0', '--health-port': '0' },
    ...changes,
  };
  const args = Object.entries(options).flatMap(([flag, value]) => (value === '' ? [] : [flag, value]));
  return startProgram('cli/pop.ts', settings, ['pool', 'run', ...args]);
}

function urlOf(program: Program, message: 'metrics ready' | 'probes ready'): Promise<string> {
  return vi.waitFor(() => {
    const line = program.lines.find((one) => typeof one !== 'string' && one.message === message);
    expect(line, program.lines.map((one) => JSON.stringify(one)).join('\n')).toBeDefined();
    return String((line as Record<string, unknown>).url);
  }, patience);
}

/** The line of a metric, without what is not asked for. */
const metric = async (url: string, name: string) =>
  (await (await fetch(url)).text())
    .split('\n')
    .find((line) => line.startsWith(name))
    ?.slice(name.length)
    .trim();

async function submitGated(): Promise<{ agendaId: string; ended: Promise<unknown> }> {
  const agendaId = await service.admit([{ name: 'step', type: 'gated' }]);
  const key = { agendaId, attempt: 1, operation: 'step', type: 'gated' };
  const handle = await environment.client.workflow.start('runOneOperation', {
    ...{ taskQueue: 'test', workflowId: agendaId },
    args: [{ resourcePoolId: service.resourcePoolId, heartbeatSeconds: 2, operation: key }],
  });
  return { agendaId, ended: handle.result() };
}

const serving = (body: () => Promise<void>) =>
  environment.run({ test: {} }, body, {
    workflowsPath: new URL('../../test/support/run-operation-workflow.ts', import.meta.url).pathname,
  });

test('it runs Operations and counts them; told to end it lets go of what runs, and another adopts that', async () => {
  await serving(async () => {
    await using first = poolRun();
    const [metrics, probes] = [await urlOf(first, 'metrics ready'), await urlOf(first, 'probes ready')];
    await first.says('pool worker ready');
    expect((await fetch(probes)).status).toBe(200);
    expect(await metric(metrics, 'pop_pool_reachable{what="api"}')).toBe('1');
    expect(await metric(metrics, 'pop_pool_running_operations')).toBe('0');
    expect(Number(await metric(metrics, 'pop_pool_slots'))).toBeGreaterThanOrEqual(4);
    const { agendaId, ended } = await submitGated();
    await vi.waitFor(async () => {
      expect(await metric(metrics, 'pop_pool_launches_total{launcher="local",how="started"}')).toBe('1');
      expect(await metric(metrics, 'pop_pool_running_operations')).toBe('1');
      expect(await metric(metrics, 'pop_pool_start_seconds_count{launcher="local"}')).toBe('1');
      expect(Number(await metric(metrics, 'pop_pool_progress_requests_total{result="answered"}'))).toBeGreaterThan(0);
    }, patience);

    await using second = poolRun();
    await second.says('pool worker ready');
    first.process.kill('SIGTERM');
    expect(await first.exited).toBe(0);
    const others = await urlOf(second, 'metrics ready');
    await vi.waitFor(
      async () => expect(await metric(others, 'pop_pool_launches_total{launcher="local",how="adopted"}')).toBe('1'),
      patience,
    );
    await host.openGate();
    await ended;
    const pid = JSON.parse((await service.recorded(agendaId, 'step')).result ?? '{}').pid as number;
    expect(pid).toBeGreaterThan(0);
    expect(await service.recorded(agendaId, 'step')).toMatchObject({ message: 'succeeded', launch: 1 });
    expect(await metric(others, 'pop_pool_ends_total{launcher="local",category="succeeded"}')).toBe('1');
    expect(await metric(others, 'pop_pool_start_seconds_count{launcher="local"}')).toBeUndefined();
    second.process.kill('SIGTERM');
    expect(await second.exited).toBe(0);
  });
});

test('while the api or Temporal is away it waits, is not ready, and says for what', async () => {
  const [api, temporal] = [`http://127.0.0.1:${await freePort(0)}/v1`, `127.0.0.1:${await freePort(0)}`];
  await using program = poolRun({ '--api': api, '--temporal': temporal });
  const probes = await urlOf(program, 'probes ready');
  const metrics = await urlOf(program, 'metrics ready');
  await program.says('the api does not answer yet');
  await program.says('Temporal does not answer yet');
  for (const url of [probes, metrics.replace('/metrics', '/readyz')]) {
    const answer = await fetch(url);
    const reason = `waiting for Temporal at ${temporal}, the api at ${api}`;
    expect([answer.status, await answer.json()]).toEqual([503, { status: 'starting', reason }]);
  }
  expect((await fetch(probes.replace('/readyz', '/livez'))).status).toBe(200);
  program.process.kill('SIGTERM');
  expect(await program.exited).toBe(0);
});

test('a key that is not good, or is of another pool, is refused: 3, also while Temporal is away', async () => {
  const wrong = poolRun({ '--key-file': '', '--key': 'pop_test_wrong' }, { POP_API_KEY_FILE: keyFile });
  await using _wrong = wrong;
  expect(await wrong.exited).toBe(3);
  await wrong.says(`pop pool run: The api at ${service.url} refuses this pool worker of "pool"`);
  const { key } = await createKey(service.database, 'test', { accounts: [], superUser: false, scopes: ['pool:other'] });
  await using others = poolRun({ '--key-file': '', '--key': key, '--temporal': '127.0.0.1:1' });
  expect(await others.exited).toBe(3);
  await using elsewhere = poolRun({ '--pool': 'other' });
  expect(await elsewhere.exited).toBe(3);
  await elsewhere.says('refuses this pool worker of "other"');
  await using noBase = poolRun({ '--api': new URL('/', service.url).href });
  expect(await noBase.exited).toBe(3);
  await noBase.says('POP_URL ends in the base path of the api');
});

test('settings and a registry that are missing or wrong end it with 2', async () => {
  await using nothing = startProgram('cli/pop.ts', {}, ['pool', 'run', '--concurrency', 'all']);
  expect(await nothing.exited).toBe(2);
  const said = nothing.lines.join('\n');
  for (const part of ['--pool <id> (POP_POOL_ID)', '--api <url> (POP_URL)', '--key <key> (POP_API_KEY)'])
    expect(said).toContain(`${part} is missing`);
  for (const part of ['--registry <file> (POP_REGISTRY)', '--run-directory <dir> (POP_RUN_DIRECTORY)'])
    expect(said).toContain(`${part} is missing`);
  expect(said.split('--api <url>')).toHaveLength(2);
  // Who launches Pods is not to look for a folder.
  expect(said).toContain('has a cluster in its place: POP_KUBECONFIG');
  expect(said).toContain('--concurrency <n> (POP_CONCURRENCY) must be a number over 0, not "all"');
  await using noFile = poolRun({ '--key-file': join(host.directory, 'none') });
  expect(await noFile.exited).toBe(2);
  await noFile.says('--key-file <file> (POP_API_KEY_FILE) names a file that cannot be read');
  await using noRegistry = poolRun({ '--registry': join(host.directory, 'none.json') });
  expect(await noRegistry.exited).toBe(2);
  await noRegistry.says('none.json cannot be read');
});

test('it runs through a front door of Temporal with a certificate and a key; a wrong key is refused: 3', async () => {
  const authority = certificateAuthority('test authority');
  await using door = await tlsProxy({
    ...{ target: environment.address, certificate: authority.issue('front', { addresses: ['127.0.0.1'] }) },
    ...{ clientAuthority: authority.certificate, apiKey: 'right' },
  });
  const client = authority.issue('worker');
  const file = async (name: string, text: string) => {
    const path = join(host.directory, name);
    await writeFile(path, text);
    return path;
  };
  const options = {
    '--temporal': `127.0.0.1:${door.port}`,
    '--temporal-tls-ca': await file('ca.pem', authority.certificate),
    '--temporal-tls-cert': await file('client.pem', client.certificate),
    '--temporal-tls-key': await file('client.key', client.key),
    '--temporal-api-key-file': await file('temporal.key', 'right\n'),
  };
  await serving(async () => {
    await using program = poolRun(options);
    await program.says('pool worker ready');
    const agendaId = await service.admit([{ name: 'step', type: 'noOp' }]);
    const operation = { agendaId, attempt: 1, operation: 'step', type: 'noOp' };
    await environment.client.workflow.execute('runOneOperation', {
      ...{ taskQueue: 'test', workflowId: agendaId },
      args: [{ resourcePoolId: service.resourcePoolId, heartbeatSeconds: 2, operation }],
    });
    expect(await service.recorded(agendaId, 'step')).toMatchObject({ message: 'succeeded' });
    program.process.kill('SIGTERM');
    expect(await program.exited).toBe(0);
  });
  await using wrong = poolRun({ ...options, '--temporal-api-key-file': await file('wrong.key', 'wrong') });
  expect(await wrong.exited).toBe(3);
  await wrong.says('refuses this program (TEMPORAL_API_KEY, TEMPORAL_TLS_CERT): Request unauthorized.');
});
