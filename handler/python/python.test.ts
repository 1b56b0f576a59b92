/** The Python module: under the Local launcher, over HTTP against the real api, and installed by pip. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, mkdtempDisposable, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { deflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Ending } from '../../launchers/launcher.ts';
import { type OwnLaunch, ownLaunch } from '../../test/support/own-launch.ts';
import { ResourcePoolService } from '../../test/support/resource-pool-service.ts';
import { recorded, runOf, scratch, startToEnd } from '../../test/support/scratch.ts';

/** The folder of the module. */
const module = fileURLToPath(new URL('.', import.meta.url));
const hasPython = spawnSync('python3', ['-c', 'import sys; assert sys.version_info >= (3, 9)']).status === 0;
if (!hasPython && process.env.CI === 'true') throw new Error('There is no Python ≥ 3.9; CI needs one for these tests.');
const begin = 'from pop_handler import *\nimport os, time\n';
const eventually = { timeout: 15_000, interval: 20 };
/** In a handler: waits for the file that `letGo` writes. */
const untilLetGo = 'while not os.path.exists(os.environ["GO"]): time.sleep(0.02)';

/** A file for a handler to wait for. */
async function gate() {
  const { path: folder, remove } = await mkdtempDisposable(join(tmpdir(), 'pop-gate-'));
  const GO = join(folder, 'go');
  return { environment: { GO }, letGo: () => writeFile(GO, ''), [Symbol.asyncDispose]: remove };
}

/** A handler of this source under the Local launcher. */
async function local(
  source: string,
  run: Parameters<typeof runOf>[1] = {},
  { events = recorded(), environment = {} } = {},
): Promise<Ending> {
  await using at = scratch();
  const podConfig = {
    command: ['python3', '-W', 'error', '-c', begin + source],
    envVars: { PYTHONPATH: module, PYTHONDONTWRITEBYTECODE: '1', ...environment },
  };
  return await startToEnd(at.launcher, runOf(podConfig, run), events);
}

