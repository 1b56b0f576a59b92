/** What is particular to containers: what they find, how they end, and an engine that goes away. */
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { containerOptions } from '../../launchers/docker/container-options.ts';
import { dockerRunOf } from '../../launchers/docker/docker-run.ts';
import { Engine } from '../../launchers/docker/engine.ts';
import { launchContainer } from '../../launchers/docker/launch-container.ts';
import { prepare, readStop, type StartedRecord } from '../../launchers/docker/run-directory.ts';
import type { Ending, HandlerRun, Launcher } from '../../launchers/launcher.ts';
import { recordNames } from '../../launchers/run-directory/records.ts';
import { readRecord } from '../../launchers/run-directory/regular-file.ts';
import { type TestEngine, testEngine } from '../support/docker-engine.ts';
import { dockerScratch } from '../support/docker-scratch.ts';
import { imageRegistry } from '../support/image-registry.ts';
import { never, recorded } from '../support/scratch.ts';
import { shellWorks } from '../support/shell-works.ts';

const found = await testEngine();
const isMissing = found === undefined;
const engine = found as TestEngine;
afterAll(() => found?.[Symbol.asyncDispose]());

const scratch = () => dockerScratch(engine);
const container = (run: HandlerRun) => engine.docker.getContainer(run.key);

async function startToEnd(launcher: Launcher, run: HandlerRun, events = recorded()): Promise<Ending> {
  await launcher.start(run);
  return launcher.follow(run, events, never());
}

/** Follows a run that was started and says that it began. */
function followed(launcher: Launcher, run: HandlerRun) {
  const events = recorded();
  const ending = launcher.follow(run, events, never());
  return { events, ending, begun: () => expect.poll(() => events.starts, { timeout: 20_000 }).toHaveLength(1) };
}

