/**
 * The file of Temporal's server is put back to an older state, as a power cut may leave it or a backup brings it: the
 * record in Postgres knows more than Temporal. Workflows are missing, or behind what their Agendas did since, or open
 * though their Agendas have ended.
 */
import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { partNames } from '../../machine/system.ts';
import { until } from '../support/until.ts';
import { type Agenda, TestSystem, witness } from './test-system.ts';

let it: TestSystem;
beforeAll(async () => {
  it = await TestSystem.start();
});
afterEach(() => it.heal());
afterAll(() => it[Symbol.asyncDispose]());

/**
 * The database and its log of what is not in it yet; the third file, `-shm`, is an index of that log, which SQLite
 * makes anew.
 */
const isOfState = (file: string): boolean => /^temporal\.db(-wal)?$/.test(file);

/** Copies the state of Temporal's server, which is away for that moment. */
async function copyTemporal(): Promise<string> {
  const copy = join(it.home, 'older');
  await rm(copy, { recursive: true, force: true });
  await mkdir(copy);
  await it.system.kill('temporal');
  const files = (await readdir(it.system.data)).filter(isOfState);
  for (const file of files) await copyFile(join(it.system.data, file), join(copy, file));
  await it.system.start('temporal');
  return copy;
}

/** Has the state of this copy take the place of the one there is; Temporal's server does not run. */
async function putBack(copy: string): Promise<void> {
  for (const file of await readdir(it.system.data))
    if (file.startsWith('temporal.db')) await rm(join(it.system.data, file));
  for (const file of await readdir(copy)) await copyFile(join(copy, file), join(it.system.data, file));
}

const chain = (milliseconds: number) => [
  witness('first', { milliseconds }),
  { name: 'said', type: 'logMessages', payload: { logMessages: ['@<first.out::/pid>'] } },
  witness('second', { milliseconds }, { dependsOn: ['said'] }),
  witness('last', {}, { dependsOn: ['second'] }),
];
const fan = (milliseconds: number) => [
  witness('root'),
  // They end in another order than they begin.
  ...[3, 1, 2].map((n) => witness(`leaf ${n}`, { milliseconds: n * milliseconds }, { dependsOn: ['root'] })),
  ...[1, 2, 3].map((n) => witness(`after ${n}`, { milliseconds: n * 100 }, { dependsOn: [`leaf ${n}`] })),
  witness('joined', {}, { dependsOn: [1, 2, 3].map((n) => `after ${n}`) }),
];
const held = (until: string) => [
  witness('first'),
  witness('held', { until }, { dependsOn: ['first'] }),
  witness('last', {}, { dependsOn: ['held'] }),
];

const countEnded = async (agendas: readonly Agenda[]): Promise<number> => {
  const all = await Promise.all(agendas.map((agenda) => it.progress(agenda)));
  return all.filter(({ processingState }) => processingState === 'COMPLETE').length;
};
/** Ids of the Agendas whose workflow the sweep found missing. */
const startedAgain = async (): Promise<string[]> =>
  (await it.log('control'))
    .split('\n')
    .filter((line) => line.includes('workflow is missing; started it again'))
    .map((line) => JSON.parse(line).agendaId);

/**
 * Work of every kind on both sides of the copy, then `back` puts it back while some has ended, some runs and some
 * waits.
 */
async function olderState(back: (copy: string) => Promise<void>): Promise<void> {
  const [early, late] = [it.gate(), it.gate()];
  const before = [await it.submit(held(early.until))];
  for (const milliseconds of [300, 600])
    before.push(await it.submit(fan(milliseconds)), await it.submit(chain(2 * milliseconds)));
  await it.handlerStarted(before[0] as Agenda, 'held');
  await until('one Agenda ended before the copy', async () => (await countEnded(before)) >= 1);
  const copy = await copyTemporal();

  const after = [await it.submit(held(late.until))];
  for (const milliseconds of [200, 400, 800])
    after.push(await it.submit(chain(milliseconds)), await it.submit(fan(milliseconds)));
  await until(
    'what could end of the early ones has ended',
    async () => (await countEnded(before)) === before.length - 1,
    90,
  );
  await it.handlerStarted(after[0] as Agenda, 'held');
  await until('one Agenda started after the copy has ended', async () => (await countEnded(after)) >= 1, 90);
  await it.system.kill('temporal');
  const waiting = await it.submit(chain(50));
  await back(copy);
  const newest = [await it.submit(fan(100))];
  await early.open();
  await late.open();
  await it.allSucceed([...before, ...after, waiting, ...newest], 120);
  const again = await startedAgain();
  expect(again).toContain(after[0]?.id);
  for (const { id } of before) expect(again).not.toContain(id);
  await it.prove();
  await until('no workflow of an Agenda is left open', async () => {
    const { count } = await it
      .temporal()
      .workflow.count(`WorkflowType = 'agendaWorkflow' and ExecutionStatus = 'Running'`);
    return count === 0;
  });
}

test('an older Temporal file after all was killed: what is missing or behind goes on, nothing repeats', async () => {
  await olderState(async (copy) => {
    for (const part of partNames) await it.system.kill(part);
    await putBack(copy);
    for (const part of partNames) await it.system.start(part);
  });
});

test('an older file of Temporal while everything else goes on', async () => {
  await olderState(async (copy) => {
    await putBack(copy);
    await it.system.start('temporal');
  });
});

/**
 * An Agenda of x ─▶ x2 beside y ─▶ y2, put back to when x and y ran, while the handler of y2 runs. Then x ends first:
 * Temporal's history goes another way than it had gone.
 */
async function otherWay() {
  const [x, y, x2, y2] = [it.gate(), it.gate(), it.gate(), it.gate()];
  const agenda = await it.submit([
    witness('x', { until: x.until }),
    witness('y', { until: y.until }),
    witness('x2', { until: x2.until }, { dependsOn: ['x'] }),
    witness('y2', { until: y2.until }, { dependsOn: ['y'] }),
  ]);
  for (const operation of ['x', 'y']) await it.handlerStarted(agenda, operation);
  const copy = await copyTemporal();
  await y.open();
  await it.handlerStarted(agenda, 'y2');
  await it.system.kill('temporal');
  await putBack(copy);
  return { agenda, x, x2, y2 };
}

test('the pool worker follows an activity that Temporal forgot: its end is not taken for that of another', async () => {
  const { agenda, x, x2, y2 } = await otherWay();
  await it.system.kill('control');
  await it.system.start('temporal');
  await it.system.start('control');
  await x.open();
  // It becomes the event that y2 had been.
  await it.handlerStarted(agenda, 'x2');
  await y2.open();
  await until(
    'y2 is recorded',
    async () => (await it.progress(agenda)).operationProgress[3].processingState === 'COMPLETE',
  );
  await x2.open();
  await it.allSucceed([agenda]);
  await it.prove();
});

test('the control worker knows a later state than Temporal: what it lets a workflow skip is made up for', async () => {
  const { agenda, x, x2, y2 } = await otherWay();
  await it.system.start('temporal');
  await x.open();
  await until('x and y have closed once more', async () => {
    const { raw } = await it.workflow(agenda).describe();
    const pending = raw.pendingActivities?.map(({ activityId }) => activityId) ?? [];
    return raw.pendingWorkflowTask == null && !pending.includes('run:x') && !pending.includes('run:y');
  });
  for (const gate of [x2, y2]) await gate.open();
  await it.allSucceed([agenda], 90);
  await it.prove();
});
