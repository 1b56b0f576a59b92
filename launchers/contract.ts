/**
 * What every launcher promises, as tests: each launcher's own test file runs them on the real thing. What is particular
 * to one kind (files, exit codes, modules) is tested there.
 */
import { describe, expect, test } from 'vitest';
import type { FollowEvents, HandlerProgress, HandlerRun, Launcher } from './launcher.ts';
import type { Limits } from './limits.ts';
import { parseRegistry, settingsFor } from './registry.ts';

/**
 * What a run does: gives its payload back; gives a text of `largeCharacters` back; fails; reports 40 %, then waits
 * until it may go on and gives `"done"` back; waits for ever, and ends soon when it is asked to, or does not; reports
 * every 0.25 s for twice its quiet limit; writes `talkedLines` lines of `talkedLine`, then "the end"; can never start.
 */
export type Work =
  | 'echo'
  | 'large'
  | 'fail'
  | 'reportAndWait'
  | 'waitForEver'
  | 'ignoreStop'
  | 'reportOften'
  | 'talk'
  | 'neverStart';

/** More than an annotation of a Pod holds. */
export const largeCharacters = 300_000;
/** More than is kept of a log, in all. */
export const talkedLines = 20_000;
/** One of them. */
export const talkedLine = 'a line of output, one of many that are the same, for nobody to read it all';

/** Limits of a run, as in its registry entry. */
export type RunLimits = Partial<Limits>;

/** A launcher with nothing in it, and what it takes to try it. */
export interface LauncherUnderTest extends AsyncDisposable {
  readonly launcher: Launcher;
  /** The launcher of another worker, as near to the first one as two workers can be. */
  readonly other: Launcher;
  run(work: Work, limits?: RunLimits): HandlerRun;
  /** Lets runs of `reportAndWait` go on. */
  proceed(): void;
  /** Within this a run certainly begins to report, once it has started; 1 s when it is not said. */
  readonly quietSeconds?: number;
}

const silent: FollowEvents = { progress: () => undefined, started: () => undefined };
/** Some launchers take a while for whatever they do. */
const patience = { timeout: 60_000 };
const never = (): AbortSignal => new AbortController().signal;

/**
 * Registers the tests. A launcher without `keepsLog` has runs without an output of their own; one without `keepsLarge`
 * has a way for large results beside itself; one without `hasToken` has runs that cannot report past it.
 */
