/** The handler contract as a process sees it: what goes in, what comes out, and the limits. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { deflateSync, inflateSync } from 'node:zlib';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { maximumPayloadBytes, maximumResolvedPayloadBytes } from '../../agenda/types.ts';
import { never, recorded, runOf, scratch, script, shell, startToEnd } from '../../test/support/scratch.ts';
import { shellWorks } from '../../test/support/shell-works.ts';
import { launcherContract } from '../contract.ts';
import { readRecord } from '../run-directory/regular-file.ts';
import { LocalLauncher } from './local-launcher.ts';
import { fileNames, type StartedRecord } from './run-files.ts';

launcherContract(() => {
  const at = scratch();
  const gate = `${at.root}.gate`;
  return {
    launcher: at.launcher,
    other: new LocalLauncher({ root: at.root }),
    run: (work, limits) => {
      const settings = { ...limits, envVars: { GATE: gate } };
      return runOf(work === 'neverStart' ? { command: ['no-such-program'] } : shell(shellWorks[work], settings));
    },
    proceed: () => writeFileSync(gate, ''),
    [Symbol.asyncDispose]: () => at[Symbol.asyncDispose](),
  };
});

const printsEnvironment = script(
  'import fs from "node:fs"; const ARGUMENTS = JSON.stringify(process.argv.slice(1)); ' +
    'fs.writeFileSync(process.env.POP_RESULT_FILE, JSON.stringify({ ...process.env, ARGUMENTS }))',
);

describe('environment', () => {
  test('holds the contract and none of the worker’s secrets', async () => {
    await using at = scratch();
    process.env.POP_API_KEY = 'pop_test_secret';
    process.env.DATABASE_URL = 'postgres://secret';
    const run = runOf(
      { ...printsEnvironment, envVars: { EXTRA: 'yes', CID: 'not this' } },
      { lastProgress: '{"params":{}}', traceparent: '00-1-2-01', operationAttempt: 3 },
    );
    const ending = await startToEnd(at.launcher, run);
    delete process.env.POP_API_KEY;
    delete process.env.DATABASE_URL;
    const directory = join(at.root, 'run-1');
    expect(ending).toMatchObject({
      kind: 'succeeded',
      result: {
        PAYLOAD: '{"a":1}',
        POP_PAYLOAD_FILE: join(directory, 'payload.json'),
        POP_PAYLOAD_TYPE: 'envVar',
        LAST_PROGRESS: '{"params":{}}',
        POP_LAST_PROGRESS_FILE: join(directory, 'last-progress.json'),
        CID: 'cid-1',
        AGENDA_ID: 'agenda-1',
        CUSTOMER_ID: 'customer-1',
        OPERATION_ID: 'operation-id-1',
        OPERATION_NAME: 'op.1',
        PROGRESS_ID: 'progress-1',
        MY_POD_NAME: 'run-1',
        LOG_LEVEL: 'info',
        TRACEPARENT: '00-1-2-01',
        POP_ATTEMPT: '3',
        POP_PROGRESS_FILE: join(directory, 'progress.json'),
        POP_RESULT_FILE: join(directory, 'result.json'),
        EXTRA: 'yes',
        PATH: process.env.PATH,
      },
    });
    const text = JSON.stringify(ending);
    expect(text).not.toContain('pop_test_secret');
    expect(text).not.toContain('postgres://secret');
    expect(text).not.toContain('VITEST');
    expect(readFileSync(join(directory, 'payload.json'), 'utf8')).toBe('{"a":1}');
  });

  test('has the LOG_LEVEL of its worker', async () => {
    await using at = scratch();
    vi.stubEnv('LOG_LEVEL', 'debug');
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(await startToEnd(at.launcher, runOf(printsEnvironment))).toMatchObject({ result: { LOG_LEVEL: 'debug' } });
  });

  test('has no PAYLOAD above 64 KiB, but the file', async () => {
    await using at = scratch();
    const payload = JSON.stringify({ text: 'ü'.repeat(150_000) });
    const read =
      'import fs from "node:fs"; const e = process.env; fs.copyFileSync(e.POP_PAYLOAD_FILE, e.POP_RESULT_FILE); ' +
      'if (e.PAYLOAD !== undefined || e.LAST_PROGRESS !== undefined) process.exit(1);';
    const ending = await startToEnd(at.launcher, runOf(script(read), { payload, lastProgress: payload }));
    expect(ending).toMatchObject({ kind: 'succeeded', result: JSON.parse(payload) });
  });

  test('carries a payload of 300 kB compressed in segments', async () => {
    await using at = scratch();
    const payload = JSON.stringify({ noise: randomBytes(220_000).toString('base64') });
    const ending = await startToEnd(
      at.launcher,
      runOf({ ...printsEnvironment, payloadTransport: 'compressedEnvVar' }, { payload }),
    );
    const result = (ending.kind === 'succeeded' ? ending.result : {}) as Record<string, string>;
    const segments = Object.keys(result).filter((name) => name.startsWith('POP_COMPRESSED_PAYLOAD_'));
    expect(result.POP_PAYLOAD_TYPE).toBe('compressedEnvVar');
    expect(result.PAYLOAD).toBeUndefined();
    expect(segments.length).toBeGreaterThanOrEqual(3);
    const whole = segments.map((_, index) => result[`POP_COMPRESSED_PAYLOAD_${index}`]).join('');
    expect(inflateSync(Buffer.from(whole, 'base64')).toString()).toBe(payload);
  });

  test('carries as much as variables may hold; above that it is refused before anything is there', async () => {
    await using at = scratch();
    // Random text of 6 bits a character is about as long compressed.
    const payloadOf = (characters: number) => JSON.stringify(randomBytes(characters * 0.75).toString('base64'));
    const compressedOf = (payload: string) => deflateSync(payload).toString('base64').length;
    const fits = payloadOf(1_240_000);
    expect(compressedOf(fits)).toBeGreaterThan(1_240_000);
    const joins =
      'import fs from "node:fs"; import zlib from "node:zlib"; import { createHash } from "node:crypto"; ' +
      'let text = ""; for (let n = 0; ; n += 1) { const next = process.env["POP_COMPRESSED_PAYLOAD_" + n]; ' +
      'if (next === undefined) break; text += next; } const whole = zlib.inflateSync(Buffer.from(text, "base64")); ' +
      'const sum = createHash("sha256").update(whole).digest("hex"); ' +
      'fs.writeFileSync(process.env.POP_RESULT_FILE, JSON.stringify(sum));';
    const compressed = { ...script(joins), payloadTransport: 'compressedEnvVar' };
    const ending = await startToEnd(at.launcher, runOf(compressed, { payload: fits }));
    expect(ending).toMatchObject({ kind: 'succeeded', result: createHash('sha256').update(fits).digest('hex') });
    const payload = payloadOf(1_260_000);
    const refused = runOf(compressed, { key: 'refused', payload });
    await expect(at.launcher.start(refused)).rejects.toMatchObject({
      code: 'payloadTooLarge',
      message: expect.stringContaining(`${compressedOf(payload)} characters compressed`),
    });
    await expect(at.launcher.start(refused)).rejects.toThrow('the limit there is 1250000');
    expect(existsSync(join(at.root, 'refused'))).toBe(false);
  });

  test('finds the largest payload there is in one file', async () => {
    await using at = scratch();
    const payload = JSON.stringify('x'.repeat(maximumResolvedPayloadBytes - 2));
    const sums =
      'import fs from "node:fs"; const e = process.env; const sum = fs.readFileSync(e.POP_PAYLOAD_FILE).length; ' +
      'fs.writeFileSync(e.POP_RESULT_FILE, JSON.stringify([sum, e.POP_PAYLOAD_PARTS ?? null]));';
    const ending = await startToEnd(at.launcher, runOf(script(sums), { payload }));
    expect(ending).toMatchObject({ kind: 'succeeded', result: [maximumResolvedPayloadBytes, null] });
  });

  test('gives POP’s arguments to a handler that was built for POP only', async () => {
    await using at = scratch();
    const directory = join(at.root, 'run-1');
    const pop1 = runOf(shell('echo "$@"; echo HandlerComplete', { contract: 'pop1', arguments: ['sh', 'own'] }), {
      lastProgress: '{}',
    });
    const ending = await startToEnd(at.launcher, pop1);
    expect(ending.log?.output).toBe(
      `own -launchType local -externalLaunchType local -payloadFile ${directory}/payload.json ` +
        `-lastProgressFile ${directory}/last-progress.json\nHandlerComplete\n`,
    );
    const pop2 = runOf(shell('echo "$@"', { arguments: ['sh', 'own'] }), { key: 'run-2' });
    expect((await startToEnd(at.launcher, pop2)).log?.output).toBe('own\n');
  });
});

describe('ending', () => {
  test('a non-zero exit fails with the code and the last ten lines', async () => {
    await using at = scratch();
    const ending = await startToEnd(
      at.launcher,
      runOf(shell('for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "line $i"; done; echo oops >&2; exit 7')),
    );
    expect(ending).toMatchObject({
      kind: 'failed',
      diagnosticEvents: [{ code: 'exitCode', message: 'The handler ended with exit code 7.' }],
    });
    const payload = ending.kind === 'failed' ? ending.diagnosticEvents[0]?.payload : undefined;
    expect(payload).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12].map((index) => `line ${index}`).concat('oops'));
    expect(ending.startedTime).toBeLessThanOrEqual(ending.endedTime ?? 0);
  });

  test('printing nothing and exiting 0 is success without a result', async () => {
    await using at = scratch();
    const ending = await startToEnd(at.launcher, runOf({ command: ['true'] }));
    expect(ending).toMatchObject({ kind: 'succeeded', log: { output: '', totalBytes: 0 } });
    expect('result' in ending).toBe(false);
  });

  test('a result that is not JSON fails', async () => {
    await using at = scratch();
    const ending = await startToEnd(at.launcher, runOf(shell('echo "done: yes" > $POP_RESULT_FILE')));
    expect(ending).toMatchObject({
      kind: 'failed',
      diagnosticEvents: [{ code: 'resultNotJson', message: expect.stringContaining('The result is not JSON') }],
    });
  });

  test('a result over the limit fails with limit and size', async () => {
    await using at = scratch();
    const size = maximumPayloadBytes + 1;
    const ending = await startToEnd(
      at.launcher,
      runOf(
        script(
          'import fs from "node:fs"; ' +
            `fs.writeFileSync(process.env.POP_RESULT_FILE, JSON.stringify("x".repeat(${size - 2})))`,
        ),
      ),
    );
    expect(ending).toMatchObject({
      kind: 'failed',
      diagnosticEvents: [
        { code: 'resultTooLarge', message: `The result has ${size} bytes; the limit is ${maximumPayloadBytes}.` },
      ],
    });
  });

  test('the last JSON line of the output is the result where the registry says so', async () => {
    await using at = scratch();
    const fromLog = { resultFrom: 'lastLogLine' };
    const json = await startToEnd(at.launcher, runOf(shell('echo {\\"a\\":1}; echo {\\"a\\":2}; echo done', fromLog)));
    expect(json).toMatchObject({ kind: 'succeeded', result: { a: 2 } });
    const number = await startToEnd(at.launcher, runOf(shell('echo counting; echo 42', fromLog), { key: 'run-2' }));
    expect(number).toMatchObject({ kind: 'succeeded', result: 42 });
    const none = await startToEnd(at.launcher, runOf(shell('echo counting', fromLog), { key: 'run-3' }));
    expect(none).toMatchObject({ kind: 'failed', diagnosticEvents: [{ code: 'resultNotJson' }] });
  });

  test('a command that is not there can never start', async () => {
    await using at = scratch();
    await expect(at.launcher.start(runOf({ command: ['no-such-program'] }))).rejects.toMatchObject({
      code: 'commandNotFound',
      message: expect.stringContaining('no-such-program'),
    });
    await expect(at.launcher.start(runOf({ command: ['./no/such'] }))).rejects.toMatchObject({
      code: 'commandNotFound',
    });
    expect(await at.launcher.list()).toEqual([]);
  });

  test('a command that the system refuses can never start', async () => {
    await using at = scratch();
    const run = runOf({ command: ['true'], arguments: ['x'.repeat(200_000)] });
    await expect(at.launcher.start(run)).rejects.toMatchObject({
      code: 'commandNotStarted',
      message: expect.stringContaining('E2BIG'),
    });
  });

  test('a reported failure fails though the exit code is 0', async () => {
    await using at = scratch();
    const report = JSON.stringify({
      processingState: 'COMPLETE',
      processingStateMessage: 'failed',
      diagnosticEvents: [{ message: 'no source', code: 'noSource' }],
    });
    const ending = await startToEnd(at.launcher, runOf(shell(`printf '%s' '${report}' > $POP_PROGRESS_FILE`)));
    expect(ending).toMatchObject({ kind: 'failed', diagnosticEvents: [{ message: 'no source', code: 'noSource' }] });
  });

  test('pop1: the report decides, whatever the exit code', async () => {
    await using at = scratch();
    const report = (message: string) =>
      JSON.stringify({ processingState: 'COMPLETE', processingStateMessage: message, resultPayload: '{"a":1}' });
    const handler = (message: string) =>
      shell(`printf '%s' '${report(message)}' > $POP_PROGRESS_FILE; echo HandlerComplete; exit 1`, {
        contract: 'pop1',
      });
    expect(await startToEnd(at.launcher, runOf(handler('succeeded')))).toMatchObject({
      kind: 'succeeded',
      result: { a: 1 },
    });
    expect(await startToEnd(at.launcher, runOf(handler('failed'), { key: 'run-2' }))).toMatchObject({
      kind: 'failed',
      result: { a: 1 },
    });
    const silent = await startToEnd(
      at.launcher,
      runOf(shell('echo HandlerComplete', { contract: 'pop1' }), { key: 'run-3' }),
    );
    expect(silent).toMatchObject({
      kind: 'failed',
      diagnosticEvents: [{ code: 'noProgress', message: 'No progress was reported.' }],
    });
    const cut = shell(`printf '%s' '${report('succeeded')}' > $POP_PROGRESS_FILE`, {
      contract: 'pop1',
      endOfLogIdentifier: 'TheEnd',
    });
    expect(await startToEnd(at.launcher, runOf(cut, { key: 'run-4' }))).toMatchObject({
      kind: 'failed',
      diagnosticEvents: [{ code: 'endOfLogMissing' }],
    });
  });

  test('pop1: a handler that reported its end and does not exit is ended and counts as it reported', async () => {
    await using at = scratch();
    const report = JSON.stringify({
      processingState: 'COMPLETE',
      processingStateMessage: 'succeeded',
      resultPayload: '[1]',
    });
    const hangs = shell(`printf '%s' '${report}' > $POP_PROGRESS_FILE; echo HandlerComplete; sleep 1000`, {
      contract: 'pop1',
      podStdoutTimeout: 2_000,
    });
    expect(await startToEnd(at.launcher, runOf(hangs))).toMatchObject({ kind: 'succeeded', result: [1] });
  });
});

describe('progress', () => {
  test('is delivered while the handler runs', async () => {
    await using at = scratch();
    const go = join(at.root, 'go');
    const write = (percent: number) =>
      `printf '{"message":"at ${percent}","percentComplete":${percent},"params":{"jobId":"j"}}' ` +
      '> "$POP_PROGRESS_FILE.tmp"; mv "$POP_PROGRESS_FILE.tmp" "$POP_PROGRESS_FILE"';
    const run = runOf(shell(`${write(10)}; while [ ! -e "${go}" ]; do sleep 0.05; done; ${write(80)}`));
    const events = recorded();
    await at.launcher.start(run);
    const ending = at.launcher.follow(run, events, never());
    while (events.progresses.length === 0) await delay(10);
    expect(events.progresses[0]).toEqual({ message: 'at 10', percentComplete: 10, params: { jobId: 'j' } });
    writeFileSync(go, '');
    expect(await ending).toMatchObject({ kind: 'succeeded', progress: { message: 'at 80', percentComplete: 80 } });
    expect(events.progresses.at(-1)).toMatchObject({ percentComplete: 80 });
  });

  test('that is not JSON is a diagnostic, no crash', async () => {
    await using at = scratch();
    const events = recorded();
    const ending = await startToEnd(at.launcher, runOf(shell('echo "{half" > $POP_PROGRESS_FILE')), events);
    expect(ending.kind).toBe('succeeded');
    expect(events.progresses.at(-1)).toMatchObject({ diagnosticEvents: [{ code: 'progressNotJson' }] });
  });

  test('with odd contents is cut to what the record takes', async () => {
    await using at = scratch();
    const odd = {
      percentComplete: 500,
      processingStateMessage: 'a\0b',
      params: 7,
      diagnosticEvents: ['text', 3, { message: 5, statusCode: 'x', code: 'c' }],
    };
    const events = recorded();
    await startToEnd(
      at.launcher,
      runOf(
        script(
          'import fs from "node:fs"; ' +
            `fs.writeFileSync(process.env.POP_PROGRESS_FILE, ${JSON.stringify(JSON.stringify(odd))})`,
        ),
      ),
      events,
    );
    expect(events.progresses.at(-1)).toEqual({
      percentComplete: 100,
      message: 'a\u{fffd}b',
      diagnosticEvents: [{ message: 'text' }, { message: 'No message was given.', code: 'c' }],
    });
  });
});

describe('limits', () => {
  test('runSeconds ends a handler that never ends, and names limit and value', async () => {
    await using at = scratch();
    const ending = await startToEnd(
      at.launcher,
      runOf(shell('while true; do echo again; sleep 0.1; done', { runSeconds: 2, graceSeconds: 0 })),
    );
    expect(ending).toMatchObject({ kind: 'timedOut', limit: 'run' });
    expect(ending.kind === 'timedOut' && ending.diagnosticEvents[0]).toMatchObject({
      code: 'runLimit',
      message: 'The handler ran for longer than runSeconds = 2.',
      payload: expect.arrayContaining(['again']),
    });
  });

  test('runSeconds counts from the start, not from the adoption, and kills what ignores SIGTERM', async () => {
    await using at = scratch();
    const run = runOf(
      shell('trap "" TERM; while true; do echo again; sleep 0.1; done', { runSeconds: 4, graceSeconds: 0.2 }),
    );
    await at.launcher.start(run);
    const { startedTime } = readRecord<StartedRecord>(join(at.root, 'run-1'), fileNames.started) as StartedRecord;
    while (Date.now() < startedTime + 3_800) await delay(20);
    const ending = await startToEnd(new LocalLauncher({ root: at.root }), run);
    expect(ending).toMatchObject({ kind: 'timedOut', limit: 'run', startedTime });
    expect((ending.endedTime ?? 0) - startedTime).toBeLessThan(7_500);
  });

  test('quietSeconds ends silence, but neither output nor progress', async () => {
    await using at = scratch();
    const quiet = { quietSeconds: 2, graceSeconds: 0 };
    const runs = [
      runOf(shell('echo once; sleep 1000', quiet), { key: 'silent' }),
      runOf(shell('for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.4; done', quiet), { key: 'talks' }),
      runOf(
        shell(
          'for i in 1 2 3 4 5 6 7 8; do echo "{\\"percentComplete\\":$i}" > $POP_PROGRESS_FILE; sleep 0.4; done',
          quiet,
        ),
        {
          key: 'reports',
        },
      ),
    ];
    const [silent, talks, reports] = await Promise.all(runs.map((run) => startToEnd(at.launcher, run)));
    expect(silent).toMatchObject({
      kind: 'timedOut',
      limit: 'quiet',
      diagnosticEvents: [{ code: 'quietLimit', message: expect.stringContaining('quietSeconds = 2.') }],
    });
    expect(talks?.kind).toBe('succeeded');
    expect(reports?.kind).toBe('succeeded');
  });
});

describe('output', () => {
  test('of 100 MB is cut to its last part, counted in full, and costs the worker no memory', {
    timeout: 60_000,
  }, async () => {
    await using at = scratch();
    const before = process.memoryUsage().rss;
    const run = runOf(shell('yes "a line of some length, again and again" | head -c 100000000; echo; echo the end'));
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().rss);
    }, 20);
    const ending = await startToEnd(at.launcher, run);
    clearInterval(watch);
    expect(ending).toMatchObject({ kind: 'succeeded', log: { totalBytes: 100_000_009 } });
    expect(ending.log?.output.length).toBe(1024 * 1024);
    expect(ending.log?.output.endsWith('\nthe end\n')).toBe(true);
    expect(most - before).toBeLessThan(60_000_000);
    const log = join(at.root, 'run-1', fileNames.log);
    expect(existsSync(log) && statSync(log).blocks * 512).toBeLessThan(8_000_000);
  });

  test('that no database takes is mended', async () => {
    await using at = scratch();
    const ending = await startToEnd(at.launcher, runOf(shell(`printf 'a\\000b\\377c\\n'`)));
    expect(ending.log).toEqual({ output: 'a\u{fffd}b\u{fffd}c\n', totalBytes: 6 });
  });
});
