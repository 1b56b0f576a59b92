/** Handlers that report by annotations of their Pod, as real processes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeKubernetes } from '../../test/support/fake-kubernetes.ts';
import { startHandler } from '../../test/support/handler-process.ts';

let fake: FakeKubernetes;
let folder: string;
beforeEach(async () => {
  fake = await FakeKubernetes.open();
  fake.add('own-pod');
  folder = mkdtempSync(join(tmpdir(), 'pop-sa-'));
  writeFileSync(join(folder, 'token'), 'first-token\n');
});
afterEach(async () => {
  await fake[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const start = (source: string, more: Record<string, string> = {}) =>
  startHandler(source, {
    ...{ POP_REPORT_BY: 'annotation', MY_POD_NAME: 'own-pod', MY_POD_NAMESPACE: 'work' },
    ...{ POP_KUBERNETES_URL: fake.url, POP_SERVICE_ACCOUNT_FOLDER: folder, POP_RESULT_FILE_BYTES: '4096' },
    ...more,
  });
const annotations = () => fake.pods.get('own-pod')?.metadata.annotations ?? {};
const progress = () => JSON.parse(annotations()['pop.report.progress'] ?? 'null') as Record<string, unknown> | null;

test('progress and result are annotations, and the end comes with the result in one patch', async () => {
  const running = start(`async ({ report, signal }) => {
    report({ message: 'half', percentComplete: 50, params: { at: 1 } });
    await new Promise((resolve) => { setInterval(() => {}, 1000); signal.addEventListener('abort', resolve); });
    return { a: [1] };
  }`);
  await vi.waitFor(() => expect(progress()).not.toBeNull(), { timeout: 10_000 });
  expect(progress()).toEqual({
    ...{ processingState: 'EXECUTING', processingStateMessage: 'half', percentComplete: 50 },
    ...{ diagnosticEvents: [], params: { at: 1 } },
  });
  writeFileSync(join(folder, 'token'), 'second-token\n');
  process.kill(running.pid, 'SIGTERM');
  expect(await running.ended).toMatchObject({ exitCode: 0, result: '{"a":[1]}' });
  expect(annotations()['pop.report.payload']).toBe('{"a":[1]}');
  expect(progress()).toMatchObject({ processingState: 'COMPLETE', processingStateMessage: 'succeeded' });
  const patches = fake.sent('PATCH');
  expect(patches.map(({ authorization }) => authorization)).toEqual(['Bearer first-token', 'Bearer second-token']);
  expect(patches[0]).toMatchObject({
    path: '/api/v1/namespaces/work/pods/own-pod',
    contentType: 'application/merge-patch+json',
  });
});

test('diagnostics are cut to what an annotation takes', async () => {
  const ended = await start(`async ({ report }) => {
    const stackTrace = 's'.repeat(1000);
    for (let n = 0; n < 300; n += 1) report({ diagnosticEvents: [{ message: 'event ' + n, stackTrace }] });
    fail('the end', { code: 'mine' });
  }`).ended;
  expect(ended.exitCode).toBe(1);
  expect((annotations()['pop.report.progress'] ?? '').length).toBeLessThan(40_000);
  const events = progress()?.diagnosticEvents as { message: string; code?: string }[];
  expect(events.at(-1)).toMatchObject({ message: 'the end', code: 'mine' });
});

test('a result above 200,000 bytes fails without a token', async () => {
  expect((await start('async () => "x".repeat(199_998)').ended).exitCode).toBe(0);
  expect(annotations()['pop.report.payload']).toHaveLength(200_000);
  const { exitCode, output } = await start('async () => "x".repeat(200_000)').ended;
  expect(exitCode).toBe(1);
  expect(output).toMatch(/The result has 200002 bytes/);
  expect(progress()).toMatchObject({
    processingStateMessage: 'failed',
    diagnosticEvents: [{ code: 'resultTooLarge' }],
  });
});

test('an API that is busy is asked again at the end; one that forbids it fails the handler in words', async () => {
  let refused = 0;
  fake.refuse = () => (++refused <= 3 ? 429 : undefined);
  expect((await start('async () => 1').ended).exitCode).toBe(0);
  expect(annotations()['pop.report.payload']).toBe('1');
  fake.refuse = () => 403;
  const { exitCode, output } = await start('async ({ report }) => { report(1); return 1; }').ended;
  expect(exitCode).toBe(1);
  expect(output).toMatch(/The end of the handler could not be reported: .*PATCH .* with 403/);
});