describe.skipIf(isMissing)('a container', () => {
  test('finds the contract, no capabilities, and no way to new privileges', async () => {
    await using at = await scratch();
    const run = at.run(
      'env > /tmp/env; cat "$POP_TOKEN_FILE" > /dev/null || exit 9; ' +
        'grep -E "CapEff|NoNewPrivs" /proc/self/status; cat /tmp/env; echo "$@"',
      { contract: 'pop1', arguments: ['sh', 'own'], labels: { team: 'video', 'pop.type': 'not this' } },
      { insightId: 'all', lastProgress: '{"params":{}}', report: { url: 'http://api/v1', token: 'pop_secret' } },
    );
    const { log } = await startToEnd(at.launcher, run);
    const output = log?.output ?? '';
    expect(output).toMatch(/CapEff:\s+0{16}\nNoNewPrivs:\s+1\n/);
    for (const line of [
      'PAYLOAD={"a":1}',
      'POP_PAYLOAD_FILE=/pop/payload.json',
      'POP_LAST_PROGRESS_FILE=/pop/last-progress.json',
      'POP_TOKEN_FILE=/pop/token',
      'POP_PROGRESS_FILE=/pop/progress.json',
      'POP_RESULT_FILE=/pop/result.json',
      'MY_POD_NAME=run-1',
      'LOG_LEVEL=info',
    ])
      expect(output).toContain(`${line}\n`);
    expect(output).toContain(
      'own -launchType docker -externalLaunchType docker -payloadFile /pop/payload.json ' +
        '-lastProgressFile /pop/last-progress.json\n',
    );
    expect(output).not.toContain('pop_secret');
    expect((await container(run).inspect()).Config.Labels).toMatchObject({
      team: 'video',
      'pop.agenda': 'agenda-1',
      'pop.attempt': '1',
      'pop.operation': 'op.1',
      'pop.operation-attempt': '1',
      'pop.launch': '1',
      'pop.insight': 'all',
      'pop.type': 'test',
      'pop.spec': expect.stringMatching(/^[0-9a-f]{16}$/),
    });
  });

  test('of any user reads its payload and leaves its result, and no other user of the host reads either', async () => {
    await using at = await scratch();
    const run = at.run('id -u >&2; cp "$POP_PAYLOAD_FILE" "$POP_RESULT_FILE"', { user: '1234:1234' });
    const ending = await startToEnd(at.launcher, run);
    expect(ending).toMatchObject({ kind: 'succeeded', result: { a: 1 }, log: { output: '1234\n' } });
    expect(statSync(join(at.root, run.key)).mode & 0o777).toBe(0o700);
  });

  test('has a result in its output: on standard output only', async () => {
    await using at = await scratch();
    const run = at.run('echo begun >&2; echo "{\\"n\\":42}"; sleep 0.2; echo "[1]" >&2', { resultFrom: 'lastLogLine' });
    expect(await startToEnd(at.launcher, run)).toMatchObject({
      kind: 'succeeded',
      result: { n: 42 },
      log: { output: expect.stringContaining('[1]\n') },
    });
  });

  test('that somebody kills is told to be killed', async () => {
    await using at = await scratch();
    const run = at.run(shellWorks.waitForEver);
    await at.launcher.start(run);
    const { ending, begun } = followed(at.launcher, run);
    await begun();
    await container(run).kill({ signal: 'SIGKILL' });
    expect(await ending).toMatchObject({
      kind: 'failed',
      code: 'signal',
      diagnosticEvents: [{ code: 'signal', message: 'The handler was killed by SIGKILL.' }],
    });
  });

  test('that uses more memory than it may is ended, and its limit is told', async () => {
    await using at = await scratch();
    const run = at.run('exec tail /dev/zero', { memoryRequestCount: '16Mi' });
    const ending = await startToEnd(at.launcher, run);
    const { State } = await container(run).inspect();
    // Not every engine sees who killed it.
    expect(ending).toMatchObject({ kind: 'failed', code: State.OOMKilled ? 'outOfMemory' : 'signal' });
    expect(ending.kind === 'failed' && ending.diagnosticEvents[0]?.message).toContain('16Mi');
  });

  test('that somebody removes is lost, whether it ran or had ended', async () => {
    await using at = await scratch();
    const run = at.run(shellWorks.waitForEver);
    await at.launcher.start(run);
    const { ending, begun } = followed(at.launcher, run);
    await begun();
    await container(run).remove({ force: true });
    expect(await ending).toMatchObject({ kind: 'lost', code: 'deleted' });
    expect(await at.launcher.list()).toMatchObject([{ key: run.key, alive: false }]);
    expect(await at.launcher.start(run)).toEqual({ key: run.key, adopted: true });
    expect(await at.other.follow(run, recorded(), never())).toMatchObject({ kind: 'lost', code: 'deleted' });
  });

  test('that writes is not quiet', async () => {
    await using at = await scratch();
    const quiet = { quietSeconds: 2, graceSeconds: 0 };
    const run = at.run('for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo $i; sleep 0.5; done', quiet);
    expect(await startToEnd(at.launcher, run)).toMatchObject({ kind: 'succeeded' });
  });

  test('stays to be looked at where its type says so, and is no run any more', async () => {
    await using at = await scratch();
    const run = at.run('true', { reapCompletedPods: false });
    await startToEnd(at.launcher, run);
    await at.launcher.forget(run.key);
    expect(await at.launcher.list()).toEqual([]);
    expect(existsSync(join(at.root, run.key))).toBe(false);
    expect((await engine.docker.getContainer(`${run.key}-kept`).inspect()).State.Status).toBe('exited');
  });

  test('of somebody else with the name of a run is left alone', async () => {
    await using at = await scratch();
    const run = at.run('true');
    const theirs = { name: run.key, Image: engine.image, Labels: { 'pop.launch': '7' }, Cmd: ['true'] };
    const other = await engine.docker.createContainer(theirs);
    await expect(at.launcher.start(run)).rejects.toMatchObject({ name: 'LaunchError', code: 'nameTaken' });
    await other.remove();
  });
});