export function launcherContract(
  make: () => LauncherUnderTest | Promise<LauncherUnderTest>,
  { keepsLog = true, keepsLarge = true, hasToken = true } = {},
): void {
  const startToEnd = async ({ launcher }: LauncherUnderTest, run: HandlerRun) => {
    await launcher.start(run);
    return launcher.follow(run, silent, never());
  };

  describe('as every launcher', () => {
    test('it tells the result and the times of a run', async () => {
      await using at = await make();
      // Some tell whole seconds.
      const before = Math.floor(Date.now() / 1_000) * 1_000;
      const ending = await startToEnd(at, at.run('echo'));
      expect(ending).toMatchObject({ kind: 'succeeded', result: { a: 1 } });
      expect(ending.startedTime).toBeGreaterThanOrEqual(before);
      expect(ending.endedTime).toBeGreaterThanOrEqual(ending.startedTime ?? Number.POSITIVE_INFINITY);
    });

    test.skipIf(!keepsLarge)('a large result comes whole', async () => {
      await using at = await make();
      const ending = await startToEnd(at, at.run('large'));
      expect(ending).toMatchObject({ kind: 'succeeded', result: expect.any(String) });
      expect(ending.kind === 'succeeded' && ending.result === 'x'.repeat(largeCharacters)).toBe(true);
    });

    test.skipIf(!keepsLog)('the last part of its output is kept, and it is told how much there was', async () => {
      await using at = await make();
      const { kind, log } = await startToEnd(at, at.run('talk'));
      expect({ kind, totalBytes: log?.totalBytes }).toEqual({
        kind: 'succeeded',
        totalBytes: talkedLines * (talkedLine.length + 1) + 'the end\n'.length,
      });
      expect(log?.output.length).toBe(1024 * 1024);
      expect(log?.output.endsWith(`${talkedLine}\nthe end\n`)).toBe(true);
    });

    test('it tells why a run failed', async () => {
      await using at = await make();
      expect(await startToEnd(at, at.run('fail'))).toMatchObject({
        kind: 'failed',
        code: expect.any(String),
        diagnosticEvents: [{ code: expect.any(String), message: expect.any(String), time: expect.any(Number) }],
      });
    });

    test('a start with the same key adopts, and all who follow see the same progress and end', async () => {
      await using at = await make();
      const { launcher } = at;
      const run = at.run('reportAndWait');
      expect(await launcher.start(run)).toEqual({ key: run.key, adopted: false });
      expect(await launcher.start(run)).toEqual({ key: run.key, adopted: true });
      const seen: HandlerProgress[][] = [[], []];
      const ends = seen.map((list) =>
        launcher.follow(run, { ...silent, progress: (progress) => list.push(progress) }, never()),
      );
      await expect.poll(() => seen.map((list) => list.at(-1)?.percentComplete), patience).toEqual([40, 40]);
      at.proceed();
      for (const ending of await Promise.all(ends))
        expect(ending).toMatchObject({ kind: 'succeeded', result: 'done', progress: { percentComplete: 40 } });
    });

    test('it lists what is here with its fence, until that is forgotten; what is not here is lost', async () => {
      await using at = await make();
      const { launcher } = at;
      const run = at.run('reportAndWait');
      await launcher.start(run);
      const { key, agendaId, attempt, operation, operationAttempt, launch } = run;
      const known = { key, agendaId, attempt, operation, operationAttempt, launch };
      expect(await launcher.list()).toEqual([{ ...known, alive: true }]);
      at.proceed();
      await launcher.follow(run, silent, never());
      await expect.poll(() => launcher.list(), patience).toEqual([{ ...known, alive: false }]);
      await launcher.forget(key);
      expect(await launcher.list()).toEqual([]);
      expect((await launcher.follow(run, silent, never())).kind).toBe('lost');
    });

    test('it finds the runs of one Operation, whatever launch, and nothing of others', async () => {
      await using at = await make();
      const run = at.run('waitForEver');
      const { agendaId, attempt, operation } = run;
      const others = [
        { launch: 2, operationAttempt: 2 },
        { operation: 'other' },
        { attempt: 2 },
        { agendaId: 'another' },
      ];
      const runs = [run, ...others.map((who, n) => ({ ...run, key: `other-${n}`, ...who }))];
      for (const each of runs) await at.launcher.start(each);
      const found = await at.launcher.find({ agendaId, attempt, operation });
      expect(new Set(found.map(({ key, launch, alive }) => [key, launch, alive].join()))).toEqual(
        new Set([`${run.key},1,true`, 'other-0,2,true']),
      );
      expect(await at.launcher.find({ agendaId, attempt: 3, operation })).toEqual([]);
      for (const { key } of runs) await at.launcher.stop(key, 1);
    });

    test('its place is shared only by who can adopt its runs', async () => {
      await using at = await make();
      const run = at.run('waitForEver');
      await at.launcher.start(run);
      const { survivesWorker } = at.launcher;
      expect(at.other.place === at.launcher.place).toBe(survivesWorker);
      expect(await at.other.find(run)).toHaveLength(survivesWorker ? 1 : 0);
      if (survivesWorker) expect(await at.other.start(run)).toEqual({ key: run.key, adopted: true });
      else expect(await at.other.follow(run, silent, never())).toMatchObject({ kind: 'lost' });
      await at.launcher.stop(run.key, 1);
    });

    test('what survives its worker is followed to its end by the next, with the progress of before', async () => {
      await using at = await make();
      if (!at.launcher.survivesWorker) return;
      const run = at.run('reportAndWait');
      await at.launcher.start(run);
      const seen: HandlerProgress[] = [];
      const first = new AbortController();
      const dies = at.launcher.follow(run, { ...silent, progress: (progress) => seen.push(progress) }, first.signal);
      await expect.poll(() => seen.at(-1)?.percentComplete, { timeout: 10_000 }).toBe(40);
      first.abort(new Error('the worker died'));
      await expect(dies).rejects.toThrow('the worker died');
      const starts: number[] = [];
      await at.other.start(run);
      const follows = at.other.follow(run, { ...silent, started: (time) => starts.push(time) }, never());
      await expect.poll(() => starts, { timeout: 10_000 }).toHaveLength(1);
      at.proceed();
      const ending = await follows;
      expect(ending).toMatchObject({ kind: 'succeeded', result: 'done', progress: { percentComplete: 40 } });
      expect(ending.startedTime).toBe(starts[0]);
    });

    test('it refuses a type of another launcher', async () => {
      await using at = await make();
      const run = at.run('echo');
      const isFunction = run.settings.launch === 'inProcess';
      const strange = { podConfig: isFunction ? { command: ['true'] } : { function: 'noOp' } };
      const registry = parseRegistry(JSON.stringify({ basePodConfig: {}, strange }), '/registry');
      const settings = settingsFor(registry, 'strange');
      if (settings === undefined) throw new Error('The type is not registered.');
      await expect(at.launcher.start({ ...run, settings })).rejects.toMatchObject({ code: 'otherLauncher' });
      expect(await at.launcher.list()).toEqual([]);
    });

    test('a follower that gives up leaves the run alone', async () => {
      await using at = await make();
      const run = at.run('waitForEver');
      await at.launcher.start(run);
      const giveUp = new AbortController();
      const followed = at.launcher.follow(run, silent, giveUp.signal);
      giveUp.abort(new Error('enough'));
      await expect(followed).rejects.toThrow('enough');
      expect(await at.launcher.list()).toMatchObject([{ alive: true }]);
      await at.launcher.stop(run.key, 1);
    });

    test.each([
      ['heeds it', 'waitForEver', 30],
      ['does not', 'ignoreStop', 0.1],
    ] as const)('a stop ends a run that %s, and returns when it is gone', async (_, work, graceSeconds) => {
      await using at = await make();
      const run = at.run(work);
      await at.launcher.start(run);
      await at.launcher.stop(run.key, graceSeconds);
      expect(await at.launcher.list()).toMatchObject([{ key: run.key, alive: false }]);
      expect((await at.launcher.follow(run, silent, never())).kind).toBe('cancelled');
    });

    test('to stop or forget what is not here is no fault', async () => {
      await using at = await make();
      await at.launcher.stop('unknown', 30);
      await at.launcher.forget('unknown');
      expect(await at.launcher.list()).toEqual([]);
    });

    test.each([
      ['run', 'runSeconds'],
      ['quiet', 'quietSeconds'],
    ] as const)('the %s limit ends a run', async (limit, setting) => {
      await using at = await make();
      const run = at.run('waitForEver', { [setting]: 1, graceSeconds: 1 });
      expect(await startToEnd(at, run)).toMatchObject({
        kind: 'timedOut',
        limit,
        diagnosticEvents: [{ code: `${limit}Limit`, message: expect.any(String) }],
      });
    });

    test('a run that reports is not quiet', async () => {
      await using at = await make();
      expect(await startToEnd(at, at.run('reportOften', { quietSeconds: at.quietSeconds ?? 1 }))).toMatchObject({
        kind: 'succeeded',
      });
    });

    test.skipIf(!hasToken)('a run that reports past its launcher, or that nobody can hear, is not quiet', async () => {
      await using at = await make();
      const run = at.run('waitForEver', { quietSeconds: 1, graceSeconds: 1 });
      const asked: number[] = [];
      const answers = [() => Promise.resolve(Date.now()), () => Promise.reject(new Error('The service is away.'))];
      const lastReport = async () => {
        asked.push(Date.now());
        return answers.shift()?.();
      };
      await at.launcher.start(run);
      const ending = await at.launcher.follow(run, { ...silent, lastReport }, never());
      expect(ending).toMatchObject({ kind: 'timedOut', limit: 'quiet' });
      expect(asked).toHaveLength(3);
      const [first = 0, second = 0, third = 0] = asked;
      expect(Math.min(second - first, third - second)).toBeGreaterThanOrEqual(1_000);
    });

    test('what can never start is said to be so, and is not here', async () => {
      await using at = await make();
      await expect(at.launcher.start(at.run('neverStart'))).rejects.toMatchObject({
        name: 'LaunchError',
        code: expect.any(String),
      });
      expect(await at.launcher.list()).toEqual([]);
    });
  });
}
