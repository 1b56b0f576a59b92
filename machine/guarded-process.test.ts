import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test, vi } from 'vitest';
import { identify } from '../launchers/local/process-identity.ts';
import { GuardedProcess } from './guarded-process.ts';
import { holdsAfter } from './machine-process.ts';

const guarded = new URL('./guarded-process.ts', import.meta.url).href;
const soon = { timeout: 15_000, interval: 20 };
/** A program that ignores SIGTERM and says so once it does. */
const deaf = ['sh', '-c', "trap '' TERM; echo deaf; while :; do sleep 0.1; done"] as const;

test('a process ends when its parent is killed, even one that ignores the signal', async () => {
  const source = `
    import { GuardedProcess } from ${JSON.stringify(guarded)};
    const one = new GuardedProcess({ command: ['sleep', '1000'] });
    const other = new GuardedProcess({ command: ${JSON.stringify(deaf)}, graceSeconds: 1 });
    console.log(one.pid + ' ' + other.pid);
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(parent.stdout), 'line')) as [string];
  const pids = line.split(' ').map(Number);
  for (const pid of pids) expect(identify(pid)).toBeDefined();
  parent.kill('SIGKILL');
  await vi.waitFor(() => expect(pids.map(identify)).toEqual([undefined, undefined]), soon);
});

test('stop asks first and kills after the grace', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'pop-guarded-'));
  const logFile = join(directory, 'log');
  const polite = new GuardedProcess({ command: ['sleep', '1000'] });
  expect(await polite.stop()).toEqual({ code: null, signal: 'SIGTERM' });
  const stubborn = new GuardedProcess({ command: deaf, graceSeconds: 0.2, logFile });
  await vi.waitFor(async () => expect(await holdsAfter(logFile, 0, 'deaf')).toBe(true), soon);
  expect(await stubborn.stop()).toEqual({ code: null, signal: 'SIGKILL' });
  expect(stubborn.running).toBe(false);
  await rm(directory, { recursive: true });
});

test('the process id is the program, its arguments as given, nothing of the guard in its environment', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'pop-guarded-'));
  const logFile = join(directory, 'log');
  const child = new GuardedProcess({
    command: ['sh', '-c', 'echo "$$ [$1] [$2]"; env', 'sh', 'a b', "$(x) ' *"],
    logFile,
  });
  expect(await child.ended).toEqual({ code: 0, signal: null });
  expect(await holdsAfter(logFile, 0, `${child.pid} [a b] [$(x) ' *]`)).toBe(true);
  expect(await holdsAfter(logFile, 0, 'POP_GUARD')).toBe(false);
  await rm(directory, { recursive: true });
});

test('a program that is not there ends with the exit code of the shell', async () => {
  expect(await new GuardedProcess({ command: ['/no/such/program'] }).ended).toEqual({ code: 127, signal: null });
});