describe.skipIf(isMissing)('an image that is not here', () => {
  const later = { imageName: '127.0.0.1:1/pop-later:1' };

  test('is waited for with the words of its registry, and then the run begins', async () => {
    await using at = await scratch();
    const run = at.run(shellWorks.echo, later);
    await at.launcher.start(run);
    const { ending, events } = followed(at.launcher, run);
    await expect
      .poll(() => events.progresses.at(-1)?.message, { timeout: 20_000 })
      .toMatch(/The image 127\.0\.0\.1:1\/pop-later:1 cannot be had yet.*refused/);
    expect(await at.launcher.list()).toMatchObject([{ key: run.key, alive: true }]);
    await engine.docker.getImage(engine.image).tag({ repo: '127.0.0.1:1/pop-later', tag: '1' });
    expect(await ending).toMatchObject({ kind: 'succeeded', result: { a: 1 } });
    await at.launcher.forget(run.key);
    await engine.docker.getImage('127.0.0.1:1/pop-later:1').remove();
  });

  test('is a fault of the configuration once scheduledSeconds are over, for all who follow', async () => {
    await using at = await scratch();
    const run = at.run('true', { ...later, scheduledSeconds: 8 });
    const unavailable = {
      kind: 'failed',
      code: 'imageUnavailable',
      diagnosticEvents: [{ message: expect.stringMatching(/within scheduledSeconds = 8: .*refused/) }],
    };
    expect(await startToEnd(at.launcher, run)).toMatchObject(unavailable);
    expect(await at.other.follow(run, recorded(), never())).toMatchObject(unavailable);
    expect(await at.launcher.list()).toMatchObject([{ alive: false }]);
  });

  test('is pulled; and before each run where its type says so', async () => {
    await using at = await scratch();
    const exported = await engine.docker.createContainer({ Image: engine.image, Cmd: ['true'] });
    await using registry = await imageRegistry(await buffer(await exported.export()));
    await exported.remove();
    // An engine that takes no registry without TLS on this host says so.
    const image = { imageName: registry.image, scheduledSeconds: 20 };
    const first = at.run(shellWorks.echo, image);
    const events = recorded();
    expect(await startToEnd(at.launcher, first, events)).toMatchObject({ kind: 'succeeded', result: { a: 1 } });
    const asked = registry.asked();
    expect(asked).toBeGreaterThan(0);
    const again = (key: string, podConfig = {}) => at.run(shellWorks.echo, { ...image, ...podConfig }, { key });
    expect(await startToEnd(at.launcher, again('run-2'))).toMatchObject({ kind: 'succeeded' });
    expect(registry.asked()).toBe(asked);
    const always = again('run-3', { pullAlways: true });
    expect(await startToEnd(at.launcher, always)).toMatchObject({ kind: 'succeeded' });
    expect(registry.asked()).toBeGreaterThan(asked);
    for (const { key } of await at.launcher.list()) await at.launcher.forget(key);
    await engine.docker.getImage(registry.image).remove();
  });

  test('keeps nobody from stopping the run', async () => {
    await using at = await scratch();
    const run = at.run('true', later);
    await at.launcher.start(run);
    const { ending } = followed(at.launcher, run);
    await at.other.stop(run.key, 30);
    expect(await ending).toMatchObject({ kind: 'cancelled' });
    expect(await at.launcher.list()).toMatchObject([{ alive: false }]);
  });
});

test.skipIf(isMissing)('an engine that does not see the run directory starts nothing, and is told of', async () => {
  await using at = await scratch();
  const run = dockerRunOf(at.run('true'));
  const parts = { engine: new Engine(engine.socket), place: at.launcher.place, hasInit: false };
  // As when the same path is another folder for the engine.
  const directory = join(at.gate, 'empty');
  mkdirSync(join(directory, 'box'), { recursive: true });
  await expect(launchContainer(parts, run, directory)).rejects.toThrow('does not see the run directory');
  expect(await at.launcher.list()).toEqual([]);
});

test.skipIf(isMissing)('a worker with another folder of runs on the same engine sees nothing of them', async () => {
  await using at = await scratch();
  await using elsewhere = await scratch();
  const run = at.run(shellWorks.waitForEver);
  await at.launcher.start(run);
  expect(elsewhere.launcher.place).not.toBe(at.launcher.place);
  expect(await elsewhere.launcher.list()).toEqual([]);
  await elsewhere.launcher.stop(run.key, 0);
  await elsewhere.launcher.forget(run.key);
  await expect(elsewhere.launcher.start(run)).rejects.toMatchObject({ code: 'nameTaken' });
  expect(await at.launcher.list()).toMatchObject([{ key: run.key, alive: true }]);
});

