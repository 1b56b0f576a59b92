/** Tools as processes, and which launch a tool gets. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readFields } from '../fields.ts';
import { readFacts } from '../inputs.ts';
import { externalLaunch } from './choose-launch.ts';
import type { ExternalTool } from './external-tool.ts';
import { linesOf } from './lines.ts';
import { numberOf } from './quantity.ts';
import { runExternal } from './run-external.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pop-tool-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function run(script: string, tool: Partial<ExternalTool> = {}, signal = new AbortController().signal) {
  const lines: string[] = [];
  const fields = readFields([], {});
  const parts = { fields, operation: readFacts(fields), signal, log: (line: string) => void lines.push(line) };
  const ended = runExternal({ command: ['/bin/sh', '-c', script], ...tool }, parts);
  return { lines, ended };
}

test('its lines are handed on, also the last without an end, and it has the handler’s environment and more', async () => {
  const { lines, ended } = run('printf "%s\\n" "$0 $MINE"; cd "$PWD" && pwd >&2; printf rest', {
    args: ['zero'],
    env: { MINE: 'x y' },
    workingDirectory: folder,
  });
  expect((await ended).exitCode).toBe(0);
  expect(lines.toSorted()).toEqual([expect.stringContaining(folder), 'rest', 'zero x y'].toSorted());
});

test('its failure is the handler’s, with code or signal, and the last ten lines', async () => {
  await expect(run('seq 1 20; exit 3').ended).rejects.toMatchObject({
    message: '/bin/sh ended with exit code 3.',
    details: {
      code: 'externalFailed',
      payload: { launch: 'local', exitCode: 3, lastLines: Array.from({ length: 10 }, (_, n) => `${n + 11}`) },
    },
  });
  await expect(run('kill -9 $$').ended).rejects.toThrow('/bin/sh was killed (SIGKILL).');
  await expect(run('', { command: ['/no/such/tool'] }).ended).rejects.toThrow(/could not be run: .*ENOENT/);
  await expect(run('', { command: [], image: 'alpine' }).ended).rejects.toThrow(/alpine has no command/);
});

test('an abort ends it by SIGTERM, then SIGKILL, and waits until it is gone', async () => {
  const pidFile = join(folder, 'pid');
  const begun = async () => Number(await vi.waitFor(() => readFileSync(pidFile, 'utf8') || expect.fail('none')));
  const isThere = (pid: number) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  for (const [trap, graceSeconds] of [
    ['exit 0', 30],
    ['', 0.1],
  ] as const) {
    writeFileSync(pidFile, '');
    const ending = new AbortController();
    const { ended } = run(
      `trap '${trap}' TERM; echo $$ > ${pidFile}; while :; do sleep 0.05; done`,
      { graceSeconds },
      ending.signal,
    );
    const pid = await begun();
    const reason = new Error('asked to end');
    ending.abort(reason);
    await expect(ended).rejects.toBe(reason);
    expect(isThere(pid)).toBe(false);
  }
  await expect(run('exec sleep 1000', { runSeconds: 0.1 }).ended).rejects.toMatchObject({
    message: '/bin/sh did not end within 0.1 s and was stopped.',
    details: { code: 'externalTimedOut' },
  });
});

test('the launch: the tool’s own, then the argument, the variable, the property; else where the handler is', () => {
  const propFile = join(folder, 'p.properties');
  writeFileSync(propFile, 'POP_EXTERNAL_LAUNCH=docker');
  const image = { image: 'alpine' };
  const inPod = { KUBERNETES_SERVICE_HOST: '10.0.0.1', POP_SERVICE_ACCOUNT_FOLDER: folder };
  const fields = readFields(['-externalLaunchType', 'Kubernetes'], { POP_EXTERNAL_LAUNCH: 'docker' });
  expect(externalLaunch({ launch: 'local' }, fields)).toBe('local');
  expect(externalLaunch(image, fields)).toBe('kubernetes');
  expect(externalLaunch(image, readFields([], { POP_EXTERNAL_LAUNCH: 'docker' }))).toBe('docker');
  expect(externalLaunch(image, readFields(['-propFile', propFile], {}))).toBe('docker');
  expect(externalLaunch(image, readFields([], {}))).toBe('local');
  expect(externalLaunch(image, readFields([], inPod))).toBe('local');
  writeFileSync(join(folder, 'token'), 't');
  expect(externalLaunch(image, readFields([], inPod))).toBe('kubernetes');
  expect(externalLaunch({}, readFields([], inPod))).toBe('local');
  expect(() => externalLaunch({}, readFields([], { POP_EXTERNAL_LAUNCH: 'mesos' }))).toThrow(/not by "mesos"/);
});

test('lines are whole whatever the chunks, and one without end comes in pieces', () => {
  const lines: string[] = [];
  const cutter = linesOf((line) => lines.push(line));
  for (const byte of Buffer.from('ä\r\nb\n\nlast')) cutter.write(Buffer.from([byte]));
  cutter.end();
  expect(lines).toEqual(['ä', 'b', '', 'last']);
  cutter.write(Buffer.alloc(2_500_000, 'x'));
  cutter.end();
  expect(lines.slice(4).map((line) => line.length)).toEqual([1_048_576, 1_048_576, 402_848]);
});

test('quantities of Kubernetes', () => {
  const quantities = ['500m', '2', '256Mi', '1.5Gi', '1e3', '100k'];
  expect(quantities.map(numberOf)).toEqual([0.5, 2, 268_435_456, 1_610_612_736, 1_000, 100_000]);
  for (const wrong of ['', 'much', '1 GB', '1Xi']) expect(() => numberOf(wrong), wrong).toThrow(/is no quantity/);
});
