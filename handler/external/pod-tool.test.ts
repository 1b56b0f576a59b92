/** Tools as Pods, through broken watches and logs. That a real kubelet runs them: test/kubernetes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakeKubernetes } from '../../test/support/fake-kubernetes.ts';
import { readFields } from '../fields.ts';
import { readFacts } from '../inputs.ts';
import type { ExternalTool } from './external-tool.ts';
import { LogCursor } from './log-cursor.ts';
import { runExternal } from './run-external.ts';

let fake: FakeKubernetes;
let folder: string;
let lines: string[];
let said: string[];
let ending: AbortController;

beforeEach(async () => {
  fake = await FakeKubernetes.open();
  folder = mkdtempSync(join(tmpdir(), 'pop-sa-'));
  writeFileSync(join(folder, 'token'), 'the-token');
  writeFileSync(join(folder, 'namespace'), 'work');
  [lines, said, ending] = [[], [], new AbortController()];
});
afterEach(async () => {
  ending.abort();
  await fake[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
  vi.restoreAllMocks();
});

const run = (tool: Partial<ExternalTool> = {}) => {
  const environment = {
    ...{ KUBERNETES_SERVICE_HOST: 'unused', POP_KUBERNETES_URL: fake.url, POP_SERVICE_ACCOUNT_FOLDER: folder },
    ...{ MY_POD_NAME: 'op-1', AGENDA_ID: 'agenda-1', OPERATION_NAME: 'step' },
  };
  const fields = readFields([], environment);
  return runExternal(
    { image: 'alpine:3', command: ['work'], onLine: (line) => lines.push(line), ...tool },
    { fields, operation: readFacts(fields), signal: ending.signal, log: (line) => said.push(line) },
  );
};
const failed = (ended: Promise<unknown>) =>
  ended.then(
    () => expect.fail('it did not fail'),
    (error: { message: string; details: { code: string; payload: unknown } }) => error,
  );
/** The tool's Pod, once it is there. */
const toolPod = () =>
  vi.waitFor(() => fake.pods.keys().find((name) => name !== 'op-1') ?? expect.fail('no Pod yet'), { interval: 5 });
const until = (condition: () => boolean) =>
  vi.waitFor(() => expect(condition()).toBe(true), { timeout: 10_000, interval: 5 });
const terminated = (exitCode: number, more = {}) => ({ terminated: { exitCode, reason: 'Completed', ...more } });
const at = (second: number, text: string) => `2030-01-01T00:00:0${second}.000000001Z ${text}`;