describe.skipIf(isMissing)('a worker that died', () => {
  test('between creating and starting: the next begins it, once', { timeout: 60_000 }, async () => {
    await using at = await scratch();
    const run = at.run(shellWorks.echo);
    const directory = join(at.root, run.key);
    prepare(dockerRunOf(run), directory);
    const { id } = await engine.docker.createContainer(
      containerOptions(dockerRunOf(run), directory, { place: at.launcher.place, hasInit: false }),
    );
    expect(await at.launcher.start(run)).toEqual({ key: run.key, adopted: true });
    expect(await at.launcher.follow(run, recorded(), never())).toMatchObject({ kind: 'succeeded', result: { a: 1 } });
    expect((await container(run).inspect()).Id).not.toBe(id);
  });

  test('while it stopped a run: the next follower finishes the stop', async () => {
    await using at = await scratch();
    const run = at.run(shellWorks.ignoreStop);
    await at.launcher.start(run);
    const stop = { reason: 'cancelled', stoppedTime: Date.now(), graceSeconds: 1 };
    writeFileSync(join(at.root, run.key, recordNames.stop), JSON.stringify(stop));
    expect(await at.other.follow(run, recorded(), never())).toMatchObject({ kind: 'cancelled' });
    expect(readStop(join(at.root, run.key))).toEqual(stop);
  });

  test('with its host: what was killed by the boot is lost, what had ended is not', async () => {
    await using at = await scratch();
    const [killed, ended] = [at.run(shellWorks.waitForEver), at.run(shellWorks.echo, {}, { key: 'run-2' })];
    for (const run of [killed, ended]) {
      await at.launcher.start(run);
      const record = readRecord<StartedRecord>(join(at.root, run.key), recordNames.started);
      writeFileSync(join(at.root, run.key, recordNames.started), JSON.stringify({ ...record, boot: 'before' }));
    }
    await container(killed).kill({ signal: 'SIGKILL' });
    expect(await at.other.follow(killed, recorded(), never())).toMatchObject({ kind: 'lost', code: 'lost' });
    expect(await at.other.follow(ended, recorded(), never())).toMatchObject({ kind: 'succeeded', result: { a: 1 } });
  });
});

describe.skipIf(isMissing || found?.kill === undefined)('an engine that goes away', () => {
  beforeAll(() => expect(engine.revive).toBeDefined());

  test('is waited for: what ran goes on, and nothing is lost', async () => {
    await using at = await scratch();
    const run = at.run(shellWorks.reportAndWait);
    await at.launcher.start(run);
    const { ending, begun, events } = followed(at.launcher, run);
    await begun();
    await engine.kill?.();
    await expect(at.other.start(at.run('true', {}, { key: 'run-2' }))).rejects.toMatchObject({ name: 'EngineAway' });
    at.proceed();
    await expect.poll(() => existsSync(join(at.root, run.key, 'box', 'result.json')), { timeout: 10_000 }).toBe(true);
    await engine.revive?.();
    expect(await ending).toMatchObject({ kind: 'succeeded', result: 'done', progress: { percentComplete: 40 } });
    expect(events.progresses).toContainEqual({ percentComplete: 40 });
  });

  test('with a container that did not end by itself: it is lost', async () => {
    await using at = await scratch();
    const run = at.run(shellWorks.waitForEver);
    await at.launcher.start(run);
    const { ending, begun } = followed(at.launcher, run);
    await begun();
    const { State } = await container(run).inspect();
    await engine.kill?.();
    process.kill(State.Pid, 'SIGKILL');
    await expect.poll(() => existsSync(`/proc/${State.Pid}`), { timeout: 10_000 }).toBe(false);
    await engine.revive?.();
    expect(await ending).toMatchObject({ kind: 'lost', code: 'lost' });
  });
});
