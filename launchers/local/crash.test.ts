/** What becomes of runs when workers, shims and handlers die: real processes, really killed. */
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  never,
  recorded,
  runOf,
  type Scratch,
  scratch,
  script,
  shell,
  startToEnd,
} from '../../test/support/scratch.ts';
import type { Ending, RunHandle } from '../launcher.ts';
import { readRecord } from '../run-directory/regular-file.ts';
import { writeOnce } from '../run-directory/whole-file.ts';
import { LocalLauncher } from './local-launcher.ts';
import { identify, isAlive } from './process-identity.ts';
import { fileNames, type ProcessIdentity, type StartedRecord } from './run-files.ts';
import { stopAll } from './stop-run.ts';

const seconds = 30_000;

/** Writes its number to a file once and runs until the file `go` is there. */
const waitsForGo = (folder: string) =>
  shell(
    `echo $$ >> "${folder}/starts"; while [ ! -e "${folder}/go" ]; do sleep 0.05; done; ` +
      `echo '{"pid":'$$'}' > "$POP_RESULT_FILE"`,
  );
const starts = (folder: string) =>
  existsSync(join(folder, 'starts')) ? readFileSync(join(folder, 'starts'), 'utf8').trim().split('\n') : [];
const started = (at: Scratch, key = 'run-1') =>
  readRecord<StartedRecord>(join(at.root, key), fileNames.started) as StartedRecord;

async function until(what: () => boolean): Promise<void> {
  while (!what()) await delay(20);
}

describe('adoption', { timeout: seconds }, () => {
  test('a second launcher follows the process that the first one started, to the same end', async () => {
    await using at = scratch();
    const run = runOf(waitsForGo(at.root));
    expect(await at.launcher.start(run)).toEqual({ key: 'run-1', adopted: false });
    const leaving = new AbortController();
    const first = at.launcher.follow(run, recorded(), leaving.signal);
    const before = started(at);
    leaving.abort(new Error('worker shutdown'));
    await expect(first).rejects.toThrow('worker shutdown');

    const second = new LocalLauncher({ root: at.root });
    expect(second.place).toBe(at.launcher.place);
    expect(await second.start(run)).toEqual({ key: 'run-1', adopted: true });
    const events = recorded();
    const ending = second.follow(run, events, never());
    writeFileSync(join(at.root, 'go'), '');
    expect(await ending).toMatchObject({
      kind: 'succeeded',
      result: { pid: before.pid },
      startedTime: before.startedTime,
    });
    expect(events.starts).toEqual([before.startedTime]);
    expect(starts(at.root)).toHaveLength(1);
  });

  test('a worker killed by SIGKILL leaves its handler running, and the next worker gets its result', async () => {
    await using at = scratch();
    const podConfig = waitsForGo(at.root);
    const worker = workerProcess(at.root, podConfig);
    await until(() => starts(at.root).length === 1);
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    const run = runOf(podConfig);
    expect(await at.launcher.start(run)).toMatchObject({ adopted: true });
    writeFileSync(join(at.root, 'go'), '');
    expect(await at.launcher.follow(run, recorded(), never())).toMatchObject({ kind: 'succeeded' });
    expect(starts(at.root)).toHaveLength(1);
  });

  test('an ending that nobody followed is still there for the next worker', async () => {
    await using at = scratch();
    const run = runOf(shell('echo done; exit 4'));
    await at.launcher.start(run);
    await until(() => existsSync(join(at.root, 'run-1', fileNames.exit)));
    expect(await startToEnd(new LocalLauncher({ root: at.root }), run)).toMatchObject({
      kind: 'failed',
      log: { output: 'done\n' },
    });
  });
});

