import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { partNames } from '../../cli/system.ts';
import { identify, isAlive } from '../../launchers/local/process-identity.ts';
import { type Agenda, TestSystem, until, witness } from './test-system.ts';

let it: TestSystem;
beforeAll(async () => {
  it = await TestSystem.start();
});
afterEach(() => it.heal());
afterAll(() => it[Symbol.asyncDispose]());

test('an orderly stop of everything in mid-run leaves no process; the next start runs what was cut short again', async () => {
  const gate = it.gate();
  const agendas: Agenda[] = [];
  for (let n = 0; n < 4; n += 1) {
    agendas.push(
      await it.submit([
        witness('first'),
        witness('held', { until: gate.until, grandchild: true }, { dependsOn: ['first'] }),
        witness('last', {}, { dependsOn: ['held'] }),
      ]),
    );
  }
  const handlers = await Promise.all(agendas.slice(0, 3).map((agenda) => it.handlerStarted(agenda, 'held')));
  const parts = partNames.map((part) => it.system.pid(part) ?? 0);
  await it.system.stopAll();
  expect(handlers.map(({ self }) => isAlive(self))).toEqual([false, false, false]);
  expect(handlers.map(({ child }) => child !== undefined && isAlive(child))).toEqual([false, false, false]);
  expect(parts.filter((pid) => identify(pid) !== undefined)).toEqual([]);

  await gate.open();
  await it.restart();
  await it.allSucceed(agendas, 90);
  const held = it.witnessed.filter(({ operation, agendaId }) => operation === 'held' && agendaId === agendas[0]?.id);
  expect(held.map(({ what, launch }) => `${what} ${launch}`)).toEqual(['start 1', 'asked to end 1', 'start 2', 'end 2']);
  expect(it.witnessed.filter(({ operation, what }) => operation === 'first' && what === 'start')).toHaveLength(agendas.length);
  await it.prove({ mostLaunches: 2 });
});

test('kill -9 of everything but the handlers: the next start adopts them', async () => {
  const gate = it.gate();
  const agendas = [await it.submit([witness('held', { until: gate.until })]), await it.submit([witness('held', { until: gate.until })])];
  const handlers = await Promise.all(agendas.map((agenda) => it.handlerStarted(agenda, 'held')));
  for (const part of partNames) await it.system.kill(part);
  for (const part of partNames) await it.system.start(part);
  for (const agenda of agendas) await it.heldBy(agenda, it.system.pid('pool'));
  expect(handlers.map(({ self }) => isAlive(self))).toEqual([true, true]);
  await gate.open();
  await it.allSucceed(agendas);
  await it.prove();
});

/** Whether the process has a handler of its own for SIGTERM by now. */
function heedsSigterm(pid: number): boolean {
  const [, caught = '0'] = /^SigCgt:\s*(\w+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return (BigInt(`0x${caught}`) & (1n << 14n)) !== 0n;
}

test.runIf(process.platform === 'linux')('a worker that is told to go while it starts goes', async () => {
  for (const part of ['control', 'pool'] as const) {
    await it.system.stop(part);
    const starting = it.system.start(part).catch(() => undefined);
    const pid = await until(`${part} heeds SIGTERM`, () => {
      const found = it.system.pid(part);
      return found !== undefined && heedsSigterm(found) && found;
    });
    const begun = Date.now();
    await it.system.stop(part);
    await starting;
    expect(identify(pid)).toBeUndefined();
    expect(Date.now() - begun, part).toBeLessThan(20_000);
  }
});
