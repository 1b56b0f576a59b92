import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { isAlive } from '../../launchers/local/process-identity.ts';
import { until } from '../support/until.ts';
import { type Agenda, limits, TestSystem, witness } from './test-system.ts';

const cancelSeconds = 8;
let it: TestSystem;
beforeAll(async () => {
  it = await TestSystem.start({ environment: { POP_CANCEL_SECONDS: String(cancelSeconds) } });
});
afterEach(() => it.heal());
afterAll(() => it[Symbol.asyncDispose]());

/** One that would run for ever with a process beside it, and one that waits for it. */
const endless = () => [
  witness('held', { until: it.gate().until, grandchild: true }),
  witness('next', {}, { dependsOn: ['held'] }),
];

/** How each Operation ended, in their order. */
const endings = (progress: { operationProgress: { processingStateMessage: string }[] }) =>
  progress.operationProgress.map(({ processingStateMessage }) => processingStateMessage);

const asked = (agenda: { id: string }) =>
  it.witnessed.filter((line) => line.agendaId === agenda.id && line.what === 'asked to end');

test('a cancel from the api ends the handler and what it left beside itself', async () => {
  const agenda = await it.submit(endless());
  const { self, child } = await it.handlerStarted(agenda, 'held');
  expect(await it.cancel(agenda)).toBe('requested');
  const progress = await it.ended(agenda);
  expect(progress.processingStateMessage).toBe('cancelled');
  expect(endings(progress)).toEqual(['cancelled', 'skipped']);
  // Gone by the time it says so, not some time later.
  expect([self, child].map((identity) => identity !== undefined && isAlive(identity))).toEqual([false, false]);
  expect(asked(agenda)).toHaveLength(1);
  await it.workflow(agenda).result();
  await it.prove();
});

test('a handler that does not heed SIGTERM is killed after its grace', async () => {
  const agenda = await it.submit([witness('deaf', { until: it.gate().until, deaf: true, grandchild: true })]);
  const { self, child } = await it.handlerStarted(agenda, 'deaf');
  await it.cancel(agenda);
  const progress = await it.ended(agenda);
  expect(progress.processingStateMessage).toBe('cancelled');
  expect(endings(progress)).toEqual(['cancelled']);
  expect([self, child].map((identity) => identity !== undefined && isAlive(identity))).toEqual([false, false]);
  await it.prove();
});

test('a cancel from Temporal takes the same path', async () => {
  const agenda = await it.submit(endless());
  const { self } = await it.handlerStarted(agenda, 'held');
  await it.workflow(agenda).cancel();
  const progress = await it.ended(agenda);
  expect(progress.processingStateMessage).toBe('cancelled');
  expect(endings(progress)).toEqual(['cancelled', 'skipped']);
  expect(isAlive(self)).toBe(false);
  expect(asked(agenda)).toHaveLength(1);
  await it.prove();
});

test('a cancel of what still waits ends it at once, and it never runs', async () => {
  const gate = it.gate();
  const before = [];
  for (let n = 0; n < limits.maximumRunning; n += 1)
    before.push(await it.submit([witness('held', { until: gate.until })]));
  const agenda = await it.submit([witness('never')]);
  await Promise.all(before.map((one) => it.handlerStarted(one, 'held')));
  expect(await it.cancel(agenda)).toBe('ended');
  const progress = await it.progress(agenda);
  expect(progress.processingStateMessage).toBe('cancelled');
  expect(endings(progress)).toEqual(['skipped']);
  await gate.open();
  await it.allSucceed(before);
  expect(it.witnessed.filter((line) => line.agendaId === agenda.id)).toEqual([]);
  await it.prove();
});

test('a cancel while the pool worker is dead is bounded, and the orphan is ended when a worker is back', async () => {
  const agenda = await it.submit(endless());
  const { self } = await it.handlerStarted(agenda, 'held');
  await it.system.kill('pool');
  const begun = Date.now();
  await it.cancel(agenda);
  const progress = await it.ended(agenda);
  expect(Date.now() - begun).toBeLessThan((cancelSeconds + 10) * 1000);
  expect(progress.processingStateMessage).toBe('cancelled');
  expect(endings(progress)).toEqual(['abandoned', 'skipped']);
  expect(isAlive(self)).toBe(true);
  await it.system.start('pool');
  await it.gone(self);
  await it.prove();
});

test('a cancel while Temporal is down is repeated by the sweep once it is back', async () => {
  const agenda = await it.submit(endless());
  const { self } = await it.handlerStarted(agenda, 'held');
  await it.system.kill('temporal');
  expect(await it.cancel(agenda)).toBe('requested');
  // The pool hears of it from the ResourcePool service, without Temporal.
  await it.gone(self);
  expect((await it.progress(agenda)).processingState).toBe('EXECUTING');
  await it.system.start('temporal');
  const progress = await it.ended(agenda, 90);
  expect(progress.processingStateMessage).toBe('cancelled');
  expect(endings(progress)).toEqual(['cancelled', 'skipped']);
  await it.prove();
});

test('cancels at any moment of many short Agendas leave nothing behind', async () => {
  const agendas: Agenda[] = [];
  for (let n = 0; n < 12; n += 1) {
    agendas.push(
      await it.submit([witness('a', { milliseconds: 100 }), witness('b', { milliseconds: 100 }, { dependsOn: ['a'] })]),
    );
    const earlier = agendas[n - 3];
    if (earlier === undefined) continue;
    const { status } = await it.send('POST', `/agenda/${earlier.id}/cancel`);
    expect([202, 409]).toContain(status);
  }
  await until('all have ended', async () => {
    const states = await Promise.all(agendas.map(async (agenda) => (await it.progress(agenda)).processingState));
    return states.every((state) => state === 'COMPLETE');
  });
  await it.prove();
});