describe('kill -9', { timeout: seconds }, () => {
  test('of the shim: the handler is followed on, its output kept; its unseen end is a loss', async () => {
    await using at = scratch();
    const run = runOf(waitsForGo(at.root));
    await at.launcher.start(run);
    await until(() => starts(at.root).length === 1);
    const { shim } = started(at);
    process.kill(shim.pid, 'SIGKILL');
    await until(() => !isAlive(shim));
    const ending = at.launcher.follow(run, recorded(), never());
    expect(isAlive(started(at))).toBe(true);
    expect(await at.launcher.start(run)).toMatchObject({ adopted: true });
    writeFileSync(join(at.root, 'go'), '');
    expect(await ending).toMatchObject({ kind: 'lost' });
    expect(starts(at.root)).toHaveLength(1);
  });

  test('of the handler: it failed by signal', async () => {
    await using at = scratch();
    const run = runOf(shell('echo before; exec sleep 1000'));
    await at.launcher.start(run);
    await until(() => readFileSync(join(at.root, 'run-1', fileNames.log), 'utf8') !== '');
    process.kill(started(at).pid, 'SIGKILL');
    const ending = await at.launcher.follow(run, recorded(), never());
    expect(ending).toMatchObject({
      kind: 'failed',
      diagnosticEvents: [{ code: 'signal', message: 'The handler was killed by SIGKILL.', payload: ['before'] }],
    });
  });

  test('of both: the run is lost, and what the handler left in its group is ended', async () => {
    await using at = scratch();
    const run = runOf(shell('sleep 1000 & echo $! > "$POP_RESULT_FILE"; echo ready; wait'));
    await at.launcher.start(run);
    const result = join(at.root, 'run-1', fileNames.result);
    await until(() => existsSync(result) && readFileSync(result, 'utf8').endsWith('\n'));
    const grandchild = identify(Number(readFileSync(result, 'utf8'))) as ProcessIdentity;
    process.kill(started(at).shim.pid, 'SIGKILL');
    process.kill(started(at).pid, 'SIGKILL');
    expect(await at.launcher.follow(run, recorded(), never())).toMatchObject({ kind: 'lost' });
    expect(isAlive(grandchild)).toBe(false);
  });
});

describe('starting at once', { timeout: 60_000 }, () => {
  test('exactly one handler starts when several processes and callers start the same key', async () => {
    await using at = scratch();
    const podConfig = waitsForGo(at.root);
    const workers = [1, 2, 3].map(() => workerProcess(at.root, podConfig));
    const handles = await Promise.all([1, 2, 3].map(() => at.launcher.start(runOf(podConfig))));
    expect(handles.filter((handle) => !handle.adopted).length).toBeLessThanOrEqual(1);
    writeFileSync(join(at.root, 'go'), '');
    const answers = await Promise.all(workers.map(outputOf));
    expect(new Set(answers.map((answer) => JSON.stringify(answer.ending.result))).size).toBe(1);
    expect([...handles, ...answers.map((answer) => answer.handle)].filter((handle) => !handle.adopted)).toHaveLength(1);
    expect(starts(at.root)).toHaveLength(1);
  });

  test('a start that died between claim and handler is taken over, once', async () => {
    await using at = scratch();
    const podConfig = waitsForGo(at.root);
    // A directory as a killed worker and a killed shim leave it: claimed by a process that is dead, nothing started.
    const dead = spawn(process.execPath, ['-e', '0']);
    const holder = identify(dead.pid as number) as ProcessIdentity;
    await once(dead, 'exit');
    const run = runOf(podConfig);
    const directory = join(at.root, 'run-1');
    mkdirSync(directory);
    writeOnce(join(directory, 'claim.1'), JSON.stringify(holder));
    await Promise.all([at.launcher.start(run), new LocalLauncher({ root: at.root }).start(run)]);
    writeFileSync(join(at.root, 'go'), '');
    expect(await at.launcher.follow(run, recorded(), never())).toMatchObject({ kind: 'succeeded' });
    expect(existsSync(join(directory, 'claim.2'))).toBe(true);
    expect(existsSync(join(directory, 'claim.3'))).toBe(false);
    expect(starts(at.root)).toHaveLength(1);
  });

  test('shims killed at any moment of the start never make a second handler', async () => {
    await using at = scratch();
    const counted = join(at.root, 'counted');
    for (let round = 0; round < 12; round += 1) {
      const key = `round-${round}`;
      const run = runOf(shell(`echo ${key} >> "${counted}"; exec sleep 1000`), { key });
      const starting = at.launcher.start(run);
      // The shim takes 50 to 100 ms to open the gate: these fall before, in and after it.
      await delay(round * 10);
      for (const name of ['claim.1', fileNames.started]) {
        const record = readRecord<ProcessIdentity & Partial<StartedRecord>>(join(at.root, key), name);
        const shim = record?.shim ?? record;
        if (shim !== undefined && isAlive(shim)) process.kill(shim.pid, 'SIGKILL');
      }
      await starting;
      expect(await at.launcher.start(run)).toMatchObject({ adopted: true });
      await at.launcher.stop(key, 0);
    }
    const lines = existsSync(counted) ? readFileSync(counted, 'utf8').trim().split('\n') : [];
    expect(new Set(lines).size).toBe(lines.length);
  });
});

