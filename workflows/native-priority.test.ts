import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporalDynamicConfig } from '../machine/temporal-server.ts';
import { ScriptedAgenda } from '../test/support/scripted-agenda.ts';
import { realWorkflowEnvironment, type WorkflowEnvironment } from '../test/support/workflow-environment.ts';
import type { OperationKey, Plan } from './activities.ts';
import { progressQuery } from './messages.ts';
import { agendaWorkflowType, plainNames } from './names.ts';

let environment: WorkflowEnvironment;
beforeAll(async () => {
  environment = await realWorkflowEnvironment(temporalDynamicConfig);
});
afterAll(() => environment[Symbol.asyncDispose]());

const weights: Readonly<Record<string, number>> = { red: 3, blue: 1 };

/**
 * Control steps and pool of many Agendas at once, named `<customer>-<number>`; `onRun` is told of each Operation that
 * starts.
 */
function manyAgendas(resourcePoolId: string, onRun: (key: OperationKey) => Promise<void> | void) {
  const agendas = new Map<string, ScriptedAgenda>();
  const add = (id: string, operations: ConstructorParameters<typeof ScriptedAgenda>[0]) => {
    const key = id.split('-')[0] ?? '';
    const plan: Partial<Plan> = {
      resourcePoolId,
      customerId: key,
      fairness: { key, weight: weights[key] ?? 1 },
      heartbeatSeconds: 30,
    };
    agendas.set(id, new ScriptedAgenda(operations, plan));
  };
  const of = ({ agendaId }: { agendaId: string }) => {
    const agenda = agendas.get(agendaId);
    if (agenda === undefined) throw new Error(`there is no Agenda ${agendaId}`);
    return agenda;
  };
  const control: ScriptedAgenda['control'] = {
    loadPlan: (input) => of(input).control.loadPlan(input),
    loadPlanPiece: (input) => of(input).control.loadPlanPiece(input),
    settleOperations: (input) => of(input).control.settleOperations(input),
    runResident: (input) => of(input).control.runResident(input),
    requestCancel: (input) => of(input).control.requestCancel(input),
    finishAgenda: (input) => of(input).control.finishAgenda(input),
  };
  const pool: Pick<ScriptedAgenda['pool'], 'runOperation'> = {
    async runOperation(key) {
      await onRun(key);
      await of(key).pool.runOperation(key);
    },
  };
  const start = (id: string) =>
    environment.client.workflow.start(agendaWorkflowType, {
      ...{ workflowId: id, taskQueue: plainNames.controlQueue, args: [{ agendaId: id, attempt: 1 }] },
    });
  const isRunning = async (id: string, operation: string) => {
    const { operations } = await environment.client.workflow.getHandle(id).query(progressQuery);
    return operations.some(({ name, state }) => name === operation && state === 'running');
  };
  return { add, control, pool, start, isRunning };
}

test('a backlog of two customers on one queue is started in proportion to their weights', async () => {
  const started: string[] = [];
  const { add, control, pool, start, isRunning } = manyAgendas(
    'fair',
    ({ agendaId }) => void started.push(agendaId.split('-')[0] ?? ''),
  );
  await environment.run({ [plainNames.controlQueue]: control }, async () => {
    // All of one, then all of the other: by age alone blue would start first.
    const ids = ['blue', 'red'].flatMap((customer) => Array.from({ length: 45 }, (_, n) => `${customer}-${n}`));
    for (const id of ids) add(id, [{ name: 'only' }]);
    for (const id of ids) await start(id);
    for (const id of ids) await expect.poll(() => isRunning(id, 'only'), { timeout: 20_000 }).toBe(true);
    await environment.run(
      { [plainNames.poolQueue('fair')]: pool },
      () => expect.poll(() => started.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(40),
      { concurrency: 1 },
    );
  });
  const red = started.slice(0, 40).filter((customer) => customer === 'red').length;
  expect(red).toBeGreaterThanOrEqual(28);
  expect(red).toBeLessThanOrEqual(32);
}, 90_000);

test('the next Operation of an Agenda under way goes before the first ones of new Agendas', async () => {
  const started: string[] = [];
  const others = Array.from({ length: 8 }, (_, n) => `red-new${n}`);
  const { add, control, pool, start, isRunning } = manyAgendas('picked', async ({ agendaId, operation }) => {
    started.push(`${agendaId} ${operation}`);
    // The only place is held until what is to be compared waits in the queue.
    if (started.length === 1) for (const id of others) await start(id);
    const awaited =
      [others.map((id) => [id, 'only'] as const), [['blue-picked', 'second'] as const]][started.length - 1] ?? [];
    for (const [id, name] of awaited) await expect.poll(() => isRunning(id, name), { timeout: 20_000 }).toBe(true);
  });
  await environment.run({ [plainNames.controlQueue]: control }, async () => {
    add('blue-picked', [{ name: 'first' }, { name: 'second', after: ['first'] }]);
    for (const id of others) add(id, [{ name: 'only' }]);
    await start('blue-picked');
    await environment.run(
      { [plainNames.poolQueue('picked')]: pool },
      () => expect.poll(() => started, { timeout: 20_000 }).toHaveLength(10),
      {
        concurrency: 1,
      },
    );
  });
  expect(started[0]).toBe('blue-picked first');
  expect(started[1]).toMatch(/^red-new\d only$/);
  expect(started[2]).toBe('blue-picked second');
}, 90_000);
