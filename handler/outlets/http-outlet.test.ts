/** Handlers that report with the token of their launch: real processes, the real api on a real database. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type RunningHandler, startHandler } from '../../test/support/handler-process.ts';
import { type OwnLaunch, ownLaunch } from '../../test/support/own-launch.ts';
import { ResourcePoolService } from '../../test/support/resource-pool-service.ts';

let service: ResourcePoolService;
let launch: OwnLaunch;

beforeAll(async () => {
  service = await ResourcePoolService.open();
});
afterAll(() => service[Symbol.asyncDispose]());

beforeEach(async () => {
  service.heal();
  launch = await ownLaunch(service);
  service.requests.length = 0;
});
afterEach(() => launch[Symbol.dispose]());

const start = (source: string, more: Record<string, string> = {}): RunningHandler =>
  startHandler(source, { ...launch.environment, ...more });
const recorded = () => service.recorded(launch.agendaId, 'step');
const eventually = { timeout: 15_000, interval: 20 };
/** In a handler: whether `letGo` was called for it. */
const mayGo = `(await import('node:fs')).existsSync(new URL('go', import.meta.url))`;
const letGo = ({ folder }: RunningHandler) => writeFileSync(join(folder, 'go'), '');
const pause = 'await new Promise((resolve) => setTimeout(resolve, 20));';
const untilSent = (reports: number) =>
  vi.waitFor(() => expect(service.sent('reportProgress').length).toBeGreaterThanOrEqual(reports), eventually);
/** Ends when its signal aborts, by throwing the reason. */
const untilAsked = `new Promise((_resolve, reject) => {
  setInterval(() => {}, 1000);
  signal.addEventListener('abort', () => reject(signal.reason));
})`;

test('progress and the end come over HTTP; a result that fits is in its file, too', async () => {
  const running = start(
    `async ({ report }) => {
    report('one', 10);
    report({ message: 'two', percentComplete: 20, params: { at: 2 } });
    while (!(${mayGo})) ${pause}
    return { small: true };
  }`,
    { POP_RESULT_FILE_BYTES: '4096' },
  );
  await untilSent(2);
  letGo(running);
  const ended = await running.ended;
  expect(ended).toMatchObject({ exitCode: 0, result: '{"small":true}' });
  expect(await recorded()).toMatchObject({ state: 'COMPLETE', message: 'succeeded', result: '{"small":true}' });
  expect(service.sent('reportProgress').map(({ items }) => items[0])).toEqual([
    expect.objectContaining({ message: 'one', percentComplete: 10 }),
    expect.objectContaining({ message: 'two', percentComplete: 20, params: { at: 2 } }),
  ]);
});

test('a result that its file does not take comes over HTTP alone', async () => {
  const ended = await start('async () => "x".repeat(500_000)', { POP_RESULT_FILE_BYTES: '4096' }).ended;
  expect(ended).toMatchObject({ exitCode: 0, result: undefined });
  expect((await recorded()).result).toHaveLength(500_002);
});

test('at most one report a second, and the last is in the end', async () => {
  const running = start(`async ({ report }) => {
    const begun = Date.now();
    for (let n = 0; !(${mayGo}); n += 1) {
      report({ message: 'step ' + n, params: { n } });
      ${pause}
    }
    report({ params: { n: 'last', seconds: (Date.now() - begun) / 1000 } });
  }`);
  await untilSent(3);
  letGo(running);
  expect((await running.ended).exitCode).toBe(0);
  const [end] = service.sent('finishOperation')[0]?.items ?? [];
  expect(end).toMatchObject({ outcome: 'succeeded', params: { n: 'last', seconds: expect.any(Number) } });
  const { seconds } = (end as { params?: { seconds?: number } }).params ?? {};
  expect(service.sent('reportProgress').length).toBeLessThanOrEqual(1 + (seconds ?? 0));
});

test('a failure comes with its diagnostics', async () => {
  const ended = await start(`async () => fail('no source', { code: 'noSource', payload: { a: 1 } })`).ended;
  expect(ended.exitCode).toBe(1);
  expect(await recorded()).toMatchObject({
    state: 'COMPLETE',
    message: 'failed',
    category: 'handler',
    code: 'reportedFailure',
    events: [{ message: 'no source', code: 'noSource', payload: { a: 1 } }],
  });
});

test('reports that nobody takes do not fail the handler, and its end is tried again until it is taken', async () => {
  service.fail(({ operation }) => ({ status: operation === 'reportProgress' ? 500 : 503 }));
  const running = start('async ({ report }) => { report("begun"); return { done: 1 }; }');
  await vi.waitFor(() => expect(service.sent('finishOperation').length).toBeGreaterThan(1), eventually);
  service.heal();
  expect(await running.ended).toMatchObject({ exitCode: 0, output: expect.stringContaining('could not be reported') });
  expect(await recorded()).toMatchObject({ message: 'succeeded', result: '{"done":1}' });
});

