import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { isAlive } from '../../launchers/local/process-identity.ts';
import { fileNames, type ProcessIdentity, type StartedRecord } from '../../launchers/local/run-files.ts';
import type { RunRecord } from '../../launchers/run-directory/records.ts';
import { readRecord } from '../../launchers/run-directory/regular-file.ts';
import { until } from '../support/until.ts';
import { type Agenda, TestSystem, witness } from './test-system.ts';

let it: TestSystem;
beforeAll(async () => {
  it = await TestSystem.start();
});
afterEach(() => it.heal());
afterAll(() => it[Symbol.asyncDispose]());

/** What workers said of the end of this Operation, whichever did. */
const endsReported = (logs: readonly string[], agenda: Agenda, operation: string) =>
  logs
    .flatMap((log) => log.split('\n').filter((line) => line.includes('"operation ended"')))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((line) => line.agendaId === agenda.id && line.operation === operation);

test('after kill -9 of the pool worker the same handler goes on and is adopted by the next one', async () => {
  const gate = it.gate();
  const agenda = await it.submit([
    witness('held', { until: gate.until }),
    witness('next', {}, { dependsOn: ['held'] }),
  ]);
  const handler = await it.handlerStarted(agenda, 'held');
  const killed = it.system.pid('pool');
  await it.system.kill('pool');
  expect(isAlive(handler.self)).toBe(true);
  await it.system.start('pool');
  await it.heldBy(agenda, it.system.pid('pool'));
  expect(it.system.pid('pool')).not.toBe(killed);
  await gate.open();
  await it.allSucceed([agenda]);
  expect(it.witnessed.filter((line) => line.agendaId === agenda.id && line.operation === 'held')).toMatchObject([
    { what: 'start', launch: 1, self: handler.self },
    { what: 'end', launch: 1, self: handler.self },
  ]);
  expect(endsReported([await it.log('pool')], agenda, 'held')).toMatchObject([
    { adopted: true, launch: 1, outcome: 'succeeded' },
  ]);
  await it.prove();
});

test('a handler that ends while no pool worker lives is reported by the next one, with its result', async () => {
  const gate = it.gate();
  const agenda = await it.submit([witness('held', { until: gate.until })]);
  const handler = await it.handlerStarted(agenda, 'held');
  await it.system.kill('pool');
  await gate.open();
  await it.gone(handler.self);
  await it.system.start('pool');
  const progress = await it.ended(agenda);
  expect(JSON.parse(progress.operationProgress[0].resultPayload)).toEqual({ pid: handler.self.pid, launch: 1 });
  await it.allSucceed([agenda]);
  await it.prove();
});

test('on SIGTERM a pool worker lets go at once, and another adopts the same process within seconds', async () => {
  const gate = it.gate();
  const agenda = await it.submit([witness('held', { until: gate.until })]);
  const handler = await it.handlerStarted(agenda, 'held');
  await using second = await it.secondPoolWorker();
  const begun = Date.now();
  await it.system.stop('pool');
  await it.heldBy(agenda, second.process.pid);
  expect(Date.now() - begun).toBeLessThan(15_000);
  expect(isAlive(handler.self)).toBe(true);
  await gate.open();
  await it.allSucceed([agenda]);
  expect(it.witnessed.filter((line) => line.agendaId === agenda.id)).toMatchObject([
    { what: 'start', launch: 1, self: handler.self },
    { what: 'end', launch: 1, self: handler.self },
  ]);
  expect(endsReported([await it.log('pool')], agenda, 'held')).toEqual([]);
  expect(endsReported([await second.log()], agenda, 'held')).toMatchObject([{ adopted: true, launch: 1 }]);
  await it.prove();
});