/** A handler with nothing but this environment. */
function start(source: string, environment: Readonly<Record<string, string>>, parameters: readonly string[] = []) {
  const env = { PATH: process.env.PATH, PYTHONPATH: module, PYTHONDONTWRITEBYTECODE: '1', ...environment };
  const child = spawn('python3', ['-W', 'error', '-c', begin + source, ...parameters], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  const ended = once(child, 'close').then(([exitCode]) => ({ exitCode: exitCode as number | null, output }));
  return { child, ended };
}

describe.runIf(hasPython)('under the Local launcher', () => {
  test('payload, facts, progress, resume data, log and result', async () => {
    const source = `
def handle(context):
    context.log("hello from Python")
    context.report("working", 40, params={"at": context.resumed["at"] + 1})
    operation = context.operation
    return {"payload": context.payload, "name": operation.operation_name, "attempt": operation.attempt, "ü": "€"}
run_handler(handle)`;
    const ending = await local(source, { payload: '{"a":["ö"]}', lastProgress: '{"params":{"at":1}}' });
    expect(ending).toMatchObject({
      kind: 'succeeded',
      result: { payload: { a: ['ö'] }, name: 'op.1', attempt: 1, ü: '€' },
      progress: { message: 'succeeded', percentComplete: 100, params: { at: 2 } },
    });
    expect(ending.log?.output).toContain('hello from Python\n');
  });

  test('progress is seen while it works; the last of many reports is not lost', async () => {
    const source = `
def handle(context):
    for n in range(5001):
        context.report(f"step {n}", n / 100)
    context.report(percent_complete=20)
    ${untilLetGo}
run_handler(handle)`;
    await using door = await gate();
    const events = recorded();
    const ended = local(source, {}, { events, ...door });
    const told = () => events.progresses.map(({ message, percentComplete }) => [message, percentComplete]);
    await vi.waitFor(() => expect(told()).toContainEqual(['step 5000', 50]), eventually);
    await door.letGo();
    expect(await ended).toMatchObject({ kind: 'succeeded' });
    expect(told().length).toBeLessThan(10);
  });

  test('a failure tells message, code, status, payload and stack; any exception is one', async () => {
    const ending = await local('run_handler(lambda context: fail("no source", "noSource", 404, {"a": 1}))');
    expect(ending).toMatchObject({
      kind: 'failed',
      diagnosticEvents: [
        { message: 'no source', code: 'noSource', statusCode: 404, payload: { a: 1 } },
        { code: 'exitCode' },
      ],
    });
    expect(ending.kind === 'failed' && ending.diagnosticEvents[0]?.stackTrace).toContain('HandlerFailure: no source');
    expect(await local('run_handler(lambda context: 1 / 0)')).toMatchObject({
      diagnosticEvents: [{ message: 'division by zero', code: 'handlerError' }, {}],
    });
    expect(await local('run_handler(lambda context: float("nan"))')).toMatchObject({ kind: 'failed' });
    expect(await local('import sys\nrun_handler(lambda context: sys.exit(0))')).toMatchObject({ kind: 'failed' });
  });

  test('no result is no result, and what the handler left open does not keep it', async () => {
    const source = 'import threading\nrun_handler(lambda: threading.Thread(target=time.sleep, args=(1000,)).start())';
    const ending = await local(source);
    expect(ending).toMatchObject({ kind: 'succeeded' });
    expect(ending).not.toHaveProperty('result');
  });

  test('SIGTERM raises Stopped where it waits: it tidies up, and what it reported is kept', async () => {
    await using at = scratch();
    const source = `
def handle(context):
    context.report(params={"at": 1})
    print("ready", flush=True)
    try:
        time.sleep(1000)
    finally:
        context.report(params={"at": 2})
        print("tidied", flush=True)
run_handler(handle)`;
    const podConfig = { command: ['python3', '-c', begin + source], envVars: { PYTHONPATH: module } };
    const events = recorded();
    const run = runOf(podConfig);
    const ended = startToEnd(at.launcher, run, events);
    await vi.waitFor(() => expect(events.progresses.at(-1)?.params).toEqual({ at: 1 }), { timeout: 10_000 });
    await at.launcher.stop(run.key, 20);
    const ending = await ended;
    expect(ending).toMatchObject({ kind: 'cancelled', progress: { params: { at: 2 } } });
    expect(ending.log?.output).toContain('tidied');
  });
});

describe.runIf(hasPython)('alone', () => {
  test('input comes by compressed segments, files and POP’s arguments; what is no JSON fails', async () => {
    const packed = deflateSync('{"a":"ü"}').toString('base64');
    const source = 'run_handler(lambda context: [context.payload, context.last_progress])';
    const segments = { POP_COMPRESSED_PAYLOAD_0: packed.slice(0, 5), POP_COMPRESSED_PAYLOAD_1: packed.slice(5) };
    const lines = async (...given: Parameters<typeof start>) => (await start(...given).ended).output.split('\n');
    const compressed = await lines(source, { POP_PAYLOAD_TYPE: 'compressedEnvVar', ...segments });
    expect(compressed.slice(0, 2)).toEqual(['[{"a":"ü"},null]', 'COMPLETE 100% succeeded']);
    const file = fileURLToPath(new URL('../package.json', import.meta.url));
    const named = await lines(source, { PAYLOAD: '1', POP_PAYLOAD_FILE: file }, [
      '-launchType',
      'local',
      '-payloadFile',
      file,
    ]);
    expect(named[0]).toContain('"name":"@pop/handler"');
    expect(named.slice(1)).toEqual(['COMPLETE 100% succeeded', 'HandlerComplete', '']);
    const broken = await start(source, { PAYLOAD: '{half' }).ended;
    expect(broken.exitCode).toBe(1);
    expect(broken.output).toContain('The payload cannot be read');
  });

  test('a payload in parts is joined, wherever it was cut', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pop-python-'));
    try {
      const bytes = Buffer.from('{"a":"ü€😀"}');
      const file = join(folder, 'payload.json');
      // Within the first character, and within the last one.
      const cuts = [0, 7, 13, bytes.length];
      for (const n of [0, 1, 2]) await writeFile(n === 0 ? file : `${file}.${n}`, bytes.subarray(cuts[n], cuts[n + 1]));
      const source = 'run_handler(lambda context: context.payload)';
      const named = { POP_PAYLOAD_FILE: file, POP_PAYLOAD_PARTS: '3' };
      expect((await start(source, named).ended).output.split('\n')[0]).toBe('{"a":"ü€😀"}');
      for (const wrong of [{ POP_PAYLOAD_FILE: file }, { ...named, POP_PAYLOAD_PARTS: '4' }]) {
        const { exitCode, output } = await start(source, wrong).ended;
        expect(exitCode).toBe(1);
        expect(output).toContain('The payload cannot be read');
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('pip installs it from its folder', { timeout: 120_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pop-python-'));
    try {
      const execute = promisify(execFile);
      // A copy, for the build leaves files in the folder.
      await cp(module, join(folder, 'source'), { recursive: true });
      const target = join(folder, 'installed');
      await execute('python3', [
        '-m',
        'pip',
        'install',
        '--quiet',
        '--no-deps',
        '--target',
        target,
        join(folder, 'source'),
      ]);
      const source = 'import pop_handler\nrun_handler(lambda: pop_handler.__file__)';
      expect((await start(source, { PYTHONPATH: target }).ended).output).toContain(join(target, 'pop_handler'));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe.runIf(hasPython)('with the token of its launch', () => {
  let service: ResourcePoolService;
  beforeAll(async () => {
    service = await ResourcePoolService.open();
  });
  afterAll(() => service[Symbol.asyncDispose]());
  const of = ({ agendaId }: OwnLaunch) => service.recorded(agendaId, 'step');
  const waiting = `
def handle(context):
    context.report("begun", 10, params={"at": 1})
    try:
        while True:
            time.sleep(0.1)
            context.report(percent_complete=context.operation.attempt)
    finally:
        context.report(params={"at": 2})
run_handler(handle)`;

  test('progress, a large result and a failure', async () => {
    using launch = await ownLaunch(service);
    const source = `
def handle(context):
    context.report("one", 10)
    ${untilLetGo}
    return "x" * 500000
run_handler(handle)`;
    await using door = await gate();
    const running = start(source, { ...launch.environment, ...door.environment, POP_RESULT_FILE_BYTES: '4096' });
    await vi.waitFor(() => expect(service.sent('reportProgress')).not.toHaveLength(0), eventually);
    await door.letGo();
    const ended = await running.ended;
    expect(ended.exitCode).toBe(0);
    expect(service.sent('reportProgress').at(-1)?.items[0]).toMatchObject({ message: 'one', percentComplete: 10 });
    expect((await of(launch)).result).toHaveLength(500_002);
    using failing = await ownLaunch(service);
    await start('run_handler(lambda context: fail("no source", "noSource"))', failing.environment).ended;
    expect(await of(failing)).toMatchObject({
      ...{ message: 'failed', code: 'reportedFailure' },
      events: [{ message: 'no source', code: 'noSource' }],
    });
  });

  test('its end is tried again until it is taken, by which token it may be', async () => {
    using launch = await ownLaunch(service);
    service.requests.length = 0;
    service.fail(({ operation }) => (operation === 'startOperation' ? undefined : { status: 503 }));
    const running = start('run_handler(lambda: {"done": 1})', launch.environment);
    await vi.waitFor(() => expect(service.sent('finishOperation').length).toBeGreaterThan(1), eventually);
    service.heal();
    expect((await running.ended).exitCode).toBe(0);
    expect(await of(launch)).toMatchObject({ message: 'succeeded', result: '{"done":1}' });
    const nobody = { ...launch.environment, POP_URL: 'http://127.0.0.1:65534/v1', POP_END_SECONDS: '1' };
    const lost = await start('run_handler(lambda: 1)', nobody).ended;
    expect(lost).toMatchObject({
      exitCode: 1,
      output: expect.stringContaining('could not be reported: not taken in 1 s'),
    });
  });

  test('a cancelled Operation raises Stopped; SIGTERM reports what the next launch needs, and no end', async () => {
    using cancelled = await ownLaunch(service);
    service.requests.length = 0;
    const first = start(waiting, cancelled.environment);
    await vi.waitFor(() => expect(service.sent('reportProgress').length).toBeGreaterThan(0), eventually);
    await service.cancel(cancelled.agendaId);
    expect(await first.ended).toMatchObject({ exitCode: 143, output: expect.stringContaining('was cancelled') });
    using drained = await ownLaunch(service);
    service.requests.length = 0;
    const second = start(waiting, drained.environment);
    await vi.waitFor(() => expect(service.sent('reportProgress').length).toBeGreaterThan(0), eventually);
    second.child.kill('SIGTERM');
    expect((await second.ended).exitCode).toBe(143);
    expect(service.sent('reportProgress').at(-1)?.items[0]).toMatchObject({ params: { at: 2 } });
    expect(service.sent('finishOperation')).toEqual([]);
    expect((await of(drained)).state).toBe('EXECUTING');
  });
});
