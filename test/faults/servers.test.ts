import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { isAlive } from '../../launchers/local/process-identity.ts';
import { until } from '../support/until.ts';
import { type Agenda, TestSystem, witness } from './test-system.ts';

let it: TestSystem;
beforeAll(async () => {
  it = await TestSystem.start();
});
afterEach(() => it.heal());
afterAll(() => it[Symbol.asyncDispose]());

/** An Agenda with a held Operation in the middle. */
const operations = (until: string) => [
  witness('first'),
  witness('held', { until }, { dependsOn: ['first'] }),
  { name: 'said', type: 'logMessages', payload: { logMessages: ['@<held.out::/pid>'] } },
  witness('last', {}, { dependsOn: ['said'] }),
];

async function severalUnderWay(gate: string): Promise<Agenda[]> {
  const agendas: Agenda[] = [];
  for (let n = 0; n < 5; n += 1) agendas.push(await it.submit(operations(gate)));
  await Promise.all(agendas.slice(0, 3).map((agenda) => it.handlerStarted(agenda, 'held')));
  return agendas;
}

test('Postgres killed and started again in the middle: everything goes on', async () => {
  const gate = it.gate();
  const agendas = await severalUnderWay(gate.until);
  await it.system.kill('postgres');
  const refused = await it.send('POST', '/agenda', { customerId: 'fault', operations: operations(gate.until) });
  expect(refused.status).toBe(503);
  // Ends that cannot be recorded now are reported until they are.
  await gate.open();
  const ends = () => it.witnessed.filter((line) => line.what === 'end' && line.operation === 'held').length;
  await until('handlers ended while there is no Postgres', () => ends() >= 3);
  await it.system.start('postgres');
  await it.allSucceed(agendas, 90);
  await it.prove();
});

test('the Temporal server killed and started again: all goes on, submissions are accepted meanwhile', async () => {
  const gate = it.gate();
  const agendas = await severalUnderWay(gate.until);
  const handler = await it.handlerStarted(agendas[0] as Agenda, 'held');
  await it.system.kill('temporal');
  agendas.push(await it.submit([witness('accepted without Temporal')]));
  await gate.open();
  await it.gone(handler.self);
  await it.system.start('temporal');
  await it.allSucceed(agendas, 90);
  await it.prove();
});

test('Temporal away for longer than a heartbeat: handlers go on and are not repeated', async () => {
  const gate = it.gate();
  const agenda = await it.submit(operations(gate.until));
  const handler = await it.handlerStarted(agenda, 'held');
  await it.system.kill('temporal');
  const away = Date.now();
  await until('a heartbeat timeout has passed', () => Date.now() - away > 6_000);
  await it.system.start('temporal');
  await it.heldBy(agenda, it.system.pid('pool'), 60);
  expect(isAlive(handler.self)).toBe(true);
  await gate.open();
  await it.allSucceed([agenda], 90);
  await it.prove();
});