test('a pool worker frozen past its heartbeat lets go of what another adopted', async () => {
  const gate = it.gate();
  const agenda = await it.submit([witness('held', { until: gate.until })]);
  const handler = await it.handlerStarted(agenda, 'held');
  await it.system.kill('pool', 'SIGSTOP');
  try {
    await using second = await it.secondPoolWorker();
    await it.heldBy(agenda, second.process.pid);
    await it.system.kill('pool', 'SIGCONT');
    await until('the frozen worker let go', async () => (await it.log('pool')).includes('let go of an Operation'));
    expect(isAlive(handler.self)).toBe(true);
    // What it was handed in its sleep it has adopted by now. Known and to be mended: an attempt that is answered "run"
    // in the moment before another worker reports the end, and forgets the run, begins that launch once more.
    const letGo = Date.now();
    await until('a second', () => Date.now() > letGo + 1_000);
    await gate.open();
    await it.allSucceed([agenda]);
    // The frozen worker may also have been handed attempts while it slept, because its polls were open. They adopt the
    // same run. Whoever reports its end first decides; to whom the run is gone by then it is over.
    const ends = endsReported([await it.log('pool'), await second.log()], agenda, 'held');
    expect(ends.map(({ adopted, launch }) => ({ adopted, launch }))).toEqual(
      ends.map(() => ({ adopted: true, launch: 1 })),
    );
    const outcomes = new Set(ends.map(({ outcome }) => outcome));
    expect([...outcomes].filter((outcome) => outcome !== 'over')).toEqual(['succeeded']);
    expect(endsReported([await second.log()], agenda, 'held')).toHaveLength(1);
  } finally {
    await it.system.kill('pool', 'SIGCONT');
  }
  await it.prove();
});

test('a launch killed together with its shim has a row of its own, with its output, beside the next', async () => {
  const gate = it.gate();
  const agenda = await it.submit([witness('held', { until: gate.until })]);
  const first = await it.handlerStarted(agenda, 'held');
  // Its first words are in the file by the time of its first report.
  await until('it is at work', async () => {
    const [operation] = (await it.progress(agenda)).operationProgress;
    return operation.processingStateMessage === 'at work';
  });
  killWithShim(first.self);
  const second = await until('the second launch', () =>
    it.witnessed.find((line) => line.agendaId === agenda.id && line.what === 'start' && line.launch === 2),
  );
  await gate.open();
  await it.gone(second.self);
  await it.allSucceed([agenda]);
  const attempts = (await it.send('GET', `/agenda/${agenda.id}/attempts`)).body.all;
  expect(attempts).toMatchObject([
    { launch: 1, operationAttempt: 1, ending: 'lost', category: 'infrastructure', code: 'lost', decision: 'again' },
    { launch: 2, operationAttempt: 1, ending: 'succeeded', decision: 'ended' },
  ]);
  const stamps = ['admittedTime', 'scheduledTime', 'pulledTime', 'startedTime', 'endedTime', 'noticedTime'];
  const [lost, succeeded] = attempts;
  expect(stamps.filter((stamp) => succeeded[stamp] === undefined)).toEqual([]);
  // Nobody saw when it ended.
  expect(stamps.filter((stamp) => lost[stamp] === undefined)).toEqual(['endedTime']);
  expect(second.time).toBeGreaterThanOrEqual(lost.againTime);
  for (const { launch, output } of attempts) {
    const { body } = await it.send('GET', output.path.replace(/^\/v1/, ''));
    expect(body.all).toMatchObject([{ launch, output: expect.stringContaining(`launch ${launch} is at work`) }]);
  }
  await it.prove({ mostLaunches: 2 });
});

test('an Operation that waits after a lost launch is cancelled at once, and not abandoned', async () => {
  const gate = it.gate();
  const agenda = await it.submit([witness('held', { until: gate.until })]);
  const { self } = await it.handlerStarted(agenda, 'held');
  killWithShim(self);
  await until('it waits', async () => {
    const [operation] = (await it.progress(agenda)).operationProgress;
    return operation.againTime !== undefined;
  });
  await it.cancel(agenda);
  const progress = await it.ended(agenda);
  expect(progress.processingStateMessage).toBe('cancelled');
  expect(progress.operationProgress[0].processingStateMessage).toBe('cancelled');
  await it.prove({ mostLaunches: 2 });
});

/** As a host does that goes down: nobody is left to write an end. */
function killWithShim(self: ProcessIdentity): void {
  const root = it.system.runDirectory;
  const started = readdirSync(root)
    .filter((name) => readRecord<RunRecord>(join(root, name), fileNames.run) !== undefined)
    .map((name) => readRecord<StartedRecord>(join(root, name), fileNames.started))
    .find((record) => record?.pid === self.pid);
  if (started === undefined) throw new Error(`no run has the process ${self.pid}`);
  // The shim first, or it would write the end.
  process.kill(started.shim.pid, 'SIGKILL');
  process.kill(-started.pid, 'SIGKILL');
}
