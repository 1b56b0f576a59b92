/** Handlers that report with the token of their launch, as real processes against a real api. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { StartedRecord } from '../../launchers/local/run-files.ts';
import { type Host, type TestWorker, testHost, testWorker } from '../../test/support/pool-worker.ts';
import { ResourcePoolService } from '../../test/support/resource-pool-service.ts';
import type { OperationKey } from '../../workflows/activities.ts';

let service: ResourcePoolService;
beforeAll(async () => {
  service = await ResourcePoolService.open();
});
afterAll(() => service[Symbol.asyncDispose]());

const eventually = { timeout: 15_000, interval: 20 };
const example = fileURLToPath(new URL('../../examples/handlers/by-itself.sh', import.meta.url));

/** A host whose type `byItself` runs this script, which finds the example's path in EXAMPLE and the gate's in GATE. */
async function hostOf(script: string, more: object = {}): Promise<Host> {
  const host = await testHost();
  const podConfig = {
    command: ['/bin/sh', '-c', script],
    envVars: { EXAMPLE: example, GATE: host.gate },
    graceSeconds: 5,
    ...more,
  };
  writeFileSync(host.registry, JSON.stringify({ basePodConfig: {}, byItself: { podConfig } }));
  return host;
}

async function admitted(): Promise<OperationKey> {
  service.heal();
  service.requests.length = 0;
  const agendaId = await service.admit([{ name: 'step', type: 'byItself' }]);
  return { agendaId, attempt: 1, operation: 'step', type: 'byItself' };
}
const recorded = ({ agendaId, operation }: OperationKey) => service.recorded(agendaId, operation);

/** The directory of the one run here, once its handler has begun. */
function runDirectory(host: Host, worker: TestWorker): Promise<string> {
  return vi.waitFor(async () => {
    const [run] = await worker.local.list();
    const directory = join(host.runs, run?.key ?? 'none');
    if (!existsSync(join(directory, 'started.json'))) throw new Error('no handler yet');
    return directory;
  }, eventually);
}

const untilGate = 'until [ -e "$GATE" ]; do sleep 0.02; done';

test('a shell script reports progress and its end with curl, and no exit code changes that', async () => {
  await using host = await hostOf(`. "$EXAMPLE" && echo said all; exit 3`);
  using worker = testWorker(host, service);
  const key = await admitted();
  await worker.run(key).ended;
  expect(await recorded(key)).toMatchObject({ state: 'COMPLETE', message: 'succeeded', result: '{"by":"itself"}' });
  // The output comes with the report of the pool worker, which finds the end in the record.
  expect(await service.logs(key.agendaId)).toEqual([expect.stringContaining('said all')]);
  const told = service.requests.filter(({ items }) => items.some((item) => 'percentComplete' in item));
  expect(told[0]?.items[0]).toMatchObject({ percentComplete: 50, message: 'half way' });
  expect(await worker.local.list()).toEqual([]);
});

test('what it printed is kept, too, when it reported its end while no worker lived', async () => {
  await using host = await hostOf(`${untilGate}; . "$EXAMPLE"; echo printed then`);
  const key = await admitted();
  {
    using first = testWorker(host, service);
    const activity = first.run(key);
    await runDirectory(host, first);
    first.shutDown();
    await expect(activity.ended).rejects.toMatchObject({ type: 'letGo' });
  }
  await host.openGate();
  await vi.waitFor(async () => expect((await recorded(key)).message).toBe('succeeded'), eventually);
  using second = testWorker(host, service);
  await second.run(key, { attempt: 2 }).ended;
  expect(await service.logs(key.agendaId)).toEqual([expect.stringContaining('printed then')]);
  expect(await second.local.list()).toEqual([]);
  expect(await recorded(key)).toMatchObject({ message: 'succeeded', result: '{"by":"itself"}', launch: 1 });
});

test('one that reports and prints nothing is not quiet, and is once it reports no more', async () => {
  const say = '"$POP_URL/resourcepool/service/reportProgress"';
  const json = "-H 'Content-Type: application/json'";
  const report = `curl -fsS -o "$GATE.answer" --config "$GATE.curl" ${json} -d "$BODY" ${say}`;
  const script = `printf 'header = "Authorization: Bearer %s"' "$(cat "$POP_TOKEN_FILE")" > "$GATE.curl"
    BODY="{\\"items\\":[$POP_LAUNCH]}"
    for n in 1 2 3 4 5 6 7 8; do ${report}; sleep 0.5; done; ${untilGate}`;
  await using host = await hostOf(script, { quietSeconds: 1.5 });
  using worker = testWorker(host, service);
  const key = await admitted();
  await worker.run(key).ended;
  expect(await recorded(key)).toMatchObject({ state: 'COMPLETE', message: 'failed', code: 'quietLimit' });
  const reports = service.requests.filter(({ operation, items }) => operation === 'reportProgress' && items.length > 0);
  const told = await service.database.$client<{ seconds: number }[]>`
    select extract(epoch from ended_time - started_time)::float8 as seconds
    from operation_progress where agenda_id = ${key.agendaId}`;
  expect(reports.length).toBeGreaterThan(8);
  expect(told[0]?.seconds).toBeGreaterThan(5);
});

