import { afterAll, beforeAll, test } from 'vitest';
import type { PartName } from '../../machine/system.ts';
import { until } from '../support/until.ts';
import { type Agenda, customerId, TestSystem, witness } from './test-system.ts';

const faults = 8;
const kinds: readonly PartName[] = ['control', 'pool', 'api', 'postgres', 'temporal'];
/** Give POP_FAULT_SEED to have a series again. */
const seed = Number(process.env.POP_FAULT_SEED ?? Math.floor(Math.random() * 1_000_000));

let it: TestSystem;
beforeAll(async () => {
  it = await TestSystem.start();
});
afterAll(() => it[Symbol.asyncDispose]());

/** Mulberry32: numbers from 0 to 1 that a seed decides. */
function randomNumbers(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const operations = [
  witness('first', { milliseconds: 300 }),
  witness('left', { milliseconds: 1500 }, { dependsOn: ['first'] }),
  witness('right', { milliseconds: 100, seen: '@<first.out::/pid>' }),
  { name: 'said', type: 'logMessages', payload: { logMessages: ['@<left.out::/pid>', '@<right.out::/pid>'] } },
  witness('last', {}, { dependsOn: ['said'] }),
];

/** Submits under this key until it is accepted. */
async function submit(key: string): Promise<Agenda> {
  return until(`${key} is accepted`, async () => {
    const { status, body } = await it.send('POST', '/agenda', { customerId, operations }, { 'Idempotency-Key': key });
    return status === 201 && it.accepted(body);
  });
}

test(`parts killed one after the other, by chance (seed ${seed}), two at a time now and then`, {
  timeout: 300_000,
}, async () => {
  const random = randomNumbers(seed);
  const choose = () => kinds[Math.floor(random() * kinds.length)] ?? 'control';
  const agendas: Agenda[] = [];
  for (let n = 0; n < faults; n += 1) {
    agendas.push(await submit(`a-${n}`), await submit(`b-${n}`));
    const victims = new Set(random() < 0.3 ? [choose(), choose()] : [choose()]);
    for (const part of victims) await it.system.kill(part);
    // In the order of the dependencies: Postgres and Temporal first.
    for (const part of [...victims].toSorted((a, b) => kinds.indexOf(b) - kinds.indexOf(a)))
      await it.system.start(part);
  }
  await it.allSucceed(agendas, 120);
  await it.prove();
});
