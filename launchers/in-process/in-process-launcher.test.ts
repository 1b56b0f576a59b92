import { writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { testHost } from '../../test/support/pool-worker.ts';
import { largeCharacters, launcherContract, type RunLimits, type Work } from '../contract.ts';
import type { Ending, HandlerRun } from '../launcher.ts';
import { parseRegistry } from '../registry.ts';
import { type InProcessFunction, InProcessLauncher } from './in-process-launcher.ts';

const never = new AbortController().signal;
const silent = { progress: () => {}, started: () => {} };

function runOf(name: string, limits: RunLimits = {}, payload: unknown = null, folder = '/tmp'): HandlerRun {
  const registry = parseRegistry(
    JSON.stringify({ basePodConfig: {}, type: { podConfig: { launch: 'inProcess', function: name, ...limits } } }),
    `${folder}/registry.json`,
  );
  const settings = registry.types.get('type');
  if (settings === undefined) throw new Error('no settings');
  const who = {
    agendaId: 'agenda',
    attempt: 1,
    operation: 'step',
    operationAttempt: 1,
    launch: 1,
    type: 'type',
    cid: 'cid',
    customerId: 'c',
  };
  return { ...who, key: 'op-1', operationId: 'step', progressId: 'p', payload: JSON.stringify(payload), settings };
}

async function perform(perform: InProcessFunction, limits: RunLimits = {}, payload: unknown = null): Promise<Ending> {
  const launcher = new InProcessLauncher({ worker: 'w', functions: { it: perform } });
  const run = runOf('it', limits, payload);
  await launcher.start(run);
  return launcher.follow(run, silent, never);
}

const untilAborted: InProcessFunction = (_, { signal }) =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

/** Each work of the contract; `gate` opens when it may go on. */
const works = (gate: Promise<void>): Readonly<Record<Exclude<Work, 'neverStart' | 'talk'>, InProcessFunction>> => ({
  echo: (payload) => payload,
  large: () => 'x'.repeat(largeCharacters),
  fail: () => {
    throw new Error('no');
  },
  async reportAndWait(_, { report }) {
    report({ percentComplete: 40 });
    await gate;
    return 'done';
  },
  waitForEver: untilAborted,
  ignoreStop: () => new Promise<never>(() => undefined),
  async reportOften(_, { report }) {
    for (let percentComplete = 0; percentComplete < 8; percentComplete++) {
      report({ percentComplete });
      await delay(250);
    }
  },
});

launcherContract(
  () => {
    const gate = Promise.withResolvers<void>();
    return {
      launcher: new InProcessLauncher({ worker: 'first', functions: { ...works(gate.promise) } }),
      other: new InProcessLauncher({ worker: 'second', functions: { ...works(gate.promise) } }),
      run: (work, limits) => runOf(work, limits, { a: 1 }),
      proceed: () => gate.resolve(),
      [Symbol.asyncDispose]: async () => gate.resolve(),
    };
  },
  { keepsLog: false, hasToken: false },
);

test('what returns is the result, with its times', async () => {
  expect(await perform((payload) => ({ got: payload }), {}, { n: 1 })).toEqual({
    kind: 'succeeded',
    result: { got: { n: 1 } },
    startedTime: expect.any(Number),
    endedTime: expect.any(Number),
  });
});

test('what throws, before or after its first await, fails', async () => {
  const failure = { kind: 'failed', diagnosticEvents: [expect.objectContaining({ code: 'exception', message: 'no' })] };
  const throwsAtOnce = () => {
    throw new Error('no');
  };
  const throwsLater = async () => {
    await null;
    throw new Error('no');
  };
  expect(await perform(throwsAtOnce)).toMatchObject(failure);
  expect(await perform(throwsLater)).toMatchObject(failure);
});

test('two starts of one key at once run the function once', async () => {
  const it = vi.fn<InProcessFunction>(() => 'done');
  const launcher = new InProcessLauncher({ worker: 'w', functions: { it } });
  const run = runOf('it');
  const handles = await Promise.all([launcher.start(run), launcher.start(run)]);
  expect(handles.map(({ adopted }) => adopted).sort()).toEqual([false, true]);
  expect(it).toHaveBeenCalledTimes(1);
});

test('limits below a second hold, and do not touch who ends in time', async () => {
  expect(await perform(untilAborted, { runSeconds: 0.02 })).toMatchObject({ kind: 'timedOut', limit: 'run' });
  expect(await perform(untilAborted, { quietSeconds: 0.02 })).toMatchObject({ kind: 'timedOut', limit: 'quiet' });
  expect(await perform(() => 'done', { runSeconds: 0.02 })).toMatchObject({ kind: 'succeeded', result: 'done' });
});

test('a function may come from a module beside the registry', async () => {
  await using host = await testHost();
  const module = `${host.directory}/functions.mjs`;
  await writeFile(module, 'export const double = (n) => 2 * n; export const notOne = 1;');
  const launcher = new InProcessLauncher({ worker: 'w' });
  const run = runOf(`./${basename(module)}#double`, {}, 21, dirname(module));
  await launcher.start(run);
  expect(await launcher.follow(run, silent, never)).toMatchObject({ kind: 'succeeded', result: 42 });
  for (const name of ['unheardOf', './functions.mjs#notOne', './functions.mjs#absent', './absent.mjs#double']) {
    await expect(launcher.start({ ...runOf(name, {}, 1, dirname(module)), key: name })).rejects.toMatchObject({
      name: 'LaunchError',
      code: 'unknownFunction',
    });
  }
});

test('a limit of a year is no limit of a moment', async () => {
  const limits = { runSeconds: 31_536_000, quietSeconds: 31_536_000, scheduledSeconds: 31_536_000 };
  const ending = await perform(() => new Promise((resolve) => setTimeout(() => resolve('done'), 50)), limits);
  expect(ending).toMatchObject({ kind: 'succeeded', result: 'done' });
});

test('a module that is never loaded fails its Operation when scheduledSeconds are over', async () => {
  await using host = await testHost();
  await writeFile(
    `${host.directory}/hangs.mjs`,
    'setInterval(() => {}, 1e6).unref(); await new Promise(() => {}); export const f = 1;',
  );
  const launcher = new InProcessLauncher({ worker: 'w' });
  const run = runOf('hangs.mjs#f', { scheduledSeconds: 0.2 }, null, host.directory);
  await expect(launcher.start(run)).rejects.toMatchObject({
    code: 'scheduledLimit',
    message: expect.stringContaining('scheduledSeconds = 0.2'),
  });
  expect(await launcher.list()).toEqual([]);
});
