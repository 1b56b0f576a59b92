import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Agenda, TestSystem, witness } from './test-system.ts';

let it: TestSystem;
beforeAll(async () => {
  it = await TestSystem.start();
});
afterEach(() => it.heal());
afterAll(() => it[Symbol.asyncDispose]());

test('kill -9 of the control worker in the middle of several Agendas loses and repeats nothing', async () => {
  const gates = [it.gate(), it.gate()] as const;
  const agendas: Agenda[] = [];
  for (let n = 0; n < 6; n += 1) {
    const operations = [
      witness('first', { until: gates[n < 2 ? 0 : 1].until }),
      { name: 'said', type: 'logMessages', payload: { logMessages: ['@<first.out::/pid>'] } },
      witness('second', { milliseconds: 200 }, { dependsOn: ['said'] }),
      witness('third', {}, { dependsOn: ['second'] }),
    ];
    agendas.push(await it.submit(operations));
  }
  const [one, two] = agendas as [Agenda, Agenda];
  await Promise.all([it.handlerStarted(one, 'first'), it.handlerStarted(two, 'first')]);
  await it.system.kill('control');
  await gates[0].open();
  await it.system.start('control');
  // Once more, while Agendas are ending, walking and being admitted.
  await it.handlerStarted(one, 'second');
  await it.system.kill('control');
  await gates[1].open();
  await it.system.start('control');
  await it.allSucceed(agendas);
  await it.prove();
});

test('a second start of a finished Agenda touches nothing', async () => {
  const agenda = await it.submit([witness('only')]);
  await it.allSucceed([agenda]);
  await it.workflow(agenda).result();
  const before = await it.everyRow();
  const again = await it.temporal().workflow.start('agendaWorkflow', {
    workflowId: `agenda-${agenda.id}`,
    taskQueue: 'control',
    args: [{ agendaId: agenda.id, attempt: 1 }],
  });
  await again.result();
  expect(await it.everyRow()).toEqual(before);
  await it.prove();
});

test('an Agenda terminated in the Web UI is found and released, and its handler is ended', async () => {
  const terminated = await it.submit([
    witness('held', { until: it.gate().until, grandchild: true }),
    witness('next', {}, { dependsOn: ['held'] }),
  ]);
  const gate = it.gate();
  const other = await it.submit([witness('held', { until: gate.until })]);
  const handler = await it.handlerStarted(terminated, 'held');
  await it.handlerStarted(other, 'held');
  await it.workflow(terminated).terminate('by hand');
  const progress = await it.ended(terminated);
  expect(progress.processingStateMessage).toBe('failed');
  expect(progress.diagnosticEvents).toMatchObject([{ message: 'workflow terminated' }]);
  expect(
    progress.operationProgress.map((operation: { processingStateMessage: string }) => operation.processingStateMessage),
  ).toEqual(['abandoned', 'skipped']);
  await it.gone(handler.self, 20);
  expect((await it.progress(other)).processingState).toBe('EXECUTING');
  await gate.open();
  await it.allSucceed([other]);
  await it.prove();
});