test('it is owned by the handler’s Pod, locked up as that, runs to its end, and is deleted', async () => {
  const owner = fake.add('op-1', {
    securityContext: { runAsUser: 7, fsGroup: 7 },
    imagePullSecrets: [{ name: 'pull' }],
    volumes: [{ name: 'work', nfs: {} }, { name: 'secret' }],
    containers: [{ name: 'handler', volumeMounts: [{ name: 'work', mountPath: '/work' }, { name: 'secret' }] }],
  });
  const ended = run({
    args: ['--fast'],
    env: { A: '1' },
    resources: { cpu: '500m', memory: '64Mi' },
    kubernetes: { sharedVolumes: ['work'] },
  });
  const name = await toolPod();
  expect(name).toMatch(/^op-1-tool-[0-9a-f]{8}$/);
  const pod = fake.pods.get(name);
  expect(pod?.metadata.ownerReferences).toMatchObject([{ kind: 'Pod', name: 'op-1', uid: owner.metadata.uid }]);
  expect(pod?.spec).toMatchObject({
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    securityContext: { runAsUser: 7, fsGroup: 7 },
    imagePullSecrets: [{ name: 'pull' }],
    volumes: [{ name: 'work' }, { name: 'pop-tmp' }],
    containers: [
      {
        name: 'tool',
        image: 'alpine:3',
        command: ['work'],
        args: ['--fast'],
        env: [{ name: 'A', value: '1' }],
        resources: { requests: { cpu: '500m', memory: '64Mi' }, limits: { memory: '64Mi' } },
        volumeMounts: [{ name: 'work', mountPath: '/work' }, { mountPath: '/tmp' }],
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
      },
    ],
  });
  fake.setState(name, { running: {} });
  await until(() => fake.follows === 1);
  fake.write(name, at(1, 'one'), at(2, 'two'));
  fake.setState(name, terminated(0));
  fake.endLogs();
  expect(await ended).toEqual({ exitCode: 0, lastLines: ['one', 'two'] });
  expect(lines).toEqual(['one', 'two']);
  expect([...fake.pods.keys()]).toEqual(['op-1']);
  expect(new Set(fake.requests.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer the-token']));
  expect(fake.sent('POST')[0]?.path).toBe('/api/v1/namespaces/work/pods');
});

test('its failure tells exit code, reason and last lines', async () => {
  const ended = failed(run());
  const name = await toolPod();
  fake.write(name, ...Array.from({ length: 12 }, (_, n) => at(1, `line ${n}`)));
  // It had ended before anybody saw it run.
  fake.setState(name, terminated(137, { reason: 'OOMKilled' }), 'Failed');
  expect(await ended).toMatchObject({
    message: 'alpine:3 ended with exit code 137 (OOMKilled).',
    details: {
      code: 'externalFailed',
      payload: { image: 'alpine:3', launch: 'kubernetes', exitCode: 137, reason: 'OOMKilled' },
    },
  });
  const { payload } = (await ended).details;
  expect((payload as { lastLines: string[] }).lastLines).toEqual(Array.from({ length: 10 }, (_, n) => `line ${n + 2}`));
  expect(fake.pods.size).toBe(0);
});

test('a log that breaks off again and again loses no line and doubles none', async () => {
  const ended = run();
  const name = await toolPod();
  fake.setState(name, { running: {} });
  await until(() => fake.follows === 1);
  // The same text twice in one nanosecond, and two lines out of order.
  fake.write(name, at(1, 'a'), at(1, 'same'), at(1, 'same'), at(3, 'b'), at(2, 'late'));
  await until(() => lines.length === 5);
  fake.cutLogs('2030-01-01T00:00:03.5Z half of a li');
  fake.write(name, at(3, 'same'), at(3, 'b2'));
  await until(() => lines.length === 7);
  fake.cutLogs();
  fake.write(name, at(4, 'c'));
  await until(() => lines.length === 8);
  fake.cutLogs();
  fake.rotate(name);
  fake.write(name, at(5, 'after rotation'));
  await until(() => lines.length === 9);
  fake.setState(name, terminated(0));
  // Written before it ended, and not sent to anybody yet.
  fake.cutLogs();
  fake.write(name, at(6, 'last words'));
  await ended;
  expect(lines).toEqual(['a', 'same', 'same', 'b', 'late', 'same', 'b2', 'c', 'after rotation', 'last words']);
});

test('a log whose connection is dead without a word is closed some seconds after the end', async () => {
  const ended = run();
  const name = await toolPod();
  fake.setState(name, { running: {} });
  await until(() => fake.follows === 1);
  fake.write(name, at(1, 'one'));
  await until(() => lines.length === 1);
  fake.setState(name, terminated(0));
  await ended;
  expect(lines).toEqual(['one']);
});

test('a watch that breaks, is too old or ends without a word is begun anew', async () => {
  const ended = run();
  const name = await toolPod();
  await until(() => fake.watches === 1);
  fake.cutWatches();
  fake.setState(name, { running: {} });
  await until(() => fake.watches === 1);
  fake.compact();
  fake.cutWatches();
  fake.setState(name, terminated(0));
  fake.endLogs();
  expect((await ended).exitCode).toBe(0);
});

test('a server that is away or busy for a while is asked again', async () => {
  let refused = 0;
  fake.refuse = ({ method }) => (method !== 'GET' && ++refused % 2 === 1 ? 503 : undefined);
  const ended = run();
  const name = await toolPod();
  fake.setState(name, terminated(0));
  await ended;
  expect(fake.pods.size).toBe(0);
  expect(refused).toBe(4);
});

test('what it waits for is told, and ends it when its time to start is over', async () => {
  const ended = failed(run({ scheduledSeconds: 1 }));
  const name = await toolPod();
  const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/1 nodes' }];
  fake.setStatus(name, { phase: 'Pending', conditions });
  expect(await ended).toMatchObject({
    message: 'alpine:3 did not start within 1 s: Unschedulable: 0/1 nodes.',
    details: { code: 'externalNotStarted' },
  });
  expect(said).toEqual(['alpine:3 waits: Unschedulable: 0/1 nodes']);
  expect(fake.pods.size).toBe(0);
});

test('an image that can never be had ends it at once', async () => {
  const ended = failed(run());
  fake.setState(await toolPod(), { waiting: { reason: 'InvalidImageName', message: 'bad name' } }, 'Pending');
  expect((await ended).message).toBe('alpine:3 did not start: InvalidImageName: bad name.');
});

test('one that is deleted by others, or that may not be made, fails in words', async () => {
  const ended = failed(run());
  const name = await toolPod();
  fake.setState(name, { running: {} });
  await until(() => fake.watches === 1 && fake.follows === 1);
  fake.remove(name);
  expect((await ended).details.code).toBe('externalLost');
  fake.refuse = ({ method }) => (method === 'POST' ? 403 : undefined);
  expect((await failed(run())).message).toMatch(/answers POST .*\/pods with 403: refused 403/);
});

test('a log that may not be read fails it, though it runs', async () => {
  fake.refuse = ({ path }) => (path.endsWith('/log') ? 403 : undefined);
  const ended = failed(run());
  fake.setState(await toolPod(), { running: {} });
  expect((await ended).message).toMatch(/\/log with 403/);
  expect(fake.pods.size).toBe(0);
});

describe('when the handler is asked to end', () => {
  test('it is deleted with its grace, and waited for until it is gone', async () => {
    fake.holdDeleted = true;
    const over = vi.fn();
    const ended = failed(run({ graceSeconds: 3 })).finally(over);
    const name = await toolPod();
    fake.setState(name, { running: {} });
    await until(() => fake.follows === 1);
    const reason = new Error('asked to end');
    ending.abort(reason);
    await until(() => fake.sent('DELETE').length === 1 && fake.watches === 1);
    expect(fake.sent('DELETE')[0]?.query.get('gracePeriodSeconds')).toBe('3');
    expect(over).not.toHaveBeenCalled();
    fake.remove(name);
    expect(await ended).toBe(reason);
  });

  test('a tool that runs too long, or whose parser throws, is deleted, too', async () => {
    const late = failed(run({ runSeconds: 0.2 }));
    fake.setState(await toolPod(), { running: {} });
    expect(await late).toMatchObject({ details: { code: 'externalTimedOut' } });
    const parser = () => {
      throw new Error('not a number');
    };
    const parsed = failed(run({ onLine: parser }));
    const name = await toolPod();
    fake.write(name, at(1, 'x'));
    fake.setState(name, { running: {} });
    expect((await parsed).message).toBe('not a number');
    expect(fake.pods.size).toBe(0);
  });
});

test('a cursor asks from a second before its latest line on, and lets pass what is no line of the log', () => {
  const cursor = new LogCursor();
  expect(cursor.sinceSecond).toBeUndefined();
  cursor.begin();
  expect(cursor.take('unable to retrieve container logs')).toBe('unable to retrieve container logs');
  expect(cursor.take('2030-01-01T00:00:05.1Z')).toBe('');
  expect(cursor.take('2030-01-01T00:00:05.2Z  two spaces')).toBe(' two spaces');
  expect(cursor.sinceSecond).toBe(Date.parse('2030-01-01T00:00:04Z') / 1_000);
  cursor.begin();
  expect(cursor.take('2030-01-01T00:00:05.2Z  two spaces')).toBeUndefined();
  expect(cursor.take('2030-01-01T00:00:05.2Z  two spaces')).toBe(' two spaces');
});