test('an end whose answer was lost is reported again and recorded once', async () => {
  let lost = 0;
  service.fail(({ operation }) =>
    operation === 'finishOperation' && lost++ === 0 ? { status: 502, afterwards: true } : undefined,
  );
  expect((await start('async () => 1').ended).exitCode).toBe(0);
  expect(await recorded()).toMatchObject({ message: 'succeeded', result: '1' });
  expect(lost).toBe(2);
});

test('the token is read anew for each report', async () => {
  writeFileSync(launch.tokenFile, 'popl_0_not_good');
  const running = start('async () => ({ done: 1 })');
  await vi.waitFor(() => expect(service.requests.length).toBeGreaterThan(0), eventually);
  expect((await recorded()).state).toBe('EXECUTING');
  writeFileSync(launch.tokenFile, `${launch.token}\n`);
  expect((await running.ended).exitCode).toBe(0);
  expect((await recorded()).message).toBe('succeeded');
  expect((await running.ended).output).not.toContain(launch.token);
});

test('a cancelled Operation aborts the signal, and no end is reported', async () => {
  const running = start(`async ({ report, signal }) => {
    setInterval(() => report({ percentComplete: 1 }), 100);
    await ${untilAsked};
  }`);
  await vi.waitFor(() => expect(service.sent('reportProgress').length).toBeGreaterThan(0), eventually);
  await service.cancel(launch.agendaId);
  expect(await running.ended).toMatchObject({ exitCode: 143, output: expect.stringContaining('was cancelled') });
  expect(service.sent('finishOperation')).toEqual([]);
});

test('a launch that is over aborts the signal', async () => {
  const running = start(`async ({ report, signal }) => {
    setInterval(() => report({ percentComplete: 1 }), 100);
    await ${untilAsked};
  }`);
  await vi.waitFor(() => expect(service.sent('reportProgress').length).toBeGreaterThan(0), eventually);
  await service.end(launch.agendaId);
  expect(await running.ended).toMatchObject({ exitCode: 143, output: expect.stringContaining('launch is over') });
});

test('SIGTERM: what the next launch needs is reported, and no end', async () => {
  const running = start(`async ({ report, signal }) => {
    report({ params: { at: 1 } });
    signal.addEventListener('abort', () => report({ params: { at: 2 } }));
    await ${untilAsked};
  }`);
  await vi.waitFor(() => expect(service.sent('reportProgress').length).toBeGreaterThan(0), eventually);
  process.kill(running.pid, 'SIGTERM');
  expect((await running.ended).exitCode).toBe(143);
  expect(service.sent('reportProgress').at(-1)?.items[0]).toMatchObject({ params: { at: 2 } });
  expect(service.sent('finishOperation')).toEqual([]);
  expect((await recorded()).state).toBe('EXECUTING');
});

test('SIGTERM after the work is done changes nothing: the result is the end', async () => {
  const running = start(`async ({ report, signal }) => {
    report(50);
    await new Promise((resolve) => { setInterval(() => {}, 1000); signal.addEventListener('abort', resolve); });
    return { done: 1 };
  }`);
  await vi.waitFor(() => expect(service.sent('reportProgress').length).toBeGreaterThan(0), eventually);
  process.kill(running.pid, 'SIGTERM');
  expect((await running.ended).exitCode).toBe(0);
  expect((await recorded()).result).toBe('{"done":1}');
});

test('an end that reaches nobody fails the handler in words, unless the result file tells it', async () => {
  const options = (result: string) => `{ endSeconds: 1, run: async () => ${result} }`;
  const gone = { POP_URL: 'http://127.0.0.1:65534/v1', POP_RESULT_FILE_BYTES: '4096' };
  const lost = await start(options('"x".repeat(10_000)'), gone).ended;
  expect(lost).toMatchObject({ exitCode: 1, result: undefined });
  expect(lost.output).toMatch(/The end of the handler could not be reported: not taken in 1 s\. .* cannot be reached/);
  expect(await start(options('({ small: 1 })'), gone).ended).toMatchObject({ exitCode: 0, result: '{"small":1}' });
  const refused = start('async () => "x".repeat(1_100_000)', { POP_RESULT_FILE_BYTES: '9' });
  expect(await refused.ended).toMatchObject({ exitCode: 1, output: expect.stringContaining('could not be reported') });
});

test('a larger result without a token, or a way to report that is not there, fails in words', async () => {
  const none = { POP_TOKEN_FILE: '', POP_RESULT_FILE_BYTES: '4096' };
  const large = await start('async () => "x".repeat(10_000)', none).ended;
  expect(large.exitCode).toBe(1);
  expect(large.output).toMatch(/The result has 10002 bytes; this launch takes at most 4096/);
  const way = await start('async () => 1', { POP_REPORT_BY: 'pigeon' }).ended;
  expect(way.output).toMatch(/cannot report by "pigeon": POP_REPORT_BY is one of annotation, file, http, log/);
  expect((await start('async () => 1', { POP_REPORT_BY: 'file' }).ended).output).toMatch(
    /POP_PROGRESS_FILE is not set/,
  );
});
