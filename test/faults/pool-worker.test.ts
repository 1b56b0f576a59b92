import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { isAlive } from '../../launchers/local/process-identity.ts';
import { type Agenda, TestSystem, until, witness } from './test-system.ts';

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
    await gate.open();
    await it.allSucceed([agenda]);
    // The frozen worker may also have been handed attempts while it slept, because its polls were open. They adopt the
    // same run and report the same.
    const ends = endsReported([await it.log('pool'), await second.log()], agenda, 'held');
    expect(ends.map(({ adopted, launch, outcome }) => ({ adopted, launch, outcome }))).toEqual(
      ends.map(() => ({ adopted: true, launch: 1, outcome: 'succeeded' })),
    );
    expect(endsReported([await second.log()], agenda, 'held')).toHaveLength(1);
  } finally {
    await it.system.kill('pool', 'SIGCONT');
  }
  await it.prove();
});
