/** The SDK in real processes of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';

const sdk = JSON.stringify(new URL('./index.ts', import.meta.url).href);

interface Ended {
  readonly exitCode: number | null;
  readonly output: string;
  readonly result: unknown;
  readonly progress: {
    processingState: string;
    processingStateMessage: string;
    percentComplete: number;
    params?: unknown;
    diagnosticEvents: Record<string, unknown>[];
  };
}

interface Running {
  readonly folder: string;
  readonly pid: number;
  readonly ended: Promise<Ended>;
}

/** Runs a handler whose body is `source`. */
function start(source: string, environment: Record<string, string> = {}, parameters: readonly string[] = []): Running {
  const folder = mkdtempSync(join(tmpdir(), 'pop-handler-'));
  const program = join(folder, 'handler.ts');
  writeFileSync(program, `import { runHandler, fail } from ${sdk};\nawait runHandler(${source});`);
  const files = { POP_PROGRESS_FILE: join(folder, 'progress.json'), POP_RESULT_FILE: join(folder, 'result.json') };
  const child = spawn(process.execPath, [program, ...parameters], {
    env: { PATH: process.env.PATH, ...files, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const read = (path: string) => (existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined);
  const ended = once(child, 'close').then(([exitCode]) => {
    const answer: Ended = {
      exitCode: exitCode as number | null,
      output,
      result: read(files.POP_RESULT_FILE),
      progress: read(files.POP_PROGRESS_FILE),
    };
    rmSync(folder, { recursive: true, force: true });
    return answer;
  });
  return { folder, pid: child.pid as number, ended };
}

const run = (...given: Parameters<typeof start>): Promise<Ended> => start(...given).ended;
const returnsPayload =
  'async ({ payload, lastProgress, operation }) => ({ payload, lastProgress: lastProgress ?? null, operation })';

describe('input', () => {
  test('comes by environment, with the facts of the Operation', async () => {
    const facts = {
      AGENDA_ID: 'a',
      CUSTOMER_ID: 'c',
      OPERATION_ID: 'o',
      OPERATION_NAME: 'n',
      PROGRESS_ID: 'p',
      CID: 'x',
      POP_ATTEMPT: '2',
    };
    const ended = await run(returnsPayload, { PAYLOAD: '{"a":1}', LAST_PROGRESS: '{"params":{"k":1}}', ...facts });
    expect(ended).toMatchObject({
      exitCode: 0,
      result: {
        payload: { a: 1 },
        lastProgress: { params: { k: 1 } },
        operation: {
          agendaId: 'a',
          customerId: 'c',
          operationId: 'o',
          operationName: 'n',
          progressId: 'p',
          cid: 'x',
          attempt: 2,
        },
      },
      progress: { processingState: 'COMPLETE', processingStateMessage: 'succeeded', percentComplete: 100 },
    });
  });

  test('comes by compressed segments, by named files, and by POP’s arguments', async () => {
    const payload = { text: 'ü'.repeat(1_000) };
    const text = JSON.stringify(payload);
    const packed = deflateSync(text).toString('base64');
    const cut = Math.ceil(packed.length / 3);
    const segments = Object.fromEntries(
      [0, 1, 2].map((index) => [`POP_COMPRESSED_PAYLOAD_${index}`, packed.slice(index * cut, (index + 1) * cut)]),
    );
    expect((await run(returnsPayload, { POP_PAYLOAD_TYPE: 'compressedEnvVar', ...segments })).result).toMatchObject({
      payload,
    });
    const folder = mkdtempSync(join(tmpdir(), 'pop-payload-'));
    const [file, last] = [join(folder, 'payload.json'), join(folder, 'last.json')];
    writeFileSync(file, text);
    writeFileSync(last, '{"params":{"j":1}}');
    const both = { payload, lastProgress: { params: { j: 1 } } };
    expect((await run(returnsPayload, { POP_PAYLOAD_FILE: file, POP_LAST_PROGRESS_FILE: last })).result).toMatchObject(
      both,
    );
    const parameters = ['-launchType', 'local', '-payloadFile', file, '-lastProgressFile', last];
    expect((await run(returnsPayload, { PAYLOAD: '"not this"' }, parameters)).result).toMatchObject(both);
    rmSync(folder, { recursive: true });
  });

  test('comes in parts, cut anywhere between bytes', async () => {
    const payload = { text: 'ü€😀'.repeat(100) };
    const bytes = Buffer.from(JSON.stringify(payload));
    const folder = mkdtempSync(join(tmpdir(), 'pop-payload-'));
    const file = join(folder, 'payload.json');
    const cuts = [0, 13, 16, bytes.length];
    for (const n of [0, 1, 2]) writeFileSync(n === 0 ? file : `${file}.${n}`, bytes.subarray(cuts[n], cuts[n + 1]));
    expect(bytes.subarray(0, 13).toString()).toContain('\ufffd');
    const named = { POP_PAYLOAD_FILE: file, POP_PAYLOAD_PARTS: '3' };
    expect((await run(returnsPayload, named)).result).toMatchObject({ payload });
    // What reads one part only, or misses one, does not go on with half of it.
    for (const wrong of [{ POP_PAYLOAD_FILE: file }, { ...named, POP_PAYLOAD_PARTS: '4' }])
      expect(await run(returnsPayload, wrong)).toMatchObject({
        exitCode: 1,
        progress: { diagnosticEvents: [{ code: 'invalidInput' }] },
      });
    rmSync(folder, { recursive: true });
  });

  test('that is missing is null; that is not JSON fails', async () => {
    expect((await run(returnsPayload)).result).toMatchObject({ payload: null, lastProgress: null });
    const broken = await run(returnsPayload, { PAYLOAD: '{half' });
    expect(broken).toMatchObject({
      exitCode: 1,
      progress: { processingStateMessage: 'failed', diagnosticEvents: [{ code: 'invalidInput' }] },
    });
    expect(broken.progress.diagnosticEvents[0]?.message).toContain('The payload cannot be read');
  });
});

describe('output', () => {
  test('failures carry message, code, status, payload and stack, and what was reported before', async () => {
    const ended = await run(`async ({ report }) => {
      const params = { jobInfo: { jobId: 'j' } };
      report({ message: 'working', percentComplete: 40, params, diagnosticEvents: [{ message: 'a warning' }] });
      fail('no source', { code: 'noSource', statusCode: 404, payload: { source: 'x' }, cause: new Error('why') });
    }`);
    expect(ended).toMatchObject({
      exitCode: 1,
      result: undefined,
      progress: {
        processingState: 'COMPLETE',
        processingStateMessage: 'failed',
        percentComplete: 40,
        params: { jobInfo: { jobId: 'j' } },
        diagnosticEvents: [
          { message: 'a warning' },
          { message: 'no source', code: 'noSource', statusCode: 404, payload: { source: 'x' } },
        ],
      },
    });
    expect(ended.progress.diagnosticEvents[1]?.stackTrace).toMatch(/no source[\s\S]*Caused by: Error: why/);
    expect(ended.output).toContain('no source');
  });

  test('what escapes from a callback fails the Operation', async () => {
    const ended = await run('() => new Promise(() => { setTimeout(() => { throw new TypeError("escaped"); }, 1); })');
    expect(ended).toMatchObject({
      exitCode: 1,
      progress: { processingStateMessage: 'failed', diagnosticEvents: [{ message: 'escaped', code: 'handlerError' }] },
    });
  });

  test('what the handler leaves open does not keep it running; no value is no result', async () => {
    expect(await run('async () => { setInterval(() => {}, 1000); }')).toMatchObject({ exitCode: 0, result: undefined });
    expect((await run('async () => null')).result).toBeUndefined();
  });

  test('percent never falls, and of many reports the last one is written though reports are few', async () => {
    const running = start(`async ({ report, signal }) => {
      for (let percent = 0; percent <= 5000; percent += 1) report({ percentComplete: percent / 100 });
      report({ percentComplete: 20, message: 'last' });
      setInterval(() => {}, 1000);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return 'tidied';
    }`);
    const path = join(running.folder, 'progress.json');
    const read = () => (existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Ended['progress']) : undefined);
    await expect.poll(() => read()?.processingStateMessage).toBe('last');
    expect(read()).toMatchObject({ processingState: 'EXECUTING', percentComplete: 50 });
    process.kill(running.pid, 'SIGTERM');
    expect(await running.ended).toMatchObject({ exitCode: 0, result: 'tidied' });
  });

  test('asked to end, it hands on its last report and no end, and says so by its exit code', async () => {
    const running = start(`async ({ report, signal }) => {
      report({ message: 'begun', params: { at: 1 } });
      setInterval(() => {}, 1000);
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => {
        report({ params: { at: 2 } });
        reject(signal.reason);
      }));
    }`);
    const path = join(running.folder, 'progress.json');
    await expect.poll(() => existsSync(path)).toBe(true);
    process.kill(running.pid, 'SIGTERM');
    const ended = await running.ended;
    expect(ended).toMatchObject({ exitCode: 143, result: undefined, output: expect.stringContaining('by SIGTERM') });
    expect(ended.progress).toMatchObject({
      ...{ processingState: 'EXECUTING', processingStateMessage: 'begun' },
      ...{ params: { at: 2 }, diagnosticEvents: [] },
    });
  });

  test('asked to end, what fails as it tidies up is told, and is no end either', async () => {
    const running = start(`async ({ report, signal }) => {
      report('begun');
      setInterval(() => {}, 1000);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      fail('cannot tidy up', { code: 'untidy' });
    }`);
    await expect.poll(() => existsSync(join(running.folder, 'progress.json'))).toBe(true);
    process.kill(running.pid, 'SIGTERM');
    const { exitCode, progress } = await running.ended;
    expect(exitCode).toBe(143);
    expect(progress).toMatchObject({ processingState: 'EXECUTING', diagnosticEvents: [{ code: 'untidy' }] });
  });

  test('a whole OperationProgress that is COMPLETE is the end, whatever comes after it', async () => {
    const succeeded = await run(`async ({ report }) => {
      report({ processingState: 'COMPLETE', processingStateMessage: 'succeeded', resultPayload: '{"a":1}' });
      report('too late', 10);
      fail('too late as well');
    }`);
    expect(succeeded).toMatchObject({ exitCode: 0, result: { a: 1 }, progress: { processingState: 'COMPLETE' } });
    expect(succeeded.progress).toMatchObject({ processingStateMessage: 'succeeded', diagnosticEvents: [] });
    const failed = await run(`async ({ report }) => {
      report({ diagnosticEvents: [{ message: 'why' }], processingState: 'COMPLETE', processingStateMessage: 'failed' });
      return 1;
    }`);
    expect(failed).toMatchObject({ exitCode: 1, result: undefined, progress: { processingStateMessage: 'failed' } });
    expect(failed.progress.diagnosticEvents).toEqual([{ message: 'why' }]);
  });

  test('a payload that does not fit its schema fails before the handler begins', async () => {
    const schema = `{ '~standard': { version: 1, vendor: 'test', validate: (value) =>
      value?.n === 1 ? { value: 'one' } : { issues: [{ message: 'must be 1', path: ['n'] }] } } }`;
    const handler = `{ payload: ${schema}, run: async ({ payload, log }) => { log('ran'); return payload; } }`;
    expect((await run(handler, { PAYLOAD: '{"n":1}' })).result).toBe('one');
    const refused = await run(handler, { PAYLOAD: '{"n":2}' });
    expect(refused).toMatchObject({ exitCode: 1, output: expect.not.stringContaining('ran\n') });
    expect(refused.progress.diagnosticEvents).toMatchObject([
      { code: 'invalidPayload', message: 'The payload is not valid: /n: must be 1' },
    ]);
  });

  test('without files, progress and result are lines of output', async () => {
    const ended = await run(
      'async ({ report }) => { report({ percentComplete: 5, message: "begun" }); return { a: 1 }; }',
      {
        POP_PROGRESS_FILE: '',
        POP_RESULT_FILE: '',
      },
    );
    expect(ended.output.split('\n')).toEqual(['EXECUTING 5% begun', '{"a":1}', 'COMPLETE 100% succeeded', '']);
  });
});
