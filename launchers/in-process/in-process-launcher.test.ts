import { writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { expect, test, vi } from 'vitest';
import { testHost } from '../../test/support/pool-worker.ts';
import type { Ending, HandlerProgress, HandlerRun } from '../launcher.ts';
import { parseRegistry } from '../registry.ts';
import { type InProcessFunction, InProcessLauncher } from './in-process-launcher.ts';

const never = new AbortController().signal;
const silent = { progress: () => {}, started: () => {} };

function runOf(
  name: string,
  limits: Record<string, number> = {},
  payload: unknown = null,
  folder = '/tmp',
): HandlerRun {
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

async function perform(
  perform: InProcessFunction,
  limits: Record<string, number> = {},
  payload: unknown = null,
): Promise<Ending> {
  const launcher = new InProcessLauncher({ it: perform });
  const run = runOf('it', limits, payload);
  await launcher.start(run);
  return launcher.follow(run, silent, never);
}

const untilAborted: InProcessFunction = (_, { signal }) =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

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
  expect(await perform(() => { throw new Error('no'); })).toMatchObject(failure); // biome-ignore format: one line says it
  expect(await perform(async () => { await null; throw new Error('no'); })).toMatchObject(failure); // biome-ignore format: one line says it
});

test('a start with the same key adopts, and two followers see the same end and the progress so far', async () => {
  const proceed = Promise.withResolvers<void>();
  const it = vi.fn<InProcessFunction>(async (_, { report }) => {
    report({ percentComplete: 40 });
    await proceed.promise;
    return 'done';
  });
  const launcher = new InProcessLauncher({ it });
  const run = runOf('it');
  expect(await launcher.start(run)).toEqual({ key: 'op-1', adopted: false });
  expect(await launcher.start(run)).toEqual({ key: 'op-1', adopted: true });
  const seen: HandlerProgress[] = [];
  const ends = [
    launcher.follow(run, silent, never),
    launcher.follow(run, { ...silent, progress: (progress) => seen.push(progress) }, never),
  ];
  expect(await launcher.list()).toMatchObject([{ key: 'op-1', agendaId: 'agenda', alive: true }]);
  proceed.resolve();
  for (const end of await Promise.all(ends))
    expect(end).toMatchObject({ kind: 'succeeded', result: 'done', progress: { percentComplete: 40 } });
  expect(seen).toEqual([{ percentComplete: 40 }]);
  expect(it).toHaveBeenCalledTimes(1);
  await launcher.forget('op-1');
  expect(await launcher.list()).toEqual([]);
  expect((await launcher.follow(run, silent, never)).kind).toBe('lost');
});

test('a follower that gives up leaves the run alone', async () => {
  const launcher = new InProcessLauncher({ it: untilAborted });
  const run = runOf('it');
  await launcher.start(run);
  const giveUp = new AbortController();
  const followed = launcher.follow(run, silent, giveUp.signal);
  giveUp.abort(new Error('enough'));
  await expect(followed).rejects.toThrow('enough');
  expect(await launcher.list()).toMatchObject([{ alive: true }]);
  await launcher.stop(run.key, 1);
});

test('a stop ends a function that heeds its signal at once, and gives up on one that does not after the grace', async () => {
  for (const [it, graceSeconds] of [
    [untilAborted, 60],
    [() => new Promise<never>(() => {}), 0.02],
  ] as const) {
    const launcher = new InProcessLauncher({ it });
    const run = runOf('it');
    await launcher.start(run);
    await launcher.stop(run.key, graceSeconds);
    expect((await launcher.follow(run, silent, never)).kind).toBe('cancelled');
    expect(await launcher.list()).toMatchObject([{ alive: false }]);
  }
  await new InProcessLauncher().stop('unknown', 60);
});

test('limits end a run, a report keeps it from being quiet', async () => {
  expect(await perform(untilAborted, { runSeconds: 0.02 })).toMatchObject({
    kind: 'timedOut',
    limit: 'run',
    diagnosticEvents: [{ code: 'runLimit' }],
  });
  expect(await perform(untilAborted, { quietSeconds: 0.02 })).toMatchObject({ kind: 'timedOut', limit: 'quiet' });
  const talkative: InProcessFunction = async (_, { report, signal }) => {
    for (let percentComplete = 0; percentComplete < 10; percentComplete++) {
      report({ percentComplete });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return signal.aborted;
  };
  expect(await perform(talkative, { quietSeconds: 0.15 })).toMatchObject({ kind: 'succeeded', result: false });
});

test('a function may come from a module beside the registry', async () => {
  await using host = await testHost();
  const module = `${host.directory}/functions.mjs`;
  await writeFile(module, 'export const double = (n) => 2 * n; export const notOne = 1;');
  const launcher = new InProcessLauncher();
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