test('a handler that has reported its end may go on for its grace, and its output of then is kept', async () => {
  await using host = await hostOf(`. "$EXAMPLE"; ${untilGate}; echo the last word`);
  using worker = testWorker(host, service);
  const key = await admitted();
  const activity = worker.run(key);
  await vi.waitFor(async () => expect((await recorded(key)).message).toBe('succeeded'), eventually);
  // Until a beat has told the worker, which then beats no more.
  const [run] = await worker.local.list();
  await vi.waitFor(() => expect(worker.pool.running.follows(run?.key ?? '')).toBe(false), eventually);
  expect(run?.alive).toBe(true);
  await host.openGate();
  await activity.ended;
  expect(await service.logs(key.agendaId)).toEqual([expect.stringContaining('the last word')]);
  expect(await worker.local.list()).toEqual([]);
});

test('one that does not end is stopped after its grace', async () => {
  await using host = await hostOf('. "$EXAMPLE"; exec sleep 1000', { graceSeconds: 1 });
  using worker = testWorker(host, service);
  const key = await admitted();
  await worker.run(key).ended;
  expect(await recorded(key)).toMatchObject({ state: 'COMPLETE', message: 'succeeded', result: '{"by":"itself"}' });
  expect(await worker.local.list()).toEqual([]);
});

test('the token is in a file for its owner only, and in no environment, no argument and no log', async () => {
  await using host = await hostOf(`sleep 1000 & ${untilGate}; kill $!`);
  using worker = testWorker(host, service);
  const key = await admitted();
  const activity = worker.run(key);
  const directory = await runDirectory(host, worker);
  const path = join(directory, 'token');
  const token = readFileSync(path, 'utf8');
  expect(token).toMatch(/^popl_\d+_/);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(path).uid).toBe(process.getuid?.());

  const { pid, shim } = JSON.parse(readFileSync(join(directory, 'started.json'), 'utf8')) as StartedRecord;
  const variables = await vi.waitFor(() => {
    const environ = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    expect(environ.some((each) => each.startsWith('POP_TOKEN_FILE='))).toBe(true);
    return environ;
  }, eventually);
  expect(variables).toContain(`POP_TOKEN_FILE=${path}`);
  expect(variables).toContain(`POP_URL=${service.url}`);
  for (const each of [pid, shim.pid])
    for (const name of ['environ', 'cmdline'])
      expect(readFileSync(`/proc/${each}/${name}`, 'utf8')).not.toContain('popl_');
  for (const name of ['run.json', 'launch.json', 'payload.json', 'shim.log', 'log/output.log'])
    expect(readFileSync(join(directory, name), 'utf8'), name).not.toContain('popl_');
  await host.openGate();
  await activity.ended;
  expect((await recorded(key)).message).toBe('succeeded');
  expect(worker.lines.length).toBeGreaterThan(0);
  expect(JSON.stringify([worker.lines, service.lines])).not.toContain('popl_');
});

test('a worker that adopts a run puts the newest token where the handler looks for it', async () => {
  await using host = await hostOf(`${untilGate}; . "$EXAMPLE"`);
  using first = testWorker(host, service);
  const key = await admitted();
  const activity = first.run(key);
  const directory = await runDirectory(host, first);
  const token = () => readFileSync(join(directory, 'token'), 'utf8');
  const before = token();
  first.shutDown();
  await expect(activity.ended).rejects.toMatchObject({ type: 'letGo' });
  await service.rotateLaunchTokenKeys();
  using second = testWorker(host, service);
  const adopting = second.run(key, { attempt: 2 });
  await vi.waitFor(() => expect(token()).not.toBe(before), eventually);
  expect(statSync(join(directory, 'token')).mode & 0o777).toBe(0o600);
  await host.openGate();
  await adopting.ended;
  expect(await recorded(key)).toMatchObject({ message: 'succeeded', launch: 1, result: '{"by":"itself"}' });
});
