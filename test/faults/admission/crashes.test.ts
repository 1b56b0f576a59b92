/**
 * Control workers that are killed while they admit and start, whatever else happens. Short here: one in turn at the
 * bounds of each transaction, at calls to Temporal and at answers, and at some of the other statements, which ones the
 * seed says (POP_FAULT_SEED has a choice again). `npm run test:crashes` has one die before and after every statement,
 * each followed by one that lives for a while.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { AdmissionSystem } from './admission-system.ts';

const isWhole = process.env.POP_CRASHES === 'every';
const seed = Number(process.env.POP_FAULT_SEED ?? Math.floor(Math.random() * 1_000_000));
const points = '(begin|commit|answer|workflow\\.\\w+)$|startAdmitted';
/** Points at which one alone dies, and, when that has been shown, at which it dies in other conditions. */
const many = isWhole ? {} : { some: { points, part: 0.05, seed } };
const few = isWhole
  ? {}
  : { some: { points: 'admitBatch: commit$|after startAdmitted: workflow.start$', part: 0.04, seed } };
const agendas = isWhole ? 600 : 200;
const timeout = isWhole ? 3_600_000 : 240_000;

let it: AdmissionSystem;
beforeAll(async () => {
  it = await AdmissionSystem.start();
});
afterEach(() => it.heal());
afterAll(() => it[Symbol.asyncDispose]());

test(`each Agenda is admitted once and in its turn when the only control worker dies at each point (seed ${seed})`, {
  timeout,
}, async () => {
  const deaths = it.deaths();
  await it.submit(agendas);
  if (isWhole) await it.controlSingly({ deaths: deaths.file }, 3);
  else await it.controlInTurn({ deaths: deaths.file, ...many });
  for (const activity of ['admitBatch', 'startAdmitted']) expect(deaths.points).toContain(`before ${activity}: answer`);
  for (const bound of ['begin', 'commit'])
    expect(deaths.points).toEqual(
      expect.arrayContaining([`before admitBatch: ${bound}`, `after admitBatch: ${bound}`]),
    );
  for (const side of ['before', 'after']) {
    expect(deaths.points).toEqual(
      expect.arrayContaining([`${side} startAdmitted: workflow.start`, `${side} startAdmitted: mark started`]),
    );
  }
  console.log(`died ${deaths.points.length} times`);
  await it.prove();
});

test(`each Agenda is admitted once and in its turn when one of two control workers dies (seed ${seed})`, {
  timeout,
}, async () => {
  const deaths = it.deaths();
  await it.submit(agendas);
  await Promise.all([
    it.controlInTurn({ deaths: deaths.file, ...few }),
    it.controlInTurn({ deaths: deaths.file, ...few }),
  ]);
  console.log(`died ${deaths.points.length} times`);
  expect(deaths.points).toEqual(expect.arrayContaining(['before admitBatch: commit', 'after admitBatch: commit']));
  await it.prove();
});

test.each(['postgres', 'temporal'] as const)(
  `each Agenda is admitted once and in its turn when %s is killed twice while control workers die (seed ${seed})`,
  { timeout },
  async (part) => {
    const deaths = it.deaths();
    await it.submit(agendas);
    const restarts = async () => {
      for (const left of [0.7, 0.3]) {
        await it.untilLeft(agendas * left);
        await it.system.kill(part);
        await it.system.start(part);
      }
    };
    await Promise.all([it.controlInTurn({ deaths: deaths.file, ...few, occurrence: 3 }), restarts()]);
    console.log(`died ${deaths.points.length} times`);
    await it.prove();
  },
);

test.each(isWhole ? [3600, -3600] : [3600])(
  `each Agenda is admitted once and in its turn beside a control worker whose clock is %d s ahead (seed ${seed})`,
  { timeout },
  async (clockAheadSeconds) => {
    const deaths = it.deaths();
    await it.submit(agendas);
    const faults = { deaths: deaths.file, ...few };
    await Promise.all([it.controlInTurn({ ...faults, clockAheadSeconds }), it.controlInTurn(faults)]);
    console.log(`died ${deaths.points.length} times`);
    await it.prove();
  },
);