describe('stopping', { timeout: seconds }, () => {
  test('grandchildren in the group end with the handler, though they ignore SIGTERM', async () => {
    await using at = scratch();
    const pids = join(at.root, 'pids');
    const run = runOf(
      shell(
        `(trap "" TERM; echo x >> "${pids}"; sleep 1000) & ` +
          `(trap "" TERM; echo x >> "${pids}"; sleep 1000) & sleep 1000`,
      ),
    );
    await at.launcher.start(run);
    await until(() => existsSync(pids) && readFileSync(pids, 'utf8').length === 4);
    const ending = at.launcher.follow(run, recorded(), never());
    await at.launcher.stop('run-1', 1);
    expect(groupOf(started(at).pid)).toEqual([]);
    expect(await ending).toMatchObject({ kind: 'cancelled' });
    expect(await at.launcher.list()).toMatchObject([{ key: 'run-1', alive: false }]);
    await at.launcher.forget('run-1');
    expect(await at.launcher.list()).toEqual([]);
  });

  test('works when the shim is dead, and the ending is cancelled', async () => {
    await using at = scratch();
    const run = runOf(script('process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log("ready")'));
    await at.launcher.start(run);
    await until(() => readFileSync(join(at.root, 'run-1', fileNames.log), 'utf8') !== '');
    process.kill(started(at).shim.pid, 'SIGKILL');
    const ending = at.launcher.follow(run, recorded(), never());
    await at.launcher.stop('run-1', 0.2);
    expect(groupOf(started(at).pid)).toEqual([]);
    expect(await ending).toMatchObject({ kind: 'cancelled' });
  });

  test('gives the handler its grace, and an exit with 0 after SIGTERM is no success', async () => {
    await using at = scratch();
    const run = runOf(
      script(
        'process.on("SIGTERM", () => { console.log("tidying"); process.exit(0) }); ' +
          'setInterval(() => {}, 1000); console.log("ready")',
      ),
    );
    await at.launcher.start(run);
    await until(() => readFileSync(join(at.root, 'run-1', fileNames.log), 'utf8') !== '');
    await at.launcher.stop('run-1', 20);
    expect(await at.launcher.follow(run, recorded(), never())).toMatchObject({
      kind: 'cancelled',
      log: { output: 'ready\ntidying\n' },
    });
  });

  test('an unknown key is stopped and forgotten at once', async () => {
    await using at = scratch();
    await at.launcher.stop('nothing', 10);
    await at.launcher.forget('nothing');
  });

  test('a run stopped before it began never begins', async () => {
    await using at = scratch();
    const run = runOf(waitsForGo(at.root));
    const starting = at.launcher.start(run);
    await at.launcher.stop('run-1', 0);
    await starting;
    expect(await at.launcher.follow(run, recorded(), never())).toMatchObject({ kind: 'cancelled' });
    expect(await at.launcher.list()).toMatchObject([{ alive: false }]);
  });

  test('an orderly stop of the place ends all runs, and they count as lost', async () => {
    await using at = scratch();
    const runs = ['a', 'b', 'c'].map((key) => runOf(shell('sleep 1000'), { key }));
    await Promise.all(runs.map((run) => at.launcher.start(run)));
    await stopAll(at.root, 1);
    for (const run of runs)
      expect(await at.launcher.follow(run, recorded(), never())).toMatchObject({ kind: 'lost', code: 'drained' });
    expect((await at.launcher.list()).filter((run) => run.alive)).toEqual([]);
  });

  test('a run that still runs is not forgotten', async () => {
    await using at = scratch();
    await at.launcher.start(runOf(shell('sleep 1000')));
    await expect(at.launcher.forget('run-1')).rejects.toThrow('still runs');
  });
});

/** What lives in a process group, told by `ps` rather than by the code under test. */
function groupOf(group: number): string[] {
  const lines = execFileSync('ps', ['-A', '-o', 'stat=,pgid=,args='], { encoding: 'utf8' }).split('\n');
  return lines
    .map((line) => line.trim())
    .filter((line) => !line.startsWith('Z') && line.split(/\s+/)[1] === String(group));
}

function workerProcess(root: string, podConfig: Record<string, unknown>): ChildProcessByStdio<null, Readable, null> {
  const path = fileURLToPath(new URL('../../test/support/scratch-worker.ts', import.meta.url));
  return spawn(process.execPath, [path, root, JSON.stringify(podConfig)], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function outputOf(
  worker: ChildProcessByStdio<null, Readable, null>,
): Promise<{ handle: RunHandle; ending: Ending & { result?: unknown } }> {
  let output = '';
  for await (const chunk of worker.stdout.setEncoding('utf8')) output += String(chunk);
  return JSON.parse(output);
}
