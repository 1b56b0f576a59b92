import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { identify, isAlive } from '../../launchers/local/process-identity.ts';
import { partNames } from '../../machine/system.ts';
import { type Agenda, TestSystem, witness } from './test-system.ts';

let it: TestSystem;
beforeAll(async () => {
  it = await TestSystem.start();
});
afterEach(() => it.heal());
afterAll(() => it[Symbol.asyncDispose]());

test('an orderly stop in mid-run leaves no process; the next start runs again what was cut short', async () => {
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
  expect(held.map(({ what, launch }) => `${what} ${launch}`)).toEqual([
    'start 1',
    'asked to end 1',
    'start 2',
    'end 2',
  ]);
  expect(it.witnessed.filter(({ operation, what }) => operation === 'first' && what === 'start')).toHaveLength(
    agendas.length,
  );
  await it.prove({ mostLaunches: 2 });
});

test('kill -9 of everything but the handlers: the next start adopts them', async () => {
  const gate = it.gate();
  const agendas = [
    await it.submit([witness('held', { until: gate.until })]),
    await it.submit([witness('held', { until: gate.until })]),
  ];
  const handlers = await Promise.all(agendas.map((agenda) => it.handlerStarted(agenda, 'held')));
  for (const part of partNames) await it.system.kill(part);
  for (const part of partNames) await it.system.start(part);
  for (const agenda of agendas) await it.heldBy(agenda, it.system.pid('pool'));
  expect(handlers.map(({ self }) => isAlive(self))).toEqual([true, true]);
  await gate.open();
  await it.allSucceed(agendas);
  await it.prove();
});

test('a worker that is told to go while it starts goes', async () => {
  for (const part of ['control', 'pool'] as const) {
    // The signal comes with its first connection to Temporal, which then is made all the same.
    const door = createServer((socket) => {
      worker.process.kill('SIGTERM');
      socket.on('error', () => socket.destroy());
      const temporal = connect(it.system.ports.temporal, '127.0.0.1').on('error', () => socket.destroy());
      socket.pipe(temporal).pipe(socket);
    });
    await once(door.listen(0, '127.0.0.1'), 'listening');
    const { port } = door.address() as AddressInfo;
    await using worker = it.worker(part, { TEMPORAL_ADDRESS: `127.0.0.1:${port}` });
    const ended = await Promise.race([worker.process.ended, delay(25_000, 'still there after 25 s', { ref: false })]);
    expect(ended, `${part}: ${await worker.log()}`).toEqual({ code: 0, signal: null });
    expect(await worker.log()).toContain('shutting down');
    door.close();
  }
});

test('a process whose system does not start ends by itself', async () => {
  const home = join(it.home, 'another');
  const source = `
    import { System } from ${JSON.stringify(new URL('../../machine/system.ts', import.meta.url).href)};
    await System.start({ home: ${JSON.stringify(home)}, registry: '/no/such/registry.json' })
      .catch((error) => console.log(error.message));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', source], {
    timeout: 90_000,
  });
  expect(stdout).toContain('/no/such/registry.json');
});
